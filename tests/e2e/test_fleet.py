"""One checkpoint, several backends: a network of a few thousand weights through every one that can be had here."""

import importlib.util
import json
from dataclasses import replace

import pytest
import torch

from edge_effnet.errors import InputError
from quant.artifact.open import open_artifact
from quant.common.subsample import subsample
from quant.graph.export import export_graph
from quant.lower.backend import Source
from quant.lower.coreml import CoremlMismatchError, read_back
from quant.lower.options import BackendOptions
from quant.lower.table import BACKENDS
from quant.pipeline.check import check
from quant.program.reader import parse_pte, read_pte
from tests.support.fleets import made_fleet
from tests.support.reports import Elements

OPENVINO = importlib.util.find_spec("openvino") is not None
pytestmark = pytest.mark.slow

ASKED = (
    *("xnnpack:all", "portable", "coreml", "coreml:int8", "coreml:int8-weights", "vulkan", "vulkan:int8"),
    *(["openvino:all"] if OPENVINO else []),
)


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    return made_fleet(tmp_path_factory.mktemp("fleet"), ASKED)


def row(made, name):
    return next(row for row in made[0].outcome.rows if row.name == name)


def test_every_program_has_an_artifact_of_its_own(made):
    folder = made[0].folder
    assert sorted(p.name for p in folder.iterdir() if p.is_dir()) == sorted(r.name for r in made[0].outcome.rows)
    for each in made[0].outcome.rows:
        artifact = open_artifact(folder / each.name)
        assert artifact.manifest["backend"] == each.backend and artifact.manifest["precision"] == each.precision
        assert {"model.bpte", "delegation.json"} <= set(artifact.manifest["files"])
    values = json.loads((folder / "fleet.json").read_text())
    assert values == json.loads(json.dumps(made[0].outcome.to_json()))


def test_what_runs_here_is_measured_and_what_does_not_says_so(made):
    status = {each.name: each.status for each in made[0].outcome.rows}
    assert status["xnnpack-int8"] == status["xnnpack-fp16"] == status["portable-fp32"] == "measured"
    assert status["coreml-int8"] == status["vulkan-fp16"] == "not measured here"
    assert row(made, "xnnpack-fp32").outcome.pte.agreement == 1.0
    assert row(made, "xnnpack-fp16").outcome.pte.sqnr_db > 35
    assert row(made, "coreml-int8").outcome is None and row(made, "coreml-int8").simulated.agreement > 0.5


def test_the_report_of_a_program_that_was_not_measured_has_commands_that_work(made):
    folder = made[0].folder / "vulkan-fp16"
    assert open_artifact(folder).manifest["verdict"]["artifact"] == str(folder)
    text = Elements((folder / "report.html").read_text()).text
    assert f"edge-effnet deploy {folder} --app android Copy" in text
    assert f"edge-effnet check {folder} --data {made[1]} --max-drop 60 --device adb Copy" in text


def test_rows_are_ranked_measured_first_and_small_first(made):
    statuses = [each.status for each in made[0].outcome.rows]
    assert statuses == sorted(statuses, key=["measured", "not measured here", "missing"].index)
    sizes = [r.size_bytes for r in made[0].outcome.rows if r.status == "not measured here"]
    assert sizes == sorted(sizes)


@pytest.mark.parametrize("name", ["coreml-fp16", "coreml-int8", "coreml-int8-weights", "vulkan-fp16", "xnnpack-fp16"])
def test_the_whole_network_is_in_one_delegate(made, name):
    report = row(made, name).report
    assert report.partitions == 1 and report.leftovers == () and report.delegated > 50
    (method,) = read_pte(made[0].folder / name / "model.pte").methods
    assert len(method.delegates) == 1 and not method.operators


def test_vulkan_programs_are_simulated_with_what_is_known_against_adreno(made):
    quantized = row(made, "vulkan-int8")
    assert quantized.status == "not measured here" and quantized.simulated.agreement > 0.5
    assert any("#21939" in warning for warning in quantized.warnings)
    assert "in int8" in quantized.report.facts[1] and "in float between int8" in quantized.report.facts[2]


def test_core_ml_programs_were_read_back(made):
    assert "float16" in row(made, "coreml-fp16").report.facts[0]
    assert "0 int8 activations" in row(made, "coreml-int8-weights").report.facts[0]
    assert "0 int8 activations" not in row(made, "coreml-int8").report.facts[0]


def test_core_ml_options_reach_the_program(made):
    graph = export_graph(torch.nn.Conv2d(3, 8, 3, padding=1).eval(), 32)
    options = BackendOptions(compute_units="cpu_and_ne", ios=18)
    source = Source(graph=graph, precision="fp32", input_shape=(1, 3, 32, 32), options=options)
    program = BACKENDS["coreml"].lower(source)
    assert "(iOS 18)" in program.facts[0]
    (delegate,) = parse_pte(program.data).methods[0].delegates
    assert delegate.specs["compute_units"] == b"cpu_and_ne"
    with pytest.raises(CoremlMismatchError, match="FLOAT32"):
        read_back(program.data, replace(source, precision="fp16", options=BackendOptions()))


def test_portable_kernels_are_left_over_with_a_reason_and_advice(made):
    report = row(made, "portable-fp32").report
    assert report.partitions == 0 and len(report.leftovers) > 50
    assert {leftover.reason for leftover in report.leftovers} == {
        "portable has no delegate: reference kernels run every operator"
    }
    assert "reference" in report.advice[0]


def test_layers_that_a_recipe_leaves_in_float_are_named(made):
    assert len(row(made, "xnnpack-int8").report.float_layers) == 2
    assert row(made, "xnnpack-fp32").report.float_layers == ()


def test_bundles_were_verified_where_the_backend_runs(made):
    assert row(made, "xnnpack-int8").bundle == "verified here"
    assert row(made, "coreml-fp16").bundle == "written, not run here"


def test_artifacts_are_checked_like_any_other_where_they_run(made):
    folder, data = made[0].folder, made[1]
    assert check(folder / "xnnpack-fp16", data=data, max_drop=60).pte.agreement > 0.9
    with pytest.raises(InputError, match="iOS and macOS"):
        check(folder / "coreml-fp16", data=data)


@pytest.mark.skipif(not OPENVINO, reason="the extra `openvino` is not installed")
def test_openvino_runs_int8(made):
    assert row(made, "openvino-int8").outcome.pte.agreement > 0.5
    assert row(made, "openvino-fp32").outcome.pte.agreement > 0.9


def test_few_images_are_spread_evenly():
    assert subsample(10, 4) == [0, 2, 5, 7]
    assert subsample(3, 16) == [0, 1, 2] and subsample(3, None) == [0, 1, 2]
