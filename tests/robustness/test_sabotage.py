"""The verdict cannot lie: the product is sabotaged in every way that is known, and `check` has to notice."""

from __future__ import annotations

import json
import shutil
import struct
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from apps.cli.edge_effnet import app
from apps.cli.exit_codes import INPUT, REGRESSION, guarded
from edge_effnet import Preprocess, load_checkpoint, save_checkpoint
from quant.artifact.open import open_artifact
from quant.program.reader import read_pte
from quant.program.xnnpack_payload import read_payload
from quant.ptq import ranges
from tests.support.artifacts import edit_manifest, make_artifact, sign_again
from tests.support.images import draw_halves, draw_image
from tests.support.programs import SIZE, ColourNet, colour_program
from tests.support.shared import linked_copy
from tests.support.tiny import SIDE, TinyFiles, quantize_tiny, train_tiny
from tests.support.warm import WarmRuntime

from quant.common.quiet import quiet_libraries  # isort: skip

with quiet_libraries():
    from executorch.exir import to_edge


@dataclass(frozen=True, slots=True)
class Made:
    """An honest artifact, its images, and a second network as good as the first."""

    files: TinyFiles
    folder: Path
    other: Path


pytestmark = pytest.mark.usefixtures("tiny_variant")


@pytest.fixture(scope="module")
def made(tiny: TinyFiles, tiny_artifact: Path, tmp_path_factory: pytest.TempPathFactory) -> Made:
    root = tmp_path_factory.mktemp("other")
    other = train_tiny(linked_copy(tiny.data, root / "data").parent, seed=1)
    assert quantize_tiny(other, root / "b").passed
    return Made(tiny, tiny_artifact, root / "b")


def run_quantize(weights: Path, data: Path, out: Path):
    return quantize_tiny(TinyFiles(weights=weights, data=data), out)


@pytest.fixture
def checked(capsys: pytest.CaptureFixture[str]) -> Callable[..., tuple[int, str]]:
    """Run `edge-effnet check --json`; gives the exit code, and the reasons or the error."""

    def check(folder: Path, data: Path, *arguments: object) -> tuple[int, str]:
        words = ["check", str(folder), "--data", str(data), "--json", *map(str, arguments)]
        code = guarded(lambda: app(words, standalone_mode=False))
        out, error = capsys.readouterr()
        return code, " | ".join(json.loads(out)["reasons"]) if out else error

    return check


def write_golden(folder: Path) -> None:
    """Make the golden outputs those of the programs that are there now."""
    artifact = open_artifact(folder)
    with WarmRuntime() as runtime:
        for name, key in (("pte", "output"), ("float", "float_output")):
            program = runtime.load(artifact.programs[name], name)
            for entry in (*artifact.manifest["golden"], *artifact.manifest["golden_photographs"]):
                if key in entry:
                    x = np.fromfile(folder / entry["input"], dtype="<f4").reshape(1, 3, SIDE, SIDE)
                    output = runtime.run(program, torch.from_numpy(x))[0]
                    (folder / entry[key]).write_bytes(output.numpy().astype("<f4").tobytes())
    sign_again(folder)


def exchange_program(made: Made, folder: Path) -> None:
    shutil.copy(made.other / "model.pte", folder / "model.pte")


def exchange_program_and_sign(made: Made, folder: Path) -> None:
    exchange_program(made, folder)
    sign_again(folder)


def exchange_program_and_golden(made: Made, folder: Path) -> None:
    exchange_program_and_sign(made, folder)
    write_golden(folder)


def exchange_float_program(made: Made, folder: Path) -> None:
    shutil.copy(made.other / "float.pte", folder / "float.pte")
    sign_again(folder)


def exchange_float_program_and_golden(made: Made, folder: Path) -> None:
    exchange_float_program(made, folder)
    write_golden(folder)


def exchange_bundle(made: Made, folder: Path) -> None:
    shutil.copy(made.other / "model.bpte", folder / "model.bpte")
    sign_again(folder)


def edited_range(_made: Made, folder: Path) -> None:
    """Make one activation's range a fiftieth in the .pte, and mend everything that vouches for it."""
    path = folder / "model.pte"
    (delegate,) = read_pte(path).methods[0].delegates
    scale = read_payload(delegate.data).layers[-2].output_scale[0]
    data, (before, after) = path.read_bytes(), (struct.pack("<f", value) for value in (scale, scale / 50))
    path.write_bytes(data.replace(before, after))
    sign_again(folder)
    write_golden(folder)


