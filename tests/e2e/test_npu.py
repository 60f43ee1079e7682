"""Programs for NPUs, judged by an emulator: one that fails ends no other's run, and none shows its time."""

import json
from contextlib import contextmanager
from dataclasses import replace
from types import SimpleNamespace

import pytest
import torch

from apps.cli.render.programs import print_run
from edge_effnet.errors import InputError
from quant.artifact.open import open_artifact
from quant.lower import table
from quant.lower.backend import Source
from quant.lower.qnn.lower import lower as lower_qnn
from quant.lower.xnnpack.simulator import simulation_of
from quant.metrics.metrics import sqnr_db
from quant.pipeline import write
from quant.pipeline.bench import bench
from quant.pipeline.check import check
from quant.pipeline.evaluate import _Guarded
from quant.program import ethosu_library, qnn_library
from quant.program.host import HostRuntime
from quant.program.inspect import inspect_program
from tests.support import npu_double
from tests.support.fleets import made_fleet
from tests.support.mixed import mixed_graph

LIBRARIES = qnn_library.missing()
TOOLS = ethosu_library.missing()


@contextmanager
def double():
    """Let a double stand for Qualcomm's compiler, and for Arm's."""
    with pytest.MonkeyPatch.context() as patch:
        for name in ("qnn", "ethos-u"):
            stand_in = replace(table.BACKENDS[name], module=npu_double.__name__, missing=lambda: None)
            patch.setitem(table.BACKENDS, name, stand_in)
        yield


@pytest.fixture(scope="module")
def doubled(tmp_path_factory):
    # Not for the module: the real compiler's test would get the double too.
    with double():
        return made_fleet(tmp_path_factory.mktemp("npu"), ["xnnpack", "qnn:fp16", "qnn:w8a8", "ethos-u"])


def test_a_compiler_that_crashes_fails_its_own_row_alone(doubled):
    rows = {row.name: row for row in doubled[0].outcome.rows}
    assert {name: row.status for name, row in rows.items()} == {
        "xnnpack-int8": "measured", "qnn-fp16": "measured", "qnn-w8a8": "failed", "ethos-u-u85-256": "failed",
    }  # fmt: skip
    assert "SIGSEGV" in rows["qnn-w8a8"].reason and rows["xnnpack-int8"].passed
    assert not doubled[0].passed
    assert not (doubled[0].folder / "qnn-w8a8").exists()


def test_an_emulator_that_does_not_load_a_program_fails_its_row_alone(doubled):
    (row,) = (row for row in doubled[0].outcome.rows if row.name == "ethos-u-u85-256")
    assert "the ExecuTorch runtime refuses this program" in row.reason
    assert (doubled[0].folder / "qnn-fp16").exists() and not (doubled[0].folder / row.name).exists()


def test_an_emulators_time_is_shown_nowhere(doubled, capsys):
    artifact = open_artifact(doubled[0].folder / "qnn-fp16")
    verdict = artifact.manifest["verdict"]
    assert verdict["pte"]["latency_ms"] is None and verdict["float"]["latency_ms"] > 0
    assert artifact.manifest["npu"] == npu_double.NPU
    print_run(doubled[0].outcome, as_json=True, report="r", data="d")
    row = next(row for row in json.loads(capsys.readouterr().out)["programs"] if row["name"] == "qnn-fp16")
    assert row["outcome"]["pte"]["latency_ms"] is None
    with double(), pytest.raises(InputError, match="none of the device's; measure on the phone"):
        bench([artifact.folder])


def test_check_judges_by_the_emulator(doubled):
    with double():
        outcome = check(doubled[0].folder / "qnn-fp16", data=doubled[1], max_drop=60)
    assert outcome.passed and outcome.pte.agreement == 1.0 and outcome.pte_program.latency_ms is None


