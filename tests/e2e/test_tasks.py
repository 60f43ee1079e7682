"""Networks that do not choose one of several classes: from weights to a verdict, checked here and on a device."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import torch

from apps.cli.edge_effnet import app
from apps.cli.exit_codes import guarded
from apps.device.check import check_on_device
from apps.device.deploy import deploy
from edge_effnet import InputError, load_checkpoint, save_checkpoint
from quant import ImageOptions, QuantizeResult, RunResult, check, open_artifact, quantize
from quant.report.single import remade_report
from tests.support.quick_runs import without_plots
from tests.support.tasks import HEADS, labels_file, make_network, two_folders
from tests.support.tiny import TinyFiles, installed

pytestmark = pytest.mark.usefixtures("tiny_variant", "quick_host")

SETTINGS: dict[str, Any] = {"calibration": 16, "recipe": "int8-fast"}
TASKS = (*HEADS, "embedding")


@dataclass(frozen=True)
class Given:
    """What `quantize` takes for a task."""

    weights: Path
    data: Path
    labels: Path | None
    settings: dict[str, Any]

    @property
    def images(self) -> ImageOptions:
        """As `check` takes the labels."""
        return ImageOptions(labels=self.labels)

    def quantize(self, out: Path, *, labelled: bool = True, **changes: Any) -> Any:
        labels = {"labels": self.labels} if labelled else {}
        settings = {**SETTINGS, **self.settings, **labels, **changes}
        return quantize("lite0", weights=self.weights, data=self.data, out=out, **settings)


@pytest.fixture(scope="module")
def given(tiny: TinyFiles, tmp_path_factory: pytest.TempPathFactory) -> dict[str, Given]:
    root = tmp_path_factory.mktemp("tasks")
    with installed():
        weights = {task: make_network(tiny, root / f"{task}.safetensors", head) for task, head in HEADS.items()}
    folders = two_folders(tiny, root / "two")
    return {
        **{
            task: Given(
                weights[task],
                folders if task == "binary" else tiny.data,
                labels_file(head, tiny.data, root / f"{task}.csv"),
                {"task": task},
            )
            for task, head in HEADS.items()
        },
        "embedding": Given(tiny.weights, tiny.data, None, {"head": "none"}),
    }


@pytest.fixture(scope="module")
def made(given: dict[str, Given], tmp_path_factory: pytest.TempPathFactory) -> dict[str, QuantizeResult]:
    root = tmp_path_factory.mktemp("made")
    with installed():
        return {task: each.quantize(root / task) for task, each in given.items()}


FIGURES = {
    "multilabel": ({"f1": 1.0, "map": 1.0, "exact": 1.0}, {"float_f1": 1.0, "label_agreement": 1.0}),
    "binary": ({"top1": 1.0, "auc": 1.0}, {}),
    "regression": ({"r2": 0.55, "correlation": 0.99}, {"float_r2": 0.99, "float_correlation": 0.99}),
    "embedding": ({"class_at_1": 1.0}, {"cosine": 0.999, "agreement": 0.4, "agreement_at_5": 0.7}),
}
"""Least figures with labels, and against float."""


@pytest.mark.parametrize("task", TASKS)
def test_a_task_from_quantize_to_check_and_a_device(
    task: str, made: dict[str, QuantizeResult], given: dict[str, Given], capsys: pytest.CaptureFixture[str]
) -> None:
    result, source = made[task], given[task]
    values = result.outcome.to_json()
    assert result.passed, values["reasons"]
    labelled, against_float = FIGURES[task]
    for network in ("float", "quantized", "pte"):
        assert all(values[network][key] >= least for key, least in labelled.items()), values[network]
    assert all(values["pte"][key] >= least for key, least in against_float.items()), values["pte"]
    assert (values["task"], result.artifact.manifest["task"]["name"]) == (task, task)
    assert (values["expected_drop"] is None) == (task != "binary")
    artifact = open_artifact(result.folder)
    assert (artifact.delegation.partitions, artifact.delegation.left) == (1, 0)
    # The images that changed their answer are shown.
    with without_plots():
        assert result.outcome.flips or remade_report(artifact) == (artifact.folder / "report.html").read_bytes()
    again = check(artifact.folder, data=source.data, images=source.images)
    there = check_on_device(artifact.folder, device="host", data=source.data, image_options=source.images)
    assert again.passed and there.passed and again.task.name == there.outcome.task.name == task
    assert there.same is not None and there.same.identical == there.same.images == 60
    assert again.pte == there.outcome.pte
    labels = [] if source.labels is None else ["--labels", str(source.labels)]
    words = ["check", str(artifact.folder), "--data", str(source.data), *labels]
    code = guarded(lambda: app(words, standalone_mode=False))
    printed = capsys.readouterr().out
    titles = [row.title for row in again.task.rows]
    assert code == 0 and all(f" {title} " in f" {printed} ".replace("\n", " ") for title in titles)


@pytest.mark.parametrize("task", TASKS)
def test_baselines_hold_what_a_task_keeps(
    task: str, made: dict[str, QuantizeResult], given: dict[str, Given], tmp_path: Path
) -> None:
    source, settings = given[task], {"baseline": tmp_path / "b.json", "max_drop": 5}
    settings["images"] = source.images
    check(made[task].folder, data=source.data, update_baseline=True, **settings)
    outcome = check(made[task].folder, data=source.data, **settings)
    assert outcome.passed and any("the baseline" in reason for reason in outcome.verdict.reasons)


def test_numbers_and_features_are_for_apps_of_ones_own(made: dict[str, QuantizeResult]) -> None:
    for task in ("regression", "embedding"):
        with pytest.raises(InputError, match=f"--task {task} .* an app of your own: --project DIR"):
            deploy(made[task].folder, app="android")


@pytest.mark.parametrize("task", ["multilabel", "embedding"])
def test_without_labels_the_verdict_is_of_what_is_expected(
    task: str, given: dict[str, Given], tmp_path: Path
) -> None:
    source = given[task]
    if task == "embedding":
        flat = tmp_path / "flat"
        for half in ("train", "val"):
            (flat / half).mkdir(parents=True)
            for image in (source.data / half).glob("*/*"):
                (flat / half / f"{image.parent.name}-{image.name}").symlink_to(image.resolve())
        # A file that says by itself that it has no head.
        save_checkpoint(tmp_path / "features.safetensors", load_checkpoint(source.weights, head="none").model)
        source = Given(tmp_path / "features.safetensors", flat, None, {})
    outcome = source.quantize(tmp_path / "a", labelled=False).outcome
    assert outcome.passed, outcome.verdict.reasons
    assert outcome.drop_interval is None and "expected to lose" in outcome.verdict.reasons[0]


def test_predictions(made: dict[str, QuantizeResult], given: dict[str, Given], tmp_path: Path, capsys: Any) -> None:
    red = sorted((given["multilabel"].data / "val" / "red").iterdir())[0]

    def predicted(task: str, *words: str) -> str:
        command = ["predict", str(made[task].folder), str(red), *words]
        assert guarded(lambda: app(command, standalone_mode=False)) == 0
        return str(capsys.readouterr().out)

    (found,) = json.loads(predicted("multilabel", "--json"))["predictions"]
    assert found["agrees"] and {answer["class"] for answer in found["pte"]} == {"red", "warm"}
    assert all(answer["probability"] > 0.5 for answer in found["pte"])
    assert predicted("multilabel", "--csv").count("\n") == 3
    (found,) = json.loads(predicted("binary", "--json"))["predictions"]
    assert [answer["class"] for answer in found["pte"]] == ["red", "other"]
    assert sum(answer["probability"] for answer in found["pte"]) == pytest.approx(1.0, abs=1e-5)
    (found,) = json.loads(predicted("regression", "--json"))["predictions"]
    numbers = [answer["value"] for answer in found["pte"]]
    assert found["agrees"] is None and numbers[0] > 31
    assert numbers == pytest.approx([answer["float_value"] for answer in found["pte"]], abs=0.5)
    assert "%" not in predicted("regression")
    with pytest.raises(InputError, match="puts out features"):
        made["embedding"].artifact.predict(red)


@pytest.mark.parametrize("task", ["multilabel", "embedding"])
def test_a_target_is_searched_for(task: str, given: dict[str, Given], tmp_path: Path) -> None:
    made = given[task].quantize(tmp_path / "a", recipe="int8", min_agreement=95)
    search = made.outcome.search
    assert search is not None and search.chosen.met == (search.chosen.agreement >= 0.95)


@pytest.mark.parametrize("task", ["binary", "regression"])
def test_int8_training_learns_floats_outputs(task: str, given: dict[str, Given], tmp_path: Path) -> None:
    from quant import QatOptions

    made = given[task].quantize(
        tmp_path / "a", recipe="qat-int8", qat=QatOptions(epochs=1, steps=2, batch_size=8), labelled=False
    )
    assert made.outcome.training.steps == 2 and made.outcome.ptq is not None
    assert made.outcome.pte.sqnr_db > 15


def test_several_backends_are_judged_by_the_task(given: dict[str, Given], tmp_path: Path) -> None:
    result = given["multilabel"].quantize(tmp_path / "a", backend=("xnnpack", "coreml"))
    assert isinstance(result, RunResult)
    measured = {row.name: row for row in result.outcome.rows}
    assert measured["xnnpack-int8"].outcome.task.name == "multilabel"
    (other,) = (row for name, row in measured.items() if name.startswith("coreml"))
    assert other.outcome is None
    entry = open_artifact(tmp_path / "a" / other.name)
    # Of a program that does not run here golden outputs are what the graph gives: of yes or no, probabilities.
    golden = entry.golden()[0]
    assert bool(((golden.output >= 0) & (golden.output <= 1)).all())
    torch.testing.assert_close(golden.output, golden.float_output.sigmoid(), rtol=0, atol=0.2)


def test_a_threshold_moves_every_yes(given: dict[str, Given], tmp_path: Path) -> None:
    made = given["multilabel"].quantize(tmp_path / "a", threshold=0.9999)
    assert made.artifact.manifest["task"] == {"name": "multilabel", "threshold": 0.9999}
    assert "--threshold 0.9999" in " ".join(made.artifact.manifest["command"])
    rows = {row["name"]: row["float_yes"] for row in made.outcome.outputs}
    assert sum(rows.values()) < 100


@pytest.mark.parametrize(
    ("task", "settings", "said"),
    [
        ("binary", {"task": "classes"}, "say --task binary where it is the logit of a yes, or --task regression"),
        ("multilabel", {"task": "binary"}, "needs one output, the network has 4"),
        ("multilabel", {"task": "tags"}, "unknown task; choose one of: classes, binary, multilabel, regression"),
        ("multilabel", {"output": "softmax"}, "--task multilabel puts out sigmoid or logits"),
        ("regression", {"threshold": 0.5}, "--task regression has none"),
        ("multilabel", {"threshold": 1.5}, "need a probability between 0 and 1"),
        ("multilabel", {"task": "embedding"}, "give --head none, or leave --task out"),
        ("embedding", {"task": "regression"}, "--head none puts out features"),
    ],
)
def test_what_does_not_go_together_is_one_sentence(
    task: str, settings: dict[str, Any], said: str, given: dict[str, Given], tmp_path: Path
) -> None:
    with pytest.raises(InputError, match=said):
        given[task].quantize(tmp_path / "a", labelled=False, **settings)
