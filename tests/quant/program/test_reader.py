"""Reading .pte files without running them; broken ones above all."""

import json
import random

import pytest
import torch

from edge_effnet.errors import InputError
from quant.lower.xnnpack.lower import lower_xnnpack
from quant.program.flatbuffer import BrokenTableError
from quant.program.inspect import compare_programs, inspect_program
from quant.program.reader import parse_pte
from quant.program.xnnpack_payload import read_payload
from tests.support.cli import call_cli, only_json
from tests.support.programs import SIZE, SWAPPED, colour_program


@pytest.fixture(scope="module")
def delegated():
    """One convolution in an XNNPACK delegate."""
    from quant.graph.export import export_graph

    network = torch.nn.Conv2d(3, 5, 3, padding=1).eval()
    return lower_xnnpack(export_graph(network, 8), (1, 3, 8, 8)).data


def test_a_program_of_portable_kernels():
    program = parse_pte(colour_program())
    (method,) = program.methods
    assert (program.magic, program.version, method.name) == ("ET12", 0, "forward")
    (given,), (made,) = method.inputs, method.outputs
    assert given.shape == (1, 3, SIZE, SIZE) and given.dtype == "float32" and given.layout == "contiguous"
    assert made.shape == (1, 3)
    assert dict(method.operators)["aten::mean.out"] == 1 and not method.delegates
    assert [tensor.constant_bytes for tensor in method.constants] == [36]


def test_a_delegate_and_the_layers_in_it(delegated):
    (method,) = parse_pte(delegated).methods
    (delegate,) = method.delegates
    assert delegate.backend == "XnnpackBackend" and not method.operators
    payload = read_payload(delegate.data)
    (layer,) = payload.layers
    assert layer.weight_shape == (5, 3, 3, 3) and layer.weight_dtype == "float32"
    assert layer.constant_bytes == 4 * (5 * 27 + 5) and layer.output_scale is None


@pytest.mark.parametrize("which", ["portable", "delegated"])
def test_every_broken_file_is_a_sentence(which, delegated):
    data = colour_program() if which == "portable" else delegated
    rng = random.Random(0)
    broken = [data[: rng.randrange(len(data))] for _ in range(150)]
    for _ in range(400):
        changed = bytearray(data)
        for _ in range(rng.choice((1, 4, 64))):
            changed[rng.randrange(8, min(len(data), 4000))] = rng.randrange(256)
        broken.append(bytes(changed))
    for item in broken:
        try:
            for method in parse_pte(item).methods:
                for delegate in method.delegates:
                    read_payload(delegate.data)
        except (InputError, BrokenTableError) as error:
            assert str(error)


def test_a_broken_payload_is_a_note_and_no_crash(tmp_path, delegated):
    """Mutations behind the program's own tables: what the delegate wrote. A `struct.error` came out of them."""
    path, rng, notes = tmp_path / "broken.pte", random.Random(1), 0
    start = delegated.index(b"XH00")
    for _ in range(300):
        changed = bytearray(delegated)
        for _ in range(rng.choice((1, 4, 16))):
            changed[rng.randrange(start, len(changed))] = rng.choice((0, 255, rng.randrange(256)))
        path.write_bytes(changed)
        try:
            (method,) = inspect_program(path).methods
        except InputError:
            continue
        notes += any("not readable" in delegate.note for delegate in method.delegates)
    assert notes > 20


def test_tables_that_never_end_do_end():
    # A method vector of 2**31 entries that all lie in the file's last bytes.
    data = bytearray(colour_program()) + bytes(64)
    for where in range(8, len(data) - 4, 4):
        changed = bytearray(data)
        changed[where : where + 4] = b"\xff\xff\xff\x7f"
        try:
            parse_pte(bytes(changed))
        except InputError:
            continue


@pytest.mark.parametrize("content", [b"", b"PK\x03\x04", b"no program at all", b"\0\0\0\0ET12", b"\0\0\0\0BP08"])
def test_files_that_are_something_else(content):
    with pytest.raises(InputError):
        parse_pte(content)


def test_what_differs_between_two_programs(tmp_path, delegated):
    one, two, three = (tmp_path / f"{i}.pte" for i in range(3))
    one.write_bytes(colour_program())
    two.write_bytes(colour_program(SWAPPED))
    three.write_bytes(delegated)
    assert compare_programs(one, one) == {}
    assert set(compare_programs(one, two)) == {"sha256"}  # other weights of the same size
    found = compare_programs(one, three)
    assert found["forward: portable aten::mean.out"] == (1, None)
    assert found["forward: delegate 0"] == (None, "XnnpackBackend")


def test_where_a_program_runs_and_what_linking_takes(tmp_path, delegated):
    path = tmp_path / "model.pte"
    path.write_bytes(delegated)
    found = inspect_program(path)
    assert any("executorch-android:1.4.1" in sentence for sentence in found.runs_with)
    assert any("backend_xnnpack" in sentence for sentence in found.runs_with)
    assert any("-force_load" in sentence for sentence in found.linking)
    json.dumps(found.to_json())


def test_the_commands(tmp_path, delegated):
    whole, cut = tmp_path / "model.pte", tmp_path / "cut.pte"
    whole.write_bytes(delegated)
    cut.write_bytes(delegated[:500])
    done = call_cli("edge-effnet", "inspect", whole, "--layers", "--json")
    assert done.returncode == 0 and done.stderr == ""
    assert only_json(done.stdout)["methods"][0]["delegates"][0]["backend"] == "XnnpackBackend"
    refused = call_cli("edge-effnet", "diff", whole, cut)
    assert refused.returncode == 2 and "broken ExecuTorch program" in refused.stderr and not refused.stdout