def test_an_emulator_that_crashes_ends_no_run():
    def run(inputs):
        raise InputError("pte: the program crashes the ExecuTorch runtime (SIGSEGV)")

    guarded = _Guarded(run=run, columns=3)
    assert guarded(torch.zeros(2, 1)).isnan().all() and guarded(torch.zeros(2, 1)).shape == (2, 3)
    assert "SIGSEGV" in guarded.error


def test_an_emulator_that_crashes_while_its_artifact_is_written_ends_no_run(monkeypatch):
    def row(run, program, folder):
        if program.choice.name != "fine":
            raise InputError("model.bpte: the program crashes the ExecuTorch runtime (SIGSEGV)")
        return program.choice.name

    def program(name, emulated):
        return SimpleNamespace(choice=SimpleNamespace(name=name, backend=SimpleNamespace(emulated=emulated)))

    monkeypatch.setattr(write, "_row", row)
    failed = {}
    assert write._rows(None, [program("crash", "HTP"), program("fine", None)], None, failed) == ["fine"]
    assert "SIGSEGV" in failed["crash"]
    with pytest.raises(InputError, match="SIGSEGV"):  # what no emulator runs is ours
        write._rows(None, [program("ours", None)], None, failed)


@pytest.mark.npu
@pytest.mark.slow
@pytest.mark.skipif(LIBRARIES is not None, reason=str(LIBRARIES))
def test_a_tiny_network_on_the_emulated_htp(tmp_path):
    result, data = made_fleet(tmp_path, ["qnn:all"])
    least = {"qnn-w8a8": 15.0, "qnn-w16a8": 30.0, "qnn-fp16": 40.0, "qnn-mixed": 15.0}
    for row in result.outcome.rows:
        assert row.status == "measured", row.reason
        assert row.report.partitions == 1 and not row.report.leftovers
        assert row.outcome.pte.sqnr_db > least[row.name], row.name
        (view,) = inspect_program(result.folder / row.name / "model.pte").methods
        assert view.delegates[0].settings["chip"] == "SM8750 (HTP v79)"
    assert check(result.folder / "qnn-w8a8", data=data, max_drop=60).passed
    assert torch.backends.mkldnn.enabled


@pytest.mark.npu
@pytest.mark.slow
@pytest.mark.skipif(LIBRARIES is not None, reason=str(LIBRARIES))
def test_8_and_16_bits_in_one_program_are_what_was_simulated(tmp_path):
    """Every other operator in 16 bits: as many conversions as there can be."""
    graph, x = mixed_graph(lambda names: names[::2])
    program = lower_qnn(Source(graph=graph, precision="mixed", input_shape=(1, *x.shape[1:])))
    assert program.delegation.partitions == 1 and not program.leftovers
    (tmp_path / "model.pte").write_bytes(program.data)
    with HostRuntime() as runtime:
        loaded = runtime.load(tmp_path / "model.pte", "pte")
        answers = torch.cat([runtime.run(loaded, image[None]) for image in x])
    assert sqnr_db(simulation_of(graph, "htp").module(x), answers) > 40


@pytest.mark.npu
@pytest.mark.slow
@pytest.mark.skipif(TOOLS is not None, reason=str(TOOLS))
def test_a_tiny_network_for_ethos_u(tmp_path):
    result, data = made_fleet(tmp_path, ["ethos-u", "ethos-u:u55-128"])
    outputs = []
    for row in result.outcome.rows:
        assert row.status == "measured", row.reason
        assert row.report.partitions == 1 and not row.report.leftovers
        assert any("operators on the NPU, 0 left on the processor" in fact for fact in row.report.facts)
        assert row.outcome.pte.sqnr_db > 15.0 and row.outcome.lowering.sqnr_db > 60.0
        outputs.append([item.output for item in open_artifact(result.folder / row.name).golden()])
        (view,) = inspect_program(result.folder / row.name / "model.pte").methods
        assert view.delegates[0].settings["target"] == f"ethos-{row.precision}"
    assert all(torch.equal(one, other) for one, other in zip(*outputs, strict=True))
    assert check(result.folder / "ethos-u-u85-256", data=data, max_drop=60).passed