def empty_calibration(_made: Made, folder: Path) -> None:
    edit_manifest(folder, lambda m: m["photographs"].update(calibration=[]))


def empty_golden_images(_made: Made, folder: Path) -> None:
    edit_manifest(folder, lambda m: m.update(golden_photographs=[]))


def swap_labels(_made: Made, folder: Path) -> None:
    (folder / "labels.txt").write_text("red\nblue\ngreen\n")


def swap_labels_and_sign(made: Made, folder: Path) -> None:
    swap_labels(made, folder)
    edit_manifest(folder, lambda manifest: manifest.update(classes=["red", "blue", "green"]))
    sign_again(folder)


def wrong_mean(_made: Made, folder: Path) -> None:
    edit_manifest(folder, lambda m: m["preprocess"].update(mean=[0.0] * 3, std=[1 / 255] * 3))


def slightly_wrong_mean(_made: Made, folder: Path) -> None:
    edit_manifest(folder, lambda m: m["preprocess"].update(mean=[0.5] * 3, std=[0.5] * 3))


def zeroed_in_the_file(_made: Made, folder: Path) -> None:
    """Overwrite one layer's weights in the .pte, and mend everything that vouches for it."""
    path = folder / "model.pte"
    data, weights = bytearray(path.read_bytes()), largest_constant(path)
    at = data.find(weights)
    data[at : at + len(weights)] = bytes(len(weights))
    path.write_bytes(data)
    sign_again(folder)
    write_golden(folder)


def largest_constant(path: Path) -> bytes:
    """The weights that take most bytes in an XNNPACK program."""
    (delegate,) = read_pte(path).methods[0].delegates
    base = int.from_bytes(delegate.data[18:22], "little")
    from quant.program.flatbuffer import FlatTable

    start = int.from_bytes(delegate.data[10:14], "little")
    graph = FlatTable.root(delegate.data[start:])
    offset, size = max(graph.map(8, lambda item: (item.number(0, "Q"), item.number(1, "Q"))), key=lambda c: c[1])
    return bytes(delegate.data[base + offset : base + offset + size])


SABOTAGES: tuple[tuple[Callable[[Made, Path], None], int, tuple[str, ...]], ...] = (
    (exchange_program, INPUT, ("model.pte", "SHA-256")),
    (exchange_program_and_sign, INPUT, ("golden input", "not the one that `quantize` wrote")),
    (exchange_program_and_golden, REGRESSION, ("another program: its logits have", "other ranges than layers.json")),
    (exchange_float_program, INPUT, ("float.pte", "golden input", "it is another program")),
    (exchange_float_program_and_golden, REGRESSION, ("another program: its logits have",)),
    (exchange_bundle, REGRESSION, ("model.bpte does not hold model.pte",)),
    (edited_range, REGRESSION, ("1 of the", "other ranges than layers.json gives")),
    (empty_calibration, REGRESSION, ("manifest.json: its seal does not fit",)),
    (empty_golden_images, REGRESSION, ("manifest.json: its seal does not fit",)),
    (swap_labels, INPUT, ("labels.txt", "SHA-256")),
    (swap_labels_and_sign, REGRESSION, ("labels: 'red' is taken for 'green'", "'green' is taken for 'blue'")),
    (wrong_mean, REGRESSION, ("does not become the golden input", "the mean and std of ImageNet")),
    (
        slightly_wrong_mean,
        REGRESSION,
        ("does not become the golden input", "with the mean and std that manifest.json"),
    ),
    (zeroed_in_the_file, REGRESSION, ("the pte program's weights are all zero in convolution",)),
)
"""What is done to an honest artifact, the exit code, and what has to be said."""


def test_the_honest_artifact_passes(made, checked):
    code, said = checked(made.folder, made.files.data)
    assert code == 0 and "top-1 100.0 %" in said


@pytest.mark.parametrize(("sabotage", "code", "words"), SABOTAGES, ids=[row[0].__name__ for row in SABOTAGES])
def test_a_sabotaged_artifact_is_found_out(made, checked, tmp_path, sabotage, code, words):
    folder = shutil.copytree(made.folder, tmp_path / "a")
    sabotage(made, folder)
    found, said = checked(folder, made.files.data)
    assert found == code, said
    for word in words:
        assert word in said


