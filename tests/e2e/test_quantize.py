"""The whole flow on a small network: what `quantize` makes, prints and writes."""

import json
import shutil

import numpy as np
import pytest
import torch

from edge_effnet import load_checkpoint
from edge_effnet.errors import InputError
from quant import check, quantize
from quant.artifact.open import open_artifact
from quant.metrics.metrics import topk_accuracy
from tests.support.artifacts import sha256_of, snapshot
from tests.support.images import COLOURS, draw_image
from tests.support.warm import WarmRuntime

PROMISED = {
    "float": {"top1", "top5", "latency_ms", "size_bytes"},
    "quantized": {"top1", "top5", "agreement", "sqnr_db"},
    "pte": {"top1", "top5", "agreement", "sqnr_db", "latency_ms", "latency_p90_ms", "load_ms", "size_bytes"},
    "delegation": {"partitions", "delegated", "left"},
    "images": {"calibration", "evaluation"},
    "seconds": {"total", "load", "export", "quantize", "lower", "evaluate"},
}


pytestmark = pytest.mark.usefixtures("tiny_variant")


@pytest.fixture(scope="module")
def made_here(quantized, tiny_variant, tmp_path_factory):
    """The same command again, through the library and in this process, where warnings are errors."""
    return quantize(
        "efficientnet-lite0",
        weights=quantized.weights,
        data=str(quantized.data),
        calibration=16,
        max_drop=40,
        seed=3,
        out=tmp_path_factory.mktemp("again") / "new" / "tiny",
    )


@pytest.fixture(scope="module")
def unlabelled(tiny, tiny_variant, tmp_path_factory):
    """Images without labels, an activation and an image size that the weights do not have."""
    data = tmp_path_factory.mktemp("unlabelled")
    for index in range(24):
        draw_image(data / f"{index:02}.jpg", COLOURS[index % 3], seed=index)
    return quantize(
        "lite0",
        weights=tiny.weights,
        data=data,
        calibration=12,
        activation="relu",
        image_size=48,
        max_drop=100,
        out=tmp_path_factory.mktemp("unlabelled-out") / "relu",
    )


@pytest.fixture(scope="module")
def b0(whole_b0):
    return open_artifact(whole_b0)


def test_json_is_all_of_standard_output_and_standard_error_is_silent(quantized):
    assert quantized.stderr == ""
    assert quantized.stdout == json.dumps(quantized.values, indent=2) + "\n"


def test_json_has_the_keys_that_are_promised(quantized):
    values = quantized.values
    assert {"verdict", "artifact", "variant", "recipe", "backend", *PROMISED} <= set(values)
    for part, keys in PROMISED.items():
        assert keys <= set(values[part]), part
    assert (values["verdict"], values["variant"]) == ("pass", "lite0")
    assert (values["recipe"], values["backend"]) == ("int8", "xnnpack")
    assert values["artifact"] == str(quantized.folder)
    assert values["images"] == {"calibration": 16, "evaluation": 60}


def test_rates_are_shares_times_are_ms_and_sizes_are_bytes(quantized):
    values = quantized.values
    for part in ("float", "quantized", "pte"):
        assert 0 <= values[part]["top1"] <= values[part]["top5"] == 1.0  # three classes
    assert values["pte"]["size_bytes"] == (quantized.folder / "model.pte").stat().st_size
    assert values["float"]["size_bytes"] == (quantized.folder / "float.pte").stat().st_size
    assert 0 < values["pte"]["latency_ms"] <= values["pte"]["latency_p90_ms"] < 60_000
    stages = [seconds for name, seconds in values["seconds"].items() if name != "total"]
    assert sum(stages) <= values["seconds"]["total"] + 0.01


