"""Programs that others made to fill the memory or the day of whoever reads them."""

import json
import os
import resource
import tracemalloc

import pytest

from edge_effnet import InputError
from quant.program.flatbuffer import Budget
from quant.program.inspect import inspect_program
from quant.program.reader import parse_pte, read_pte
from tests.support.cli import call_cli
from tests.support.flat_programs import flat_program

LARGE = 2**31 - 1


def test_delegates_that_share_a_payload_share_its_memory():
    data = flat_program(delegates=500, payload=bytes(1_000_000))
    tracemalloc.start()
    try:
        (method,) = parse_pte(data).methods
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert len(method.delegates) == 500 and {len(d.data) for d in method.delegates} == {1_000_000}
    assert peak < 10_000_000


def test_names_that_share_a_long_text_use_up_the_budget():
    with pytest.raises(InputError, match="more elements than a program has"):
        parse_pte(flat_program(delegates=500, backend="x" * 100_000))


@pytest.mark.parametrize(
    ("shape", "words"),
    [
        ((LARGE,) * 20_000, "a tensor of 20000 dimensions"),
        ((LARGE,) * 17, "a tensor of 17 dimensions"),
        ((LARGE,) * 16, r"a constant of \d{150} bytes in a file of \d+"),
        ((100, 100), "a constant of 40000 bytes in a file of"),
    ],
)
def test_tensors_that_no_file_holds_are_refused(tmp_path, shape, words):
    path = tmp_path / "model.pte"
    path.write_bytes(flat_program(shape=shape))
    with pytest.raises(InputError, match=words):
        inspect_program(path)


def test_a_payload_that_is_read_again_and_again_uses_up_one_budget(tmp_path, monkeypatch):
    """Each delegate had a budget of its own: a thousand of them, a thousand times the work."""
    budgets = []
    monkeypatch.setattr("quant.program.inspect.read_payload", lambda data, budget: budgets.append(budget) or 1 / 0)
    path = tmp_path / "model.pte"
    path.write_bytes(flat_program(delegates=3, payload=b"x"))
    with pytest.raises(ZeroDivisionError):
        inspect_program(path)
    monkeypatch.undo()
    assert isinstance(budgets[0], Budget)
    assert [d.note for d in inspect_program(path).methods[0].delegates] == [
        "its payload is not readable (b'' stands where XH00 should)"
    ] * 3


@pytest.mark.parametrize(
    ("make", "words"),
    [
        (lambda path: os.truncate(path, 3_900_000_000), r"pte: has 3900000000 bytes, more than the 2147483648"),
        (lambda path: (path.unlink(), os.mkfifo(path)), "not a regular file"),
        (lambda path: (path.unlink(), path.symlink_to("/dev/zero")), "not a regular file"),
        (lambda path: (path.unlink(), path.mkdir()), "not a regular file but a folder; name a file"),
        (lambda path: os.truncate(path, 0), "not an ExecuTorch program"),
        (lambda path: path.unlink(), r"model\.pte: no such file\.$"),
    ],
)
def test_what_is_no_file_of_a_program_is_refused_at_once(tmp_path, make, words):
    path = tmp_path / "model.pte"
    path.write_bytes(flat_program())
    make(path)
    with pytest.raises(InputError, match=words) as caught:
        read_pte(path)
    assert str(caught.value).count("model.pte") == 1


def test_a_program_of_two_gigabytes_is_read_in_little_memory(tmp_path):
    """What L2 in float32 has; a hole stands for its weights."""
    path = tmp_path / "model.pte"
    path.write_bytes(flat_program(delegates=1, payload=b"x"))
    os.truncate(path, 1_900_000_000)
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    assert inspect_program(path).size_bytes == 1_900_000_000
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before < 100_000


def test_the_command_prints_json_of_what_it_reads(tmp_path):
    path = tmp_path / "model.pte"
    path.write_bytes(flat_program(delegates=2, payload=b"XH00"))
    done = call_cli("edge-effnet", "inspect", path, "--json")
    assert done.returncode == 0 and len(json.loads(done.stdout)["methods"][0]["delegates"]) == 2