@pytest.mark.parametrize(
    ("name", "reading", "expected", "words"),
    [
        (
            "pixels",
            lambda pixels: np.ascontiguousarray(pixels[..., ::-1]),
            INPUT,
            ("pixel values come out otherwise here",),
        ),
        (
            "normalize",
            lambda x: x.movedim(-3, -1).reshape(x.shape).contiguous(),
            REGRESSION,
            ("does not become the golden input", "NCHW instead of NHWC"),
        ),
    ],
)
def test_a_bug_between_file_and_tensor_is_found_out(made, checked, monkeypatch, name, reading, expected, words):
    right = getattr(Preprocess, name)
    monkeypatch.setattr(Preprocess, name, lambda self, given: reading(right(self, given)))
    code, said = checked(made.folder, made.files.data)
    assert code == expected, said
    for word in words:
        assert word in said


def edited_weights(made: Made, path: Path, change: Callable[[torch.nn.Module], None]) -> Path:
    """The honest weights, changed by an exporter that then goes on as if nothing were wrong."""
    model = load_checkpoint(made.files.weights, "lite0").model
    with torch.no_grad():
        change(model)
    save_checkpoint(path, model)
    return path


def bgr_stem(model) -> None:
    model.stem.conv.weight.copy_(model.stem.conv.weight.flip(1))


def zeroed_layer(model) -> None:
    model.stages[1][0].expand.conv.weight.zero_()


EXPORTS = {
    "BGR weights": (bgr_stem, "BGR instead of RGB"),
    "zeroed layer": (zeroed_layer, "weights are all zero in convolution"),
}
"""Sabotage by the exporter: both programs, golden files and figures are consistent with it. What else it may have got
wrong, mean and std or the order of the classes, is found by the same checks: tests/quant/checks."""


@pytest.mark.parametrize(("change", "words"), list(EXPORTS.values()), ids=list(EXPORTS))
def test_a_consistently_wrong_export_is_found_out_by_quantize_and_check(made, checked, tmp_path, change, words):
    weights = edited_weights(made, tmp_path / "w.safetensors", change)
    outcome = run_quantize(weights, made.files.data, tmp_path / "a").outcome
    assert not outcome.passed and words in " ".join(outcome.verdict.reasons)
    code, said = checked(tmp_path / "a", made.files.data)
    assert code == REGRESSION and words in said


def test_a_saturated_activation_is_named(made, checked, tmp_path, monkeypatch):
    honest = ranges.find_ranges

    def shrunk(graph, names, *arguments, **settings):
        found = honest(graph, names, *arguments, **settings)
        victim = names[-3]  # what the head gives: the whole network goes through it
        return found | {victim: replace(found[victim], low=found[victim].low / 50, high=found[victim].high / 50)}

    monkeypatch.setattr("quant.ptq.steps.find_ranges", shrunk)
    run_quantize(made.files.weights, made.files.data, tmp_path / "a")
    code, said = checked(tmp_path / "a", made.files.data)
    assert code == REGRESSION and "saturated: " in said and "beyond its int8 grid" in said


def program_of(network: torch.nn.Module, example: torch.Tensor) -> bytes:
    with quiet_libraries():
        exported = torch.export.export(network, (example,), strict=True)
        return bytes(to_edge(exported).to_executorch().buffer)


def test_a_channels_last_input_is_refused(checked, tmp_path):
    """The runtime itself would read it as if it were contiguous (pytorch/executorch #21837)."""
    folder = make_artifact(tmp_path / "a").folder
    example = torch.zeros(1, 3, SIZE, SIZE).contiguous(memory_format=torch.channels_last)
    (folder / "model.pte").write_bytes(program_of(ColourNet((2, 1, 0)), example))
    sign_again(folder)
    code, said = checked(folder, draw_halves(tmp_path / "data", train=1, val=2))
    assert code == INPUT and "channels last tensors" in said


def test_calibration_images_among_the_evaluation_are_refused(made, checked, tmp_path):
    data = shutil.copytree(made.files.data, tmp_path / "data")
    fitted = open_artifact(made.folder).manifest["photographs"]["calibration"][0]["name"]
    shutil.copy(data / fitted, data / "val" / fitted.split("/")[1] / "new-name.jpg")
    code, said = checked(made.folder, data)
    assert code == INPUT and "was calibrated on this image" in said


def test_a_wrong_mean_is_found_out_on_other_images_too(made, checked, tmp_path):
    folder = shutil.copytree(made.folder, tmp_path / "a")
    slightly_wrong_mean(made, folder)
    sign_again(folder)
    code, said = checked(folder, draw_halves(tmp_path / "data", train=1, val=10))
    assert code == REGRESSION and "was not made with the mean and std that manifest.json gives" in said


