"""What a program's file gives away, on payloads that are written down."""

from dataclasses import replace

import pytest

from edge_effnet.errors import InputError
from quant.checks import program_identity
from quant.checks.program_identity import check_programs, xnnpack_layers
from quant.program.flatbuffer import BrokenTableError
from quant.program.reader import PteTensor
from tests.support.payloads import layer, program, read_as

TENSOR = PteTensor(dtype="float32", shape=(1, 3, 8, 8), dim_order=(0, 1, 2, 3), constant_bytes=0)


def test_layers_without_weights_are_named_by_program(monkeypatch):
    read_as(monkeypatch, {b"a": [layer(0), layer(1, dead=True)], b"b": [layer(0)]})
    (found,) = check_programs({"pte": program(b"a"), "float": program(b"b")})
    assert found.code == "dead-layers"
    assert found.message == ("the pte program's weights are all zero in convolution 1: it computes nothing there")


def test_three_are_named_and_the_others_counted(monkeypatch):
    read_as(monkeypatch, {b"a": [layer(i, dead=True) for i in range(5)]})
    (found,) = check_programs({"float": program(b"a")})
    assert "in convolution 0, convolution 1, convolution 2 and 2 more: " in found.message


def test_layers_of_all_delegates_of_xnnpack_count_and_of_no_other(monkeypatch):
    read_as(monkeypatch, {b"a": [layer(0)], b"b": [layer(1)]})
    both = program(b"a", b"b")
    assert [each.name for each in xnnpack_layers(both)] == ["convolution 0", "convolution 1"]
    assert xnnpack_layers(program(b"a", backend="CoreMLBackend")) == []


def test_a_broken_payload_is_an_input_error(monkeypatch):
    def broken(data, budget):
        raise BrokenTableError("cut")

    monkeypatch.setattr(program_identity, "read_payload", broken)
    with pytest.raises(InputError, match=r"model\.pte: a broken XNNPACK payload \(cut\); regenerate it"):
        check_programs({"pte": program(b"a")})


@pytest.mark.parametrize(("order", "words"), [((0, 2, 3, 1), "channels last"), ((3, 2, 1, 0), "dim order")])
def test_inputs_that_are_not_contiguous_are_refused(order, words):
    (method,) = program().methods
    odd = replace(program(), methods=(replace(method, inputs=(replace(TENSOR, dim_order=order),)),))
    with pytest.raises(InputError, match=f"forward takes or gives {words}"):
        check_programs({"pte": odd})
    check_programs({"pte": replace(odd, methods=(replace(method, inputs=(TENSOR,)),))})
