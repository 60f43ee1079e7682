"""Heads of several layers: folded exactly, and what the program runs of them is what was computed."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from torch import nn

from edge_effnet import EfficientNet, fold_for_inference
from quant.common.progress import NoProgress
from quant.graph.export import export_graph
from quant.graph.fallback_units import nodes_of, units
from quant.lower.xnnpack.lower import lower_xnnpack
from quant.lower.xnnpack.simulator import simulation_of
from quant.metrics.metrics import sqnr_db
from quant.ptq.steps import Context, Phase, State, quantize_program, run_steps
from quant.qat.network import trainable
from quant.recipes import RECIPES
from tests.support.networks import images, norms_as_trained, trained_looking
from tests.support.ptq import quantized
from tests.support.training import TINY
from tests.support.warm import run_program

SIZE = 32

# The last ones compute in float inside the delegate; the int8 ones are exact.
INT8 = [
    ("linear-relu-linear", (24,)),
    ("linear-batchnorm-silu-dropout-linear", (24,)),
    ("batchnorm-dropout-linear-hardswish-linear-relu6-linear", (24, 16)),
    ("none", ()),
]
IN_FLOAT = [
    ("layernorm-linear-gelu-linear", (24,)),
    ("linear-relu-batchnorm-relu-linear", (24,)),
    ("linear-tanh-linear-elu-linear-leakyrelu:0.2-linear", (24, 16, 8)),
]


def network(head: str, hidden: tuple[int, ...]) -> EfficientNet:
    model = EfficientNet.from_name(TINY, num_classes=5, image_size=SIZE, head=head, hidden_features=hidden)
    trained_looking(model, image_size=SIZE)
    norms_as_trained(model.classifier)
    return model.eval()


@pytest.mark.parametrize(("head", "hidden"), [*INT8, *IN_FLOAT])
def test_a_head_is_quantized_and_lowered_with_the_rest(head, hidden, tmp_path: Path) -> None:
    model, inputs = network(head, hidden), images(4, SIZE, seed=1)
    folded = fold_for_inference(model, SIZE)
    with torch.no_grad():
        expected = model(inputs)
        torch.testing.assert_close(folded(inputs), expected, rtol=1e-4, atol=1e-4)
    graph = export_graph(folded, SIZE)
    int8 = quantized(graph, [inputs], "int8-groups")
    lowered = lower_xnnpack(int8.converted, (1, 3, SIZE, SIZE))
    assert (lowered.delegation.partitions, lowered.delegation.left) == (1, 0)
    found = run_program(tmp_path, lowered.data, inputs)
    with torch.no_grad():
        simulated = simulation_of(int8.converted).module(inputs)
        assert torch.allclose(trainable(int8.converted).module(inputs), simulated, atol=0.1, rtol=0.02)
    assert found.shape == expected.shape
    assert sqnr_db(expected, found) > 12
    if (head, hidden) in INT8:
        assert torch.equal(found, simulated)
    else:
        assert sqnr_db(simulated, found) > 40


@pytest.mark.parametrize(("head", "hidden"), [*INT8[:2], IN_FLOAT[0]])
def test_a_linear_of_a_head_stays_in_float_with_its_activation(head, hidden, tmp_path: Path) -> None:
    model, inputs = network(head, hidden), images(4, SIZE, seed=1)
    graph = export_graph(fold_for_inference(model, SIZE), SIZE)
    linear = next(unit for unit in units(graph) if unit.nodes[0].target is torch.ops.aten.linear.default)
    context = Context(inputs=[inputs], recipe=RECIPES["int8-fast"], seed=0, progress=NoProgress())
    prepared = run_steps(Phase.NETWORK, State(graph=graph, float_nodes=nodes_of([linear])), context)
    converted = quantize_program(prepared, context).converted
    lowered = lower_xnnpack(converted, (1, 3, SIZE, SIZE))
    assert (lowered.delegation.partitions, lowered.delegation.left) == (1, 0)
    with torch.no_grad():
        simulated = simulation_of(converted).module(inputs)
    assert sqnr_db(simulated, run_program(tmp_path, lowered.data, inputs)) > 40


@pytest.mark.parametrize(("head", "hidden"), IN_FLOAT)
def test_the_float_program_is_the_float_network(head, hidden, tmp_path: Path) -> None:
    model, inputs = network(head, hidden), images(4, SIZE, seed=1)
    lowered = lower_xnnpack(export_graph(fold_for_inference(model, SIZE), SIZE), (1, 3, SIZE, SIZE))
    with torch.no_grad():
        torch.testing.assert_close(run_program(tmp_path, lowered.data, inputs), model(inputs), rtol=1e-3, atol=1e-4)


@pytest.mark.parametrize(
    ("head", "kinds"),
    [
        ("linear-batchnorm-relu-dropout-linear", [nn.Linear, nn.ReLU, nn.Linear]),
        ("batchnorm-dropout-linear", []),
        ("linear-relu-batchnorm-linear", [nn.Linear, nn.ReLU, nn.Linear]),
    ],
)
def test_batchnorm_and_dropout_fold_away(head, kinds) -> None:
    hidden = (24,) if head.count("linear") == 2 else ()
    classifier = fold_for_inference(network(head, hidden), SIZE).classifier
    assert [type(layer) for layer in classifier.children()] == kinds
    assert kinds or isinstance(classifier, nn.Linear)
