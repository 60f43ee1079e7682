"""What is said of activations with 16 bits, and that it is read back."""

import json

import pytest

from quant.common.json_io import schema_fault
from quant.lower.delegation import DelegationReport, activations_in_16_bits, report_delegation
from quant.lower.result import Delegation, LoweredProgram
from tests.support.mixed import mixed_graph

PROGRAM = LoweredProgram(
    data=b"",
    delegation=Delegation(partitions=1, delegated=9, left=0),
    input_shape=(1, 3, 32, 32),
    output_shape=(1, 4),
)


@pytest.mark.parametrize(("chosen", "activations", "values"), [(slice(None), 12, 1.0), (slice(0, 3), 3, None)])
def test_activations_with_16_bits_are_counted_and_kept(chosen, activations, values):
    graph, _ = mixed_graph(lambda names: names[chosen])
    report = report_delegation(PROGRAM, graph)
    assert report.int16 is not None and report.int16.activations == activations
    assert report.int16.values == values or (values is None and 0 < report.int16.values < 1)
    assert report.facts[0].startswith(f"int16 in {activations} of {report.int16.of} activations")
    written = json.loads(json.dumps(report.to_json()))
    assert schema_fault(written, "delegation", package="quant.artifact") is None
    assert DelegationReport.from_json(written) == report


def test_a_program_without_16_bits_says_what_it_said():
    graph, _ = mixed_graph(lambda names: ())
    assert activations_in_16_bits(graph) is None
    report = report_delegation(PROGRAM, graph)
    assert set(report.to_json()) == {"partitions", "delegated", "leftovers", "islands", "facts", "advice"}
    assert DelegationReport.from_json(report.to_json()) == report
