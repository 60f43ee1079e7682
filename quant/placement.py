"""Where q/dq pairs go for each kind of backend; the ranges come from one calibration, whatever the placement.

`xnnpack` (quant/quantizer.py) puts a pair behind every operator. `inputs` is for compilers that fuse a convolution
with its activation and compute what lies between in their own float: a pair stands in front of every convolution,
classifier, residual addition and pooling, and nowhere else. So do CoreMLQuantizer and NNCF's performance preset for
OpenVINO, but with ranges of their own.
"""

from __future__ import annotations

from dataclasses import dataclass, field

import torch
from torch import fx

from quant.qdq import WEIGHTED
from quant.quantizer import SAME_VALUES, ActivationSpec, EfficientNetQuantizer
from quant.quiet import quiet_libraries

with quiet_libraries():
    from torchao.quantization.pt2e.quantizer import (
        QuantizationAnnotation,
        QuantizationSpec,
        QuantizationSpecBase,
        Quantizer,
    )

aten = torch.ops.aten

_READ_INT8 = (*WEIGHTED, aten.add.Tensor, aten.add_.Tensor, aten.mean.dim)


@dataclass
class InputQuantizer(Quantizer):  # type: ignore[misc]
    """Annotates what convolutions, classifier, residual additions and pooling read."""

    activation: ActivationSpec
    """Gives the spec of the tensor that a node produces."""
    weight: QuantizationSpec
    """Spec of convolution and classifier weights."""
    float_nodes: frozenset[str] = frozenset()
    """Names of graph nodes that stay in float."""
    _specs: dict[fx.Node, QuantizationSpecBase] = field(default_factory=dict, init=False, repr=False)

    def annotate(self, model: fx.GraphModule) -> fx.GraphModule:
        """Annotate in place (PT2E protocol)."""
        self._specs.clear()
        for node in model.graph.nodes:
            if node.target not in _READ_INT8 or node.name in self.float_nodes:
                continue
            annotation = _annotation(node)
            for source in node.args[: 2 if node.target in (aten.add.Tensor, aten.add_.Tensor) else 1]:
                assert isinstance(source, fx.Node)
                annotation.input_qspec_map[source] = self._spec(source)
                _annotation(source).output_qspec = self._spec(source)
            if node.target in WEIGHTED:
                annotation.input_qspec_map[node.args[1]] = self.weight
        return model

    def validate(self, model: fx.GraphModule) -> None:
        """Nothing to add: the table of operators above decides what is annotated (PT2E protocol)."""

    def _spec(self, node: fx.Node) -> QuantizationSpecBase:
        # A padded or flattened tensor holds the values of the one before it, whose range was measured.
        while node.target in SAME_VALUES:
            source = node.args[0]
            assert isinstance(source, fx.Node)
            node = source
        if node not in self._specs:
            self._specs[node] = self.activation(node)
        return self._specs[node]


def _annotation(node: fx.Node) -> QuantizationAnnotation:
    return node.meta.setdefault("quantization_annotation", QuantizationAnnotation(_annotated=True))


PLACEMENTS = {"xnnpack": EfficientNetQuantizer, "inputs": InputQuantizer}
