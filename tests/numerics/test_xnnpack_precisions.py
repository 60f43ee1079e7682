"""fp16 and dynamic programs of XNNPACK: one delegate, the right answers, the right size."""

import pytest
import torch

from edge_effnet import EfficientNet
from edge_effnet.activations import swap_activation
from edge_effnet.fuse import fold_for_inference
from quant.graph.export import export_graph
from quant.lower.xnnpack.lower import lower_xnnpack
from quant.metrics import metrics
from quant.program.reader import parse_pte
from tests.support.networks import images, trained_looking
from tests.support.warm import run_program

SIZE = 64


def exported(activation="swish", variant="b0"):
    torch.manual_seed(0)
    model = trained_looking(EfficientNet.from_name(variant, num_classes=8, image_size=SIZE), image_size=SIZE)
    return export_graph(fold_for_inference(swap_activation(model, activation), SIZE), SIZE)


@pytest.fixture(scope="module")
def b0():
    return exported()


@pytest.mark.parametrize("settings", [{"half": True}, {"dynamic_classifier": True}])
def test_they_answer_like_float_in_one_delegate(b0, settings, tmp_path):
    program = lower_xnnpack(b0, (1, 3, SIZE, SIZE), **settings)
    (method,) = parse_pte(program.data).methods
    assert len(method.delegates) == 1 and not method.operators
    inputs = images(4, SIZE)
    with torch.no_grad():
        # An untrained network amplifies rounding.
        assert metrics.sqnr_db(b0(inputs), run_program(tmp_path, program.data, inputs)) > 20


def test_fp16_takes_little_more_than_half_of_fp32(b0):
    """Only the stem and the depthwise convolutions keep fp32 weights."""
    half, full = (len(lower_xnnpack(b0, (1, 3, SIZE, SIZE), half=half).data) for half in (True, False))
    assert half <= 0.55 * full


@pytest.mark.parametrize("activation", ["hardswish", "relu6", "relu"])
def test_fp16_runs_every_activation(activation, tmp_path):
    graph = exported(activation, "lite0")
    inputs = images(2, SIZE)
    data = lower_xnnpack(graph, (1, 3, SIZE, SIZE), half=True).data
    with torch.no_grad():
        assert metrics.sqnr_db(graph(inputs), run_program(tmp_path, data, inputs)) > 20
