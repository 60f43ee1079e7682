"""Each kind of finding shows alike in a run of one program, of many, in `check` and in `check --device`."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable, Mapping
from pathlib import Path

import pytest
import torch
from PIL import Image

from apps.device.check import check_on_device
from quant import Outcome, check, quantize
from quant.artifact.recognise import SEAL, seal_of
from quant.common.findings import KINDS, Severity
from quant.pipeline.results import RunOutcome
from quant.program.timing import Measured
from tests.support.images import draw_image
from tests.support.tiny import SIDE

pytestmark = [pytest.mark.slow, pytest.mark.usefixtures("tiny_variant", "quick_host")]

SETTINGS = {"recipe": "int8-fast", "calibration": 9, "max_drop": 100.0}
MANY = ("xnnpack:int8", "xnnpack:fp32")


@pytest.fixture(scope="module")
def honest(tiny, tiny_variant, tmp_path_factory):
    """Weights, images and an artifact that nothing is wrong with."""
    out = tmp_path_factory.mktemp("honest") / "a"
    return tiny, quantize("lite0", weights=tiny.weights, data=tiny.data, out=out, **SETTINGS)


def nearly_one_class(data: Path) -> None:
    """All but one image are red, and one of these was calibrated on."""
    for name in ("blue", "green"):
        for path in list((data / "val" / name).iterdir())[1:]:
            path.unlink()
    for seed in range(120):
        draw_image(data / "val" / "red" / f"more{seed}.jpg", seed=seed, colour="red")
    first = sorted((data / "train" / "red").iterdir())[0]
    Image.open(first).save(data / "val" / "red" / "again.png")


def one_class(data: Path) -> None:
    """Every image shows the same, whatever its folder says."""
    others = [path for name in ("blue", "green") for path in sorted((data / "val" / name).iterdir())]
    for index, path in enumerate(others):
        draw_image(path, seed=500 + index, colour="red")


def exchanged_labels(data: Path) -> None:
    """Two folders have each other's names, and hold calibration images."""
    (data / "val" / "red").rename(data / "val" / "x")
    (data / "val" / "blue").rename(data / "val" / "red")
    (data / "val" / "x").rename(data / "val" / "blue")
    for path in (data / "train" / "green").iterdir():
        Image.open(path).save(data / "val" / "green" / f"{path.stem}-again.png")


SCENARIOS: Mapping[str, tuple[Callable[[Path], None], set[str]]] = {
    "nearly one class": (nearly_one_class, {"nearly-one-class", "near-duplicates", "few-calibration-images"}),
    "one class": (one_class, {"one-class"}),
    "exchanged labels": (exchanged_labels, {"label-order", "leakage"}),
}
"""What is done to honest images, and what has to be found of it in every way."""


def two_runs(weights: Path, data: Path, folder: Path) -> tuple[Outcome, Outcome]:
    """Outcomes of a program that is made alone, and beside another."""
    settings = {"weights": weights, "data": data, **SETTINGS}
    one = quantize("lite0", out=folder / "one", **settings)
    many = quantize("lite0", out=folder / "many", backend=MANY, **settings).outcome
    assert isinstance(many, RunOutcome)
    assert (folder / "one" / "model.pte").read_bytes() == (folder / "many/xnnpack-int8/model.pte").read_bytes()
    return one.outcome, next(row.outcome for row in many.rows if row.name == "xnnpack-int8")


def four_ways(weights: Path, data: Path, folder: Path) -> dict[str, Outcome]:
    """Outcomes of the same program over the same images."""
    one, many = two_runs(weights, data, folder)
    return {
        "one": one,
        "many": many,
        "check": check(folder / "one", data=data, max_drop=100.0),
        "device": check_on_device(folder / "one", device="host", data=data, max_drop=100.0).outcome,
    }


@pytest.mark.parametrize("name", SCENARIOS)
def test_what_is_odd_about_images_is_found_in_every_way(name, honest, tmp_path):
    prepare, expected = SCENARIOS[name]
    data = shutil.copytree(honest[0].data, tmp_path / "data")
    for folder in (data / "train").iterdir():
        # All of these calibrate.
        for path in sorted(folder.iterdir())[3:]:
            path.unlink()
    prepare(data)
    for way, outcome in four_ways(honest[0].weights, data, tmp_path).items():
        found = {each.code: each for each in outcome.findings}
        assert expected <= set(found), (way, sorted(found))
        errors = {code for code, each in found.items() if each.severity == Severity.ERROR}
        assert outcome.passed == (not errors), way
        assert errors >= {code for code in expected if KINDS[code].severity == Severity.ERROR}, way
        cautions = {found[code].message for code in expected if KINDS[code].severity == Severity.WARNING}
        assert not outcome.passed or cautions <= set(outcome.verdict.cautions), way
        assert all(each.remedy for each in outcome.findings if each.severity != Severity.NOTE), way
        assert json.loads(json.dumps(outcome.to_json()))["findings"] == [e.to_json() for e in outcome.findings]