@pytest.mark.parametrize("sabotage", [exchange_program_and_golden, edited_range, exchange_bundle])
def test_another_program_is_found_out_on_other_images_too(made, checked, tmp_path, sabotage):
    folder = shutil.copytree(made.folder, tmp_path / "a")
    sabotage(made, folder)
    code, said = checked(folder, draw_halves(tmp_path / "data", train=1, val=10))
    assert code == REGRESSION and "another program: " in said


SAVED_AGAIN = {
    "JPEG": lambda image: (image, ".jpg", {"quality": 80}),
    "PNG": lambda image: (image, ".png", {}),
    "scaled": lambda image: (image.resize((image.width * 3, image.height * 3)), ".jpg", {"quality": 90}),
}


@pytest.mark.parametrize("how", SAVED_AGAIN)
def test_calibration_images_saved_anew_are_found_out(made, checked, tmp_path, how):
    data = shutil.copytree(made.files.data, tmp_path / "data")
    fitted = [entry["name"] for entry in open_artifact(made.folder).manifest["photographs"]["calibration"]][:3]
    for name in fitted:
        image, suffix, options = SAVED_AGAIN[how](Image.open(data / name))
        image.save((data / "val" / name.split("/")[1] / Path(name).stem).with_suffix(f".new{suffix}"), **options)
    code, said = checked(made.folder, data)
    assert code == REGRESSION and "3 of the 63 evaluation images look like ones" in said
    assert "saved again" in said and any(name in said for name in fitted)


def test_quantize_finds_them_out_too(made, tmp_path):
    data = shutil.copytree(made.files.data, tmp_path / "data")
    for path in sorted((data / "train" / "red").iterdir()):
        Image.open(path).save(data / "val" / "red" / f"new-{path.stem}.png")
    result = run_quantize(made.files.weights, data, tmp_path / "out")
    assert not result.passed
    assert any(
        "look like ones that the program was calibrated on" in doubt for doubt in result.outcome.verdict.reasons
    )


@pytest.mark.parametrize("folders", [True, False])
def test_images_of_one_class_are_no_evaluation(made, checked, tmp_path, folders):
    for index in range(30):
        draw_image(tmp_path / ("val/red" if folders else "val") / f"{index}.jpg", "red", seed=5000 + index)
    code, said = checked(made.folder, tmp_path)
    assert code == REGRESSION and "one class: float takes every one of the 30" in said


def test_a_baseline_edited_by_hand_is_found_out(made, checked, tmp_path):
    from quant.verdict.baseline import Baseline, baseline_json

    path = tmp_path / "b.json"
    arguments = (made.folder, made.files.data, "--baseline", path)
    assert checked(*arguments, "--update-baseline")[0] == 0 and checked(*arguments)[0] == 0
    values = json.loads(path.read_text())
    path.write_text(json.dumps(values | {"top1": 0.5}))
    code, said = checked(*arguments)
    assert code == INPUT and "its seal does not fit its figures" in said
    del values["schema"], values["seal"]
    figures = values | {"digest": values.pop("photographs"), "top1": 0.5}
    path.write_text(baseline_json(Baseline(**figures)))
    code, said = checked(*arguments)
    assert code == REGRESSION and "it gives top-1 50.0 % for this very program" in said


def test_images_moved_to_other_classes_are_found_out(made, checked, tmp_path):
    data = shutil.copytree(made.files.data, tmp_path / "data")
    for index in range(12):
        here, there = (data / "val" / colour / f"{index}.jpg" for colour in ("red", "blue"))
        content = here.read_bytes()
        here.write_bytes(there.read_bytes())
        there.write_bytes(content)
    code, said = checked(made.folder, data)
    assert code == REGRESSION and "on these very images" in said


def test_images_with_exchanged_channels_are_found_out(made, checked, tmp_path):
    """Other files than `quantize` had: only what float itself makes of them can tell."""
    for path in sorted((made.files.data / "val").rglob("*.jpg")):
        target = tmp_path / "data" / path.relative_to(made.files.data)
        target.parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray(np.asarray(Image.open(path))[..., ::-1].copy()).save(target, quality=95)
    code, said = checked(made.folder, tmp_path / "data")
    assert code == REGRESSION and "BGR instead of RGB" in said
    assert "float itself: its top-1 is" in said


def test_other_programs_have_other_answers():
    """The sabotage above is none if the two programs were the same."""
    assert colour_program() != colour_program((1, 2, 0))
