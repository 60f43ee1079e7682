"""One operator computed here is what the graph computes."""

from __future__ import annotations

import pytest
import torch
from torch import fx, nn
from torch.nn import functional as F

from quant.graph.compute import PlainInterpreter, convolve
from quant.graph.export import export_graph


@pytest.mark.parametrize("images", [1, 3])
@pytest.mark.parametrize(
    ("kernel", "stride", "padding", "groups"), [(1, 1, 0, 1), (1, 2, 0, 1), (1, 1, 1, 1), (1, 1, 0, 2), (3, 2, 1, 4)]
)
def test_a_convolution_by_onednn_is_torchs_to_the_bit_on_whole_numbers(images, kernel, stride, padding, groups):
    generator = torch.Generator().manual_seed(0)
    x = torch.randint(-128, 128, (images, 8, 7, 5), generator=generator).float()
    weight = torch.randint(-127, 128, (12, 8 // groups, kernel, kernel), generator=generator).float()
    bias = torch.randint(-999, 999, (12,), generator=generator).float()
    for layout in (torch.contiguous_format, torch.channels_last):
        x = x.contiguous(memory_format=layout)
        found = convolve(x, weight, bias, [stride, stride], [padding, padding], [1, 1], groups)
        assert torch.equal(found, F.conv2d(x, weight, bias, stride, padding, 1, groups))


def test_gradients_pass_through_it():
    x = torch.randn(2, 4, 5, 5, requires_grad=True)
    weight = torch.randn(6, 4, 1, 1)
    (found,) = torch.autograd.grad(convolve(x, weight).square().sum(), x)
    (expected,) = torch.autograd.grad(F.conv2d(x, weight).square().sum(), x)
    torch.testing.assert_close(found, expected)


@torch.no_grad()
def test_a_plain_interpreter_computes_what_fx_does():
    torch.manual_seed(0)
    model = nn.Sequential(nn.Conv2d(3, 8, 1), nn.SiLU(), nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(8, 4))
    graph, x = export_graph(model.eval(), 6), torch.randn(2, 3, 6, 6)
    torch.testing.assert_close(PlainInterpreter(graph).run(x), fx.Interpreter(graph).run(x))