@pytest.mark.parametrize("whose", ["tiny", "b0"])
def test_the_float_accuracy_is_that_of_the_float_network(request, whose, tiny, small_weights, small_data):
    weights, data = {"tiny": (tiny.weights, tiny.data), "b0": (small_weights, small_data)}[whose]
    artifact = open_artifact(request.getfixturevalue({"tiny": "tiny_artifact", "b0": "whole_b0"}[whose]))
    checkpoint = load_checkpoint(weights)
    paths = sorted((data / "val").rglob("*.jpg"))
    labels = torch.tensor([COLOURS.index(path.parent.name) for path in paths])
    with torch.no_grad():
        logits = checkpoint.model.eval()(torch.stack([checkpoint.preprocess(path) for path in paths]))
    top1 = artifact.manifest["verdict"]["float"]["top1"]
    assert top1 == pytest.approx(topk_accuracy(logits, labels, 1))
    assert top1 > 0.8  # a network that sees nothing could lose nothing


def test_the_int8_program_of_b0_sees_what_float_sees(b0):
    """Loosely: an untrained network is fragile. How much a real one loses is a benchmark's matter."""
    values = b0.manifest["verdict"]["pte"]
    assert values["agreement"] > 0.6
    assert values["sqnr_db"] > 3


def test_all_of_b0_runs_in_one_delegate_at_a_quarter_of_the_size(b0):
    values = b0.manifest["verdict"]
    delegation = values["delegation"]
    assert delegation["partitions"] == 1 and delegation["left"] == 0 and delegation["delegated"] > 100
    assert values["pte"]["size_bytes"] <= 0.27 * values["float"]["size_bytes"]


def test_the_artifact_folder_is_whole_and_alone(quantized):
    assert sorted(p.name for p in quantized.folder.iterdir()) == [
        "delegation.json",
        "float.pte",
        "golden",
        "labels.txt",
        "layers.json",
        "manifest.json",
        "model.bpte",
        "model.pte",
        "report.html",
    ]
    assert [p.name for p in quantized.folder.parent.iterdir()] == ["tiny"]
    assert (quantized.folder / "labels.txt").read_text().split() == list(COLOURS)


def test_the_manifest_says_what_was_made_from_what(quantized):
    manifest = open_artifact(quantized.folder).manifest
    assert manifest["variant"] == "lite0" and manifest["image_size"] == 32 and manifest["labelled"]
    assert manifest["weights"]["sha256"] == sha256_of(quantized.weights)
    assert manifest["weights"]["name"] == "tiny0.safetensors"
    assert manifest["recipe"]["name"] == "int8" and manifest["recipe"]["seed"] == 3
    assert manifest["versions"]["torch"].split("+")[0] == "2.13.0"
    packages = {"torch", "torchao", "executorch", "numpy", "pillow", "edge-effnet"}
    assert set(manifest["versions"]) == packages | {"python"}
    assert manifest["machine"]["processor"] and manifest["machine"]["threads"] >= 1
    assert manifest["verdict"] == quantized.values
    used = manifest["photographs"]
    assert (len(used["calibration"]), len(used["evaluation"])) == (16, 60)
    for image in (*used["calibration"], *used["evaluation"]):
        assert image["sha256"] == sha256_of(quantized.data / image["name"])
    assert {p["name"].split("/")[0] for p in used["calibration"]} == {"train"}
    assert not {p["sha256"] for p in used["calibration"]} & {p["sha256"] for p in used["evaluation"]}


def test_golden_inputs_are_preprocessed_images_and_outputs_are_the_programs(quantized):
    artifact = open_artifact(quantized.folder)
    assert len(artifact.golden()) == 3
    with WarmRuntime() as runtime:
        program = runtime.load(artifact.program, "pte")
        for golden in artifact.golden():
            assert torch.equal(golden.input, artifact.preprocess(quantized.data / golden.image))
            assert torch.equal(golden.output, runtime.run(program, golden.input[None])[0])


def test_the_float_program_computes_what_the_network_computes(b0, small_weights):
    checkpoint = load_checkpoint(small_weights)
    inputs = torch.stack([golden.input for golden in b0.golden()])
    with WarmRuntime() as runtime, torch.no_grad():
        found = runtime.run(runtime.load(b0.float_program, "float"), inputs)
        np.testing.assert_allclose(found, checkpoint.model.eval()(inputs), rtol=1e-3, atol=1e-3)


