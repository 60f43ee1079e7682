"""Whether seal, bundle and analysis belong to the program, on payloads that are written down."""

from dataclasses import replace

import pytest

from quant.artifact.open import open_artifact
from quant.checks.program_identity import check_bundle, check_ranges, check_seal
from tests.support.artifacts import LAYER, edit_manifest, make_artifact, sign_again
from tests.support.payloads import layer, program, read_as

GRIDS = {"stem": (0.1, 0), "head": (0.05, -128)}
"""Layer -> scale and zero point of its output."""


def reports(**changes):
    """An analysis of these layers."""
    grids = {name: ((-128 - zero) * scale, (127 - zero) * scale) for name, (scale, zero) in (GRIDS | changes).items()}
    return [replace(LAYER, layer=name, operator="convolution", grid=grid) for name, grid in grids.items()]


@pytest.fixture
def int8(monkeypatch):
    """A program with these layers."""
    read_as(monkeypatch, {b"int8": [layer(i, scale=scale) for i, scale in enumerate(GRIDS.values())]})
    return program(b"int8")


def test_a_program_with_the_ranges_of_its_analysis_is_itself(int8):
    assert check_ranges(int8, reports()) is None
    assert check_ranges(int8, reports(more=(0.2, 3))) is None  # activations between layers have ranges too


def test_ranges_are_compared_as_layers_json_rounds_them(int8):
    rounded = [replace(report, grid=tuple(round(end, 5) for end in report.grid)) for report in reports()]
    assert check_ranges(int8, rounded) is None


def test_another_range_is_named(int8):
    found = check_ranges(int8, reports(head=(0.06, -128)))
    assert found.code == "program-changed"
    assert "1 of the 2 int8 layers of model.pte have other ranges than layers.json gives" in found.message
    assert "(first: head, 0 to 12.75)" in found.message


def test_a_float_program_has_no_int8_layers(monkeypatch):
    read_as(monkeypatch, {b"float": [layer(0)]})
    assert "model.pte has no layer in int8" in check_ranges(program(b"float"), reports()).message
    assert check_ranges(program(b"float"), []) is None


@pytest.fixture
def artifact(tmp_path):
    return make_artifact(tmp_path / "a")


def test_an_edited_manifest_breaks_its_seal(artifact):
    assert check_seal(artifact) is None
    edit_manifest(artifact.folder, lambda m: m["photographs"].update(calibration=[]))
    assert check_seal(open_artifact(artifact.folder)) is None  # it was empty before
    edit_manifest(artifact.folder, lambda m: m.update(created="2020-01-01T00:00:00+00:00"))
    assert check_seal(open_artifact(artifact.folder)).code == "manifest-edited"


def test_a_bundle_holds_the_program(artifact):
    assert check_bundle(artifact) is None  # it has none
    bundle = artifact.folder / "model.bpte"
    edit_manifest(artifact.folder, lambda m: m["files"].update({"model.bpte": {}}))
    for content, held in ((b"x" + artifact.program.read_bytes() + b"y", True), (b"another", False)):
        bundle.write_bytes(content)
        sign_again(artifact.folder)
        found = check_bundle(open_artifact(artifact.folder))
        assert (found is None) == held
    assert "model.bpte does not hold model.pte" in found.message