def test_a_run_of_one_and_of_many_find_the_same_of_the_same_program(honest, tmp_path):
    """What looks odd about calibration images makes a pass one with caution, however many programs are made."""
    data = shutil.copytree(honest[0].data, tmp_path / "data")
    for name in ("blue", "green", "red"):
        first, *others = sorted((data / "train" / name).iterdir())
        for index, path in enumerate(others):
            image = Image.open(first).convert("RGB")
            image.putpixel((0, 0), (index, 0, 0))
            image.save(path)
    one, many = two_runs(honest[0].weights, data, tmp_path)
    assert "calibration-duplicates" in {each.code for each in one.findings}
    assert one.findings == many.findings and one.verdict == many.verdict and one.notes == many.notes
    assert one.float_layers == many.float_layers and one.passed and one.verdict.cautions
    read = [(tmp_path / folder / "layers.json").read_text() for folder in ("one", "many/xnnpack-int8")]
    assert read[0] == read[1] and json.loads(read[0])


@pytest.mark.parametrize("device", [False, True])
def test_a_foreign_analysis_explains_nothing(device, honest, tmp_path):
    folder = shutil.copytree(honest[1].folder, tmp_path / "a")
    rows = json.loads((folder / "layers.json").read_text())
    for row in rows:
        if row["grid"] is not None:
            row["grid"] = [2 * bound for bound in row["grid"]]
        row["sqnr_db"], row["clipped"] = 99.0, 0.5
    data = (json.dumps(rows) + "\n").encode()
    (folder / "layers.json").write_bytes(data)
    _reseal(folder, "layers.json", data)
    if device:
        outcome = check_on_device(folder, device="host", data=honest[0].data).outcome
    else:
        outcome = check(folder, data=honest[0].data)
    codes = {each.code for each in outcome.findings}
    assert not outcome.passed and "program-changed" in codes
    assert not codes & {"saturated-layer", "analysis-differs", "first-broken-layer"}


def _reseal(folder: Path, name: str, data: bytes) -> None:
    import hashlib

    manifest = json.loads((folder / "manifest.json").read_text())
    manifest["files"][name] = {"sha256": hashlib.sha256(data).hexdigest(), "bytes": len(data)}
    manifest[SEAL] = seal_of(manifest)
    (folder / "manifest.json").write_text(json.dumps(manifest, indent=2) + "\n")


def test_a_program_that_is_not_finite_fails_alone(honest, tmp_path, monkeypatch):
    run = Measured.run

    def broken(self: Measured, inputs: torch.Tensor) -> torch.Tensor:
        found = run(self, inputs)
        if self.program.name in ("xnnpack-int8", "pte"):
            found[0, 0] = torch.nan
        return found

    monkeypatch.setattr(Measured, "run", broken)
    monkeypatch.setattr("quant.pipeline.write.verify_bundle", lambda *given: None)
    monkeypatch.setattr("quant.pipeline.check.verify_golden", lambda *given: None)
    settings = {"weights": honest[0].weights, "data": honest[0].data, **SETTINGS}
    many = quantize("lite0", out=tmp_path / "many", backend=MANY, **settings)
    rows = {row.name: row.outcome for row in many.outcome.rows}
    assert not many.passed and rows["xnnpack-fp32"].passed
    outcomes = [
        rows["xnnpack-int8"],
        quantize("lite0", out=tmp_path / "one", **settings).outcome,
        check(honest[1].folder, data=honest[0].data, max_drop=100.0),
    ]
    for outcome in outcomes:
        assert not outcome.passed
        (found,) = [each for each in outcome.findings if each.code == "not-finite"]
        assert "not finite" in found.message and found.message in outcome.verdict.reasons
        json.dumps(outcome.to_json(), allow_nan=False)


def test_the_default_by_its_full_name_makes_the_same_product(honest, tmp_path):
    settings = {"weights": honest[0].weights, "data": honest[0].data, **SETTINGS}
    named = quantize("lite0", out=tmp_path / "named", backend="xnnpack:int8", **settings)
    files = {path.name for path in honest[1].folder.iterdir()}
    assert {path.name for path in named.folder.iterdir()} == files
    assert (named.folder / "model.pte").read_bytes() == (honest[1].folder / "model.pte").read_bytes()
    assert named.artifact.manifest["image_size"] == SIDE
