"""Where q/dq pairs go for each kind of backend; the ranges come from one calibration, whatever the placement.

`xnnpack` puts a pair behind every operator. `inputs` is for compilers that fuse a convolution with its activation and
compute what lies between in their own float: a pair stands in front of every convolution, classifier, residual
addition and pooling, and nowhere else. So do CoreMLQuantizer and NNCF's performance preset for OpenVINO, but with
ranges of their own.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

import torch
from torch import fx

from quant.common.quiet import quiet_libraries
from quant.graph.export import silus_of
from quant.graph.pixels import PIXEL_SCALE, pixels
from quant.graph.qdq import CLAMP_RANGES, QMAX, QMAX16, QMIN, QMIN16, WEIGHTED, fused_clamp

with quiet_libraries():
    from torchao.quantization.pt2e.quantizer import (
        FixedQParamsQuantizationSpec,
        QuantizationAnnotation,
        QuantizationSpec,
        QuantizationSpecBase,
        Quantizer,
        SharedQuantizationSpec,
    )

aten = torch.ops.aten

# XNNPACK's int8 sigmoid writes exactly this scale and zero point, and rejects every other.
SIGMOID_OUTPUT = FixedQParamsQuantizationSpec(
    dtype=torch.int8,
    scale=1.0 / 256.0,
    zero_point=-128,
    quant_min=QMIN,
    quant_max=QMAX,
    qscheme=torch.per_tensor_affine,
)

_PIXELS = FixedQParamsQuantizationSpec(
    dtype=torch.int8,
    scale=PIXEL_SCALE.scale,
    zero_point=PIXEL_SCALE.zero_point,
    quant_min=QMIN,
    quant_max=QMAX,
    qscheme=torch.per_tensor_affine,
)

ActivationSpec = Callable[[fx.Node], QuantizationSpecBase]

_UNARY = (aten.hardswish.default, aten.hardswish_.default, aten.mean.dim)
_ADD = (aten.add.Tensor, aten.add_.Tensor)
_BINARY = (*_ADD, aten.mul.Tensor, aten.mul_.Tensor)

SAME_VALUES = (aten.flatten.using_ints, aten.view.default, aten.reshape.default, aten.pad.default)
"""Operators that move values and compute none."""


@dataclass
class _Placement(Quantizer):  # type: ignore[misc]
    """What the quantizers share: a spec for each tensor, the same for all who read it."""

    activation: ActivationSpec
    """Gives the spec (observer or fixed qparams) of the tensor that a node produces."""
    weight: QuantizationSpec
    """Spec of convolution and classifier weights."""
    float_nodes: frozenset[str] = frozenset()
    """Names of graph nodes that stay in float."""
    _specs: dict[fx.Node, QuantizationSpecBase] = field(default_factory=dict, init=False, repr=False)

    def validate(self, model: fx.GraphModule) -> None:
        """Nothing to add: the tables of operators decide what is annotated (PT2E protocol)."""

    def _spec(self, node: fx.Node) -> QuantizationSpecBase:
        if node not in self._specs:
            self._specs[node] = self.activation(node)
        return self._specs[node]


class EfficientNetQuantizer(_Placement):
    """Annotates convolutions, classifier, activations, gates, pooling and residual additions.

    One q/dq pair stands behind every operator that XNNPACK runs, except between a convolution and the clamp
    (ReLU, ReLU6) that XNNPACK fuses into it.
    """

    sigmoid_output = SIGMOID_OUTPUT

    def annotate(self, model: fx.GraphModule) -> fx.GraphModule:
        """Annotate in place (PT2E protocol)."""
        self._specs.clear()
        for node in model.graph.nodes:
            if node.op != "call_function" or node.name in self.float_nodes:
                continue
            if node.target in WEIGHTED:
                self._annotate(node, inputs=(node.args[0],), weight=node.args[1])
            elif node.target in _BINARY and all(isinstance(a, fx.Node) for a in node.args[:2]):
                self._annotate(node, inputs=node.args[:2])
            elif node.target in (*CLAMP_RANGES, *_UNARY, aten.sigmoid.default):
                fused = isinstance(node.args[0], fx.Node) and fused_clamp(node.args[0]) is node
                self._annotate(node, inputs=() if fused else (node.args[0],))
            elif node.target in SAME_VALUES:
                self._annotate(node, inputs=(node.args[0],), shared=True)
        return model

    def _annotate(
        self,
        node: fx.Node,
        *,
        inputs: tuple[object, ...],
        weight: object = None,
        shared: bool = False,
    ) -> None:
        annotation = QuantizationAnnotation(_annotated=True)
        for source in inputs:
            assert isinstance(source, fx.Node)
            annotation.input_qspec_map[source] = self._spec(source)
        if isinstance(weight, fx.Node):
            annotation.input_qspec_map[weight] = self.weight
        if shared:
            self._specs[node] = SharedQuantizationSpec((inputs[0], node))
            annotation.output_qspec = self._specs[node]
        elif fused_clamp(node) is None:
            annotation.output_qspec = self._spec(node)
        node.meta["quantization_annotation"] = annotation

    def _spec(self, node: fx.Node) -> QuantizationSpecBase:
        if node.target is pixels:
            return _PIXELS
        return self.sigmoid_output if node.target is aten.sigmoid.default else super()._spec(node)


class HtpQuantizer(EfficientNetQuantizer):
    """Annotates for Qualcomm's HTP, whose compiler makes one operator of a SiLU's sigmoid and product.

    No pair stands between the two: the HTP rounds behind the product only.
    """

    def annotate(self, model: fx.GraphModule) -> fx.GraphModule:
        """Annotate in place (PT2E protocol)."""
        super().annotate(model)
        for product, (_, gate) in silus_of(model.graph).items():
            gate.meta["quantization_annotation"].output_qspec = None
            product.meta["quantization_annotation"].input_qspec_map.pop(gate)
        return model


class Htp16Quantizer(HtpQuantizer):
    """The same with activations of 16 bits."""

    sigmoid_output = FixedQParamsQuantizationSpec(
        dtype=torch.int16,
        scale=1.0 / 65536.0,
        zero_point=QMIN16,
        quant_min=QMIN16,
        quant_max=QMAX16,
        qscheme=torch.per_tensor_affine,
    )


@dataclass
class MixedHtpQuantizer(HtpQuantizer):
    """Annotates for the HTP with 16 bits in some operators, which read and write them; the others read and write 8.

    Where a tensor's writer and reader differ, one pair stands behind the other: the compiler converts there.
    """

    wide: frozenset[str] = frozenset()
    """Names of the nodes in 16 bits."""
    wide_activation: ActivationSpec | None = None
    """As `activation`, with 16 bits."""
    _wide: Htp16Quantizer = field(init=False, repr=False)
    """Annotates those nodes."""

    def annotate(self, model: fx.GraphModule) -> fx.GraphModule:
        """Annotate in place (PT2E protocol)."""
        self._wide = Htp16Quantizer(activation=self.wide_activation or self.activation, weight=self.weight)
        return super().annotate(model)

    def _annotate(self, node: fx.Node, **how: Any) -> None:
        if _widens(node, self.wide):
            self._wide._annotate(node, **how)
        else:
            super()._annotate(node, **how)


class VulkanQuantizer(EfficientNetQuantizer):
    """Annotates convolutions and residual additions, the only operators of these networks that Vulkan runs in int8.

    Everything else computes in float between a dq and a q, the classifier too (pytorch/executorch #22775: a static
    int8 one lowers, and fails at the first inference).
    """

    def annotate(self, model: fx.GraphModule) -> fx.GraphModule:
        """Annotate in place (PT2E protocol)."""
        self._specs.clear()
        for node in model.graph.nodes:
            if node.target is aten.conv2d.default:
                self._annotate(node, inputs=(node.args[0],), weight=node.args[1])
            elif node.target in _ADD:
                self._annotate(node, inputs=node.args[:2])
            elif node.target in CLAMP_RANGES:
                fused = fused_clamp(node.args[0]) is node
                if fused:
                    self._annotate(node, inputs=())
        return model

    def _spec(self, node: fx.Node) -> QuantizationSpecBase:
        return super()._spec(_source_of_values(node))


def _widens(node: fx.Node, wide: frozenset[str]) -> bool:
    """Whether a node is in 16 bits: executorch's passes convert none of a sigmoid's grid, so that reader decides."""
    while node.target in (aten.sigmoid.default, *SAME_VALUES):
        node = next(iter(node.users))
    return node.name in wide


def activations_of(graph_module: fx.GraphModule, float_nodes: frozenset[str]) -> list[str]:
    """Names of the nodes whose outputs `EfficientNetQuantizer` asks a spec for."""
    asked: list[str] = []

    def record(node: fx.Node) -> QuantizationSpecBase:
        asked.append(node.name)
        return SIGMOID_OUTPUT

    plan = EfficientNetQuantizer(activation=record, weight=SIGMOID_OUTPUT, float_nodes=float_nodes)
    plan.annotate(graph_module)
    for node in graph_module.graph.nodes:
        node.meta.pop("quantization_annotation", None)
    return asked


_READ_INT8 = (*WEIGHTED, *_ADD, aten.mean.dim)


class InputQuantizer(_Placement):
    """Annotates what convolutions, classifier, residual additions and pooling read."""

    def annotate(self, model: fx.GraphModule) -> fx.GraphModule:
        """Annotate in place (PT2E protocol)."""
        self._specs.clear()
        for node in model.graph.nodes:
            if node.target not in _READ_INT8 or node.name in self.float_nodes:
                continue
            annotation = _annotation(node)
            for source in node.args[: 2 if node.target in _ADD else 1]:
                assert isinstance(source, fx.Node)
                annotation.input_qspec_map[source] = self._spec(source)
                _annotation(source).output_qspec = self._spec(source)
            if node.target in WEIGHTED:
                annotation.input_qspec_map[node.args[1]] = self.weight
        return model

    def _spec(self, node: fx.Node) -> QuantizationSpecBase:
        return super()._spec(_source_of_values(node))


def _source_of_values(node: fx.Node) -> fx.Node:
    """A padded or flattened tensor holds the values of the one before it, whose range was measured."""
    while node.target in SAME_VALUES:
        source = node.args[0]
        assert isinstance(source, fx.Node)
        node = source
    return node


def _annotation(node: fx.Node) -> QuantizationAnnotation:
    return node.meta.setdefault("quantization_annotation", QuantizationAnnotation(_annotated=True))


@dataclass(frozen=True, kw_only=True, slots=True)
class Placement:
    """Where q/dq pairs go, and what follows from that."""

    quantizer: Callable[..., Any]
    """Makes a PT2E quantizer of `activation`, `weight` and `float_nodes`."""
    arithmetic: str | None
    """A key of `quant.lower.xnnpack.simulator.ARITHMETICS`, in which layers are reconstructed and figures simulated;
    None: what the program computes between q/dq pairs is not known."""
    portable_scales: bool = False
    """Whether scales are moved to where XNNPACK rounds alike on every processor."""
    skips_float: bool
    """Whether tensors between two float layers need no range."""
    keeps_float: bool = True
    """Whether the recipe's float layers stay in float: not where a program is either quantized or float16."""
    bits: int = 8
    """Of activations."""

    @property
    def to_the_bit(self) -> bool:
        """Whether the simulation gives the program's own bits, so that its analysis is the program's."""
        return self.arithmetic == "xnnpack"


PLACEMENTS: Mapping[str, Placement] = {
    "xnnpack": Placement(
        quantizer=EfficientNetQuantizer, arithmetic="xnnpack", portable_scales=True, skips_float=True
    ),
    "inputs": Placement(quantizer=InputQuantizer, arithmetic=None, skips_float=False),
    "htp": Placement(quantizer=HtpQuantizer, arithmetic="htp", skips_float=True, keeps_float=False),
    "vulkan": Placement(quantizer=VulkanQuantizer, arithmetic="htp", skips_float=True, keeps_float=False),
    "htp-16": Placement(quantizer=Htp16Quantizer, arithmetic="htp", skips_float=True, keeps_float=False, bits=16),
    "htp-mixed": Placement(quantizer=MixedHtpQuantizer, arithmetic="htp", skips_float=True, keeps_float=False),
}