def test_the_same_command_and_seed_give_the_same_bytes(quantized, made_here):
    assert quantized.returncode == 0, quantized.stderr
    old, new = snapshot(quantized.folder), snapshot(made_here.artifact.folder)
    assert old.keys() == new.keys()
    # The date stands in both.
    assert {name for name in old if old[name] != new[name]} <= {"manifest.json", "report.html"}
    before, after = json.loads(old["manifest.json"]), json.loads(new["manifest.json"])
    for manifest in (before, after):
        manifest.pop("created"), manifest.pop("seal")
        manifest["files"].pop("report.html")
        # One was called from a command line, the other from Python.
        manifest.pop("command", None)
        verdict = manifest.pop("verdict")
        manifest["figures"] = [
            {k: v for k, v in verdict[part].items() if not k.endswith("_ms")}
            for part in ("float", "quantized", "pte")
        ]
    assert before == after


def test_the_library_gives_what_the_command_prints(made_here, quantized):
    assert made_here.passed and made_here.outcome.to_json()["flips"] == quantized.values["flips"]
    assert made_here.outcome.quantized is not None and made_here.outcome.lowering is not None


def test_a_check_of_the_artifact_gives_the_same_accuracy(quantized):
    found = check(quantized.folder, data=quantized.data, max_drop=40).to_json()
    for key in ("top1", "top5", "agreement"):
        assert found["pte"][key] == quantized.values["pte"][key]
    assert found["float"]["top1"] == quantized.values["float"]["top1"]
    assert found["pte"]["sqnr_db"] == pytest.approx(quantized.values["pte"]["sqnr_db"], abs=0.1)
    assert found["images"] == quantized.values["images"] and found["verdict"] == "pass"


@pytest.mark.parametrize("name", ["model.pte", "float.pte", "golden/0.output.f32"])
def test_a_tampered_artifact_is_refused(quantized, tmp_path, name):
    folder = shutil.copytree(quantized.folder, tmp_path / "a")
    data = bytearray((folder / name).read_bytes())
    data[-5] ^= 16
    (folder / name).write_bytes(data)
    with pytest.raises(InputError, match="SHA-256"):
        check(folder, data=quantized.data)


def test_without_labels_there_is_a_verdict_on_agreement(unlabelled):
    values = unlabelled.outcome.to_json()
    assert values["float"]["top1"] is None and values["pte"]["top1"] is None
    assert values["images"] == {"calibration": 12, "evaluation": 12}
    assert 0 <= values["pte"]["agreement"] <= 1 and "agrees on" in values["reasons"][0]


def test_the_temperature_comes_from_labelled_calibration_images_where_others_judge(tiny, tiny_variant, tmp_path):
    for index in range(30):
        # Every other label is wrong: float is surer than it deserves.
        named = COLOURS[(index + (index % 2 == 0)) % 3]
        draw_image(tmp_path / "data" / "train" / named / f"{index:02}.jpg", COLOURS[index % 3], seed=index)
        draw_image(tmp_path / "data" / "val" / f"{index:02}.jpg", COLOURS[index % 3], seed=100 + index)
    result = quantize(
        "lite0", weights=tiny.weights, data=tmp_path / "data", calibration=24, max_drop=100, out=tmp_path / "out"
    )
    expected = result.outcome.to_json()["expected_drop"]
    assert result.outcome.to_json()["float"]["top1"] is None and expected["temperature"] > 1
    checked = check(tmp_path / "out", data=tmp_path / "data")
    assert checked.to_json()["expected_drop"]["temperature"] == expected["temperature"]


def test_another_activation_and_image_size_reach_the_program_and_the_manifest(unlabelled):
    manifest = unlabelled.artifact.manifest
    assert manifest["activation"] == "relu" and manifest["image_size"] == 48
    assert manifest["input"]["shape"] == [1, 3, 48, 48] and manifest["preprocess"]["crop"] == 48
    with WarmRuntime() as runtime:
        assert runtime.load(unlabelled.artifact.program, "pte").input_shape == (1, 3, 48, 48)


def test_class_names_of_the_weights_are_kept_without_labelled_images(unlabelled):
    assert unlabelled.artifact.labels == COLOURS and unlabelled.artifact.labelled
