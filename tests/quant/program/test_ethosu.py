"""Ethos-U programs on this host: what stands for the NPU, and what can be read of the stream."""

import json
import struct

import numpy as np
import pytest
import torch

from edge_effnet.errors import InputError
from quant.lower.program import wrap_delegate
from quant.program.ethosu_library import read_settings
from quant.program.host import HostRuntime
from quant.program.inspect import inspect_program

MODEL = """
import numpy as np, os
class GraphStatus:
    TOSA_VALID = 0
def run(graph, inputs):
    if graph == b"crash":
        os.kill(os.getpid(), 11)
    return [inputs[0].reshape(1, -1)[:, :4]], 1 if graph == b"wrong" else 0
"""


def block(name, data):
    return name.encode().ljust(16, b"\0") + struct.pack("<I12x", len(data)) + data + bytes(-len(data) % 16)


STREAM = b"".join(
    block(name, data)
    for name, data in {
        "vela_bin_stream": b"", "cmd_data": bytes(40), "weight_data": bytes(16),
        "scratch_size": struct.pack("<I", 6656), "vela_end_stream": b"",
    }.items()
)  # fmt: skip


@pytest.fixture
def program(tmp_path, monkeypatch):
    """A program of an Ethos-U, and a double of the reference model that gives back the first numbers."""
    (tmp_path / "modules").mkdir()
    (tmp_path / "modules" / "tosa_reference_model.py").write_text(MODEL)
    monkeypatch.syspath_prepend(tmp_path / "modules")
    path = tmp_path / "model.pte"
    path.write_bytes(wrap_delegate("EthosUBackend", STREAM, (1, 1, 2, 4), (1, 4), {"target": b"ethos-u55-128"}))
    (tmp_path / "model.tosa.json").write_text(json.dumps({"input": [0.5, 3], "output": [0.25, 1]}))
    return path


def ran(path, graph, x):
    path.with_suffix(".tosa").write_bytes(graph)
    with HostRuntime() as runtime:
        return runtime.run(runtime.load(path, "pte"), x)


def test_the_reference_model_runs_between_the_programs_grids(program):
    x = torch.tensor([-1e9, -0.75, 0.25, 1.5, 0, 0, 0, 0]).view(1, 1, 2, 4)
    steps = np.array([-128, 1, 3, 6])  # halves go to the even step
    assert torch.equal(ran(program, b"graph", x)[0], torch.tensor((steps - 1) * 0.25, dtype=torch.float32))


@pytest.mark.parametrize(("graph", "sentence"), [(b"crash", "SIGSEGV"), (b"wrong", "TOSA reference model says 1")])
def test_a_reference_model_that_fails_is_a_sentence(program, graph, sentence):
    with pytest.raises(InputError, match=sentence):
        ran(program, graph, torch.zeros(1, 1, 2, 4))


def test_a_program_without_its_graph_is_refused(program):
    with HostRuntime() as runtime, pytest.raises(InputError, match=r"model\.tosa"):
        runtime.load(program, "pte")


def test_inspect_says_the_target_and_what_the_stream_takes(program):
    (delegate,) = inspect_program(program).methods[0].delegates
    assert delegate.settings == {
        "target": "ethos-u55-128", "commands": "40 bytes", "weights, compressed": "16 bytes",
        "working memory": "6656 bytes",
    }  # fmt: skip
    assert "ethosu_core_driver" in inspect_program(program).linking[0]


@pytest.mark.parametrize(
    "stream", [b"", STREAM[:50], STREAM.replace(b"vela_end", b"vela_abc"), block("cmd_data", b"")]
)
def test_a_broken_stream_is_said(stream):
    assert "not readable" in read_settings({}, memoryview(stream))["stream"]
