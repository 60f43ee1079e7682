"""`quantize` and `check` in two processes, as torchrun starts them: figures, flips and findings of one."""

import json
import pickle

import pytest

from quant import check, quantize
from quant.data.batches import batch_size_for
from quant.metrics.share import Share
from quant.metrics.tasks.table import TASKS
from tests.support.cli import call_cli
from tests.support.ranks import in_two
from tests.support.tiny import untrained

TIMES = ("latency_ms", "latency_p90_ms", "load_ms", "seconds")
"""What no two runs have in common."""


@pytest.fixture(scope="module")
def sources(tmp_path_factory):
    """More images than a batch has, the last batch not whole."""
    return untrained(tmp_path_factory.mktemp("sources"), train=8, val=27)


def in_two_processes(folder, program, *words):
    """Run a command in both; what they print together is one object."""

    def run(rank):
        done = call_cli(program, *words, "--json")
        (folder / f"{rank}.out").write_text(done.stdout)
        assert done.returncode == 0, done.stderr

    in_two(run)
    return json.loads("".join((folder / f"{rank}.out").read_text() for rank in range(2)))


def comparable(value):
    """A result without what is of the clock, or of where it lies."""
    if isinstance(value, dict):
        return {key: comparable(each) for key, each in value.items() if key not in (*TIMES, "artifact")}
    return [comparable(each) for each in value] if isinstance(value, list) else value


@pytest.mark.slow
@pytest.mark.usefixtures("tiny_variant")
def test_two_processes_judge_as_one(sources, tmp_path):
    """`quantize` writes one artifact, `check` reads it; both print one object."""
    weights, photos, one, two = sources["weights"], sources["data"], tmp_path / "1", tmp_path / "2"
    words = ("--variant", "lite0", "--weights", weights, "--data", photos, "--calibration", 16, "--max-drop", 100)
    made = quantize("lite0", weights=weights, data=photos, calibration=16, max_drop=100, out=one)
    assert comparable(made.outcome.to_json()) == comparable(
        in_two_processes(tmp_path, "quantize", *words, "--out", two)
    )
    assert (one / "model.pte").read_bytes() == (two / "model.pte").read_bytes()
    checked = in_two_processes(tmp_path, "edge-effnet", "check", one, "--data", photos, "--max-drop", 100)
    assert comparable(check(one, data=photos, max_drop=100).to_json()) == comparable(checked)
    assert checked["images"]["evaluation"] == 81 > batch_size_for(32)


def test_batches_are_dealt_out_whole_and_each_once():
    for images, batch, world in ((81, 64, 2), (10, 4, 3), (3, 4, 2), (64, 16, 4)):
        shares = [list(Share(rank=rank, world=world).starts(images, batch)) for rank in range(world)]
        assert sorted(start for share in shares for start in share) == list(range(0, images, batch))


@pytest.mark.parametrize("task", TASKS.values(), ids=list(TASKS))
def test_a_result_of_any_task_can_be_told_to_other_processes(task):
    assert pickle.loads(pickle.dumps(task)) == task
