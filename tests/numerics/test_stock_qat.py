"""Why stock PT2E QAT loses points on MobileNetV3-like networks, shown on a few layers, and that ours does not.

`prepare_qat_pt2e` writes every Conv-BN pair again from a pattern whose BatchNorm has eps 1e-5 and momentum 0.1,
whatever the network's had. MobileNetV3 and the TensorFlow-born EfficientNets have eps 1e-3 and momentum 0.01, and
depthwise channels whose variance is of that size: the network that training starts from is another one than the one
that was given (pytorch/pytorch #114859 reports 12 points on MobileNetV3).
"""

from __future__ import annotations

import torch
from torch import nn

from edge_effnet import EfficientNet
from edge_effnet.fuse import fold_for_inference
from quant.common.quiet import quiet_libraries
from quant.graph.export import export_graph
from quant.lower.xnnpack.simulator import simulation_of
from quant.metrics.metrics import sqnr_db
from quant.qat.network import trainable
from tests.support.networks import images, trained_looking
from tests.support.ptq import quantized

_EPS = 1e-3


def _network(eps: float) -> nn.Module:
    """Two Conv-BN pairs with variances as small as a depthwise layer's, in eval mode."""
    torch.manual_seed(0)
    layers = []
    for channels in ((3, 16), (16, 16)):
        norm = nn.BatchNorm2d(channels[1], eps=eps, momentum=0.01)
        norm.running_var.uniform_(1e-4, 2e-3)
        layers += [nn.Conv2d(*channels, 3, padding=1, bias=False), norm, nn.ReLU()]
        nn.init.normal_(layers[-3].weight, std=0.01)
    return nn.Sequential(*layers, nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(16, 5)).eval()


def _stock_start(model: nn.Module, x: torch.Tensor) -> torch.Tensor:
    """What stock QAT computes before its first step, with fake quantization switched off."""
    with quiet_libraries():
        from executorch.backends.xnnpack.quantizer.xnnpack_quantizer import (
            XNNPACKQuantizer,
            get_symmetric_quantization_config,
        )
        from torchao.quantization.pt2e import disable_fake_quant, disable_observer, move_exported_model_to_eval
        from torchao.quantization.pt2e.quantize_pt2e import prepare_qat_pt2e

        config = get_symmetric_quantization_config(is_per_channel=True, is_qat=True)
        exported = torch.export.export(model.train(), (x,)).module()
        prepared = prepare_qat_pt2e(exported, XNNPACKQuantizer().set_global(config))
        move_exported_model_to_eval(prepared)
        prepared.apply(disable_fake_quant).apply(disable_observer)
        model.eval()
        with torch.no_grad():
            return prepared(x)


def _surprise(eps: float) -> float:
    """SQNR of stock QAT's network against the one it was given, dB."""
    model, x = _network(eps), images(8, 32)
    with torch.no_grad():
        wanted = model(x)
    return sqnr_db(wanted, _stock_start(model, x))


def test_stock_qat_starts_from_another_network_where_eps_is_not_the_patterns():
    assert _surprise(1e-5) > 60
    assert _surprise(_EPS) < 15


def test_ours_starts_from_the_calibrated_network_whatever_eps():
    model = EfficientNet.from_name("b0", num_classes=5, image_size=64, padding="symmetric")
    for module in model.modules():
        if isinstance(module, nn.BatchNorm2d):
            module.eps = _EPS
    model = trained_looking(model, image_size=64)
    for module in model.modules():
        if isinstance(module, nn.BatchNorm2d):
            module.running_var.mul_(0.01)
            module.running_mean.mul_(0.1)
            module.weight.data.mul_(0.1)
    graph, x = export_graph(fold_for_inference(model, 64), 64), images(8, 64)
    with torch.no_grad():
        torch.testing.assert_close(graph(x), model(x), rtol=1e-3, atol=1e-3)
        int8 = quantized(graph, [x])
        network = trainable(int8.converted, int8.unrounded)
        assert torch.equal(network.module(x), simulation_of(int8.converted).module(x))
