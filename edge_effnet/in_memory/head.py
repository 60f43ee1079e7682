"""The head of somebody's module, whatever its layers: what its exported graph does behind the pooled features.

A head works on one number a channel, so a pixel's convolution is a Linear, reshaping to [N, C, 1, 1] is nothing, and
arithmetic with constants is what a BatchNorm does: so it has fewer kinds of operators, which a phone's kernels have.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import Any

import torch
from torch import fx, nn

from edge_effnet.errors import InputError
from edge_effnet.in_memory.compare import differs, logits_in
from edge_effnet.io.text import brief, listed_names

aten = torch.ops.aten

CARRIED = "carried"
"""What stands for the words of a head that is taken as it is (`edge_effnet.head`)."""


def carried_head(original: nn.Module, features: nn.Module, x: torch.Tensor, *, name: str) -> fx.GraphModule:
    """Export a module and cut it behind its pooled features.

    Args:
        original: a copy of the module, in eval mode.
        features: the network of ours in front of the head: images -> [N, C].
        x: images to find the features by, [2, C, H, W].
        name: of the module, for messages.

    Returns:
        ATen operators, [N, C] -> [N, outputs], for any N.

    Raises:
        InputError: torch.export cannot take it, or it reads more of the network than those features.
    """
    exported = _exported(original, x, name)
    with torch.no_grad():
        found = _Finder(exported, features(x))
        found.run(x)
    head = HeadGraph(found.places, found.constants).cut(exported.graph)
    if head is None:
        layers = [layer for layer, _ in original.named_children()]
        raise InputError(
            f"model: {name} computes its outputs from other than the mean of the last features over all pixels (its "
            f"layers: {listed_names(layers)}), which is not known here; pass the network without that head "
            '(head="none" gives the features), or one that pools so.'
        )
    return head


class _Logits(nn.Module):
    """A module with the logits alone as its output."""

    def __init__(self, module: nn.Module) -> None:
        super().__init__()
        self.module = module

    def forward(self, x: torch.Tensor) -> Any:
        return logits_in(self.module(x))


def _exported(original: nn.Module, x: torch.Tensor, name: str) -> fx.GraphModule:
    batch = torch.export.Dim("batch", min=1, max=4096)
    try:
        program = torch.export.export(_Logits(original), (x,), dynamic_shapes=({0: batch},), strict=False)
        exported = program.module(check_guards=False)
    except Exception as error:  # whatever a class of somebody else's, or the exporter, raises
        raise InputError(
            f"model: {name} has a head of its own that torch.export does not take ({type(error).__name__}: "
            f'{brief(error)}); make its forward exportable, or pass head="none" for the features in front of it.'
        ) from error
    assert isinstance(exported, fx.GraphModule)
    return exported


class _Finder(fx.Interpreter):
    """Runs an exported graph: finds the nodes that are the pooled features, and values that no image changes."""

    def __init__(self, module: fx.GraphModule, pooled: torch.Tensor) -> None:
        super().__init__(module)
        self.pooled = pooled
        self.places: set[fx.Node] = set()
        self.constants: dict[fx.Node, torch.Tensor] = {}

    def run_node(self, n: fx.Node) -> Any:
        """Run one node (fx's protocol)."""
        value = super().run_node(n)
        if not isinstance(value, torch.Tensor):
            return value
        if n.op == "get_attr" or (n.op == "call_function" and all(m in self.constants for m in n.all_input_nodes)):
            self.constants[n] = value
        elif value.ndim in (2, 4) and value.numel() == self.pooled.numel():
            pooled = value.flatten(1)
            if pooled.shape == self.pooled.shape and not differs(self.pooled, pooled):
                self.places.add(n)
        return value


class HeadGraph:
    """Builds the graph behind the features of another, all of it on [N, C]: [N, C, 1, 1] there is that here."""

    def __init__(self, places: Iterable[fx.Node], constants: Mapping[fx.Node, torch.Tensor]) -> None:
        self.places, self.constants = set(places), constants
        self.root, self.graph = nn.Module(), fx.Graph()
        self.features = self.graph.placeholder("features")
        self.values: dict[fx.Node, fx.Node] = {}

    def cut(self, whole: fx.Graph) -> fx.GraphModule | None:
        """The graph from features to outputs; None where outputs depend on the images in another way too."""
        (end,) = (node for node in whole.nodes if node.op == "output")
        (last,) = end.all_input_nodes
        needed = self._needed(last)
        if last in self.places or needed is None:
            return None
        for node in whole.nodes:
            if node in needed:
                self.values[node] = self._copied(node)
        self.graph.output(self.values[last])
        self.graph.eliminate_dead_code()
        return fx.GraphModule(self.root, self.graph).eval()

    def constant(self, value: torch.Tensor) -> fx.Node:
        """A node that gives a tensor."""
        name = f"constant_{len(list(self.root.buffers()))}"
        self.root.register_buffer(name, value.detach().clone())
        return self.graph.get_attr(name)

    def call(self, operator: Any, *arguments: Any) -> fx.Node:
        """A node that runs an operator."""
        return self.graph.call_function(operator, arguments)

    def _needed(self, last: fx.Node) -> set[fx.Node] | None:
        needed: set[fx.Node] = set()
        waiting = [last]
        while waiting:
            node = waiting.pop()
            if node in needed:
                continue
            if node.op == "placeholder":
                return None
            needed.add(node)
            # The size of a batch is that of the features.
            if not (node in self.places or node in self.constants or node.target is aten.sym_size.int):
                waiting += node.all_input_nodes
        return needed

    def _copied(self, node: fx.Node) -> fx.Node:
        if node in self.places:
            return self.features
        if node in self.constants:
            return self.constant(self.constants[node])
        if node.target is aten.sym_size.int:
            return self.call(aten.sym_size.int, self.features, 0)
        rule = SIMPLER.get(node.target)
        simpler = None if rule is None else rule(self, node, *node.args)
        return simpler or self.graph.node_copy(node, lambda n: self.values[n])


_EPS = 1e-5
"""torch's BatchNorm's."""


def _linear(head: HeadGraph, _: fx.Node, x: fx.Node, weight: fx.Node, bias: fx.Node | None = None) -> fx.Node | None:
    """With a bias, whatever it was without."""
    values = head.constants.get(weight)
    return None if values is None else _with_bias(head, x, values, bias)


def _convolution(
    head: HeadGraph, _: Any, x: fx.Node, weight: fx.Node, bias: Any = None, *rest: Any
) -> fx.Node | None:
    values = head.constants.get(weight)
    padded = len(rest) > 1 and any(rest[1])
    if values is None or values.shape[2:] != (1, 1) or padded or values.shape[1] != _channels(x):
        return None
    return _with_bias(head, x, values.flatten(1), bias)


def _with_bias(head: HeadGraph, x: fx.Node, weight: torch.Tensor, bias: fx.Node | None) -> fx.Node:
    given = None if bias is None else head.constants.get(bias)
    values = torch.zeros(len(weight)) if given is None else given
    return head.call(aten.linear.default, head.values[x], head.constant(weight), head.constant(values))


def _dropped(head: HeadGraph, node: fx.Node, x: fx.Node, *_: Any) -> fx.Node | None:
    """A reshape between [N, C] and [N, C, 1, 1], or a mean over one pixel."""
    before, after = x.meta["val"].shape, node.meta["val"].shape
    same = len(after) >= 2 and before[1] == after[1] and all(side == 1 for side in (*before[2:], *after[2:]))
    return head.values[x] if same else None


def _prelu(head: HeadGraph, _: fx.Node, x: fx.Node, slope: fx.Node) -> fx.Node | None:
    values = head.constants.get(slope)
    if values is None or values.numel() != 1:
        return None
    return head.call(aten.leaky_relu.default, head.values[x], values.item())


def _affine(change: Callable[[torch.Tensor], tuple[torch.Tensor, torch.Tensor]], *, commutes: bool) -> _Rule:
    """Arithmetic of a tensor and a constant, changed to a scale and a shift, as a BatchNorm.

    Gives None where both depend on the images.
    """

    def rule(head: HeadGraph, node: fx.Node, x: Any, given: Any) -> fx.Node | None:
        if commutes and x in head.constants:
            x, given = given, x
        constant = head.constants.get(given) if isinstance(given, fx.Node) else torch.tensor(float(given))
        channels = _channels(x)
        if x in head.constants or constant is None or constant.numel() not in (1, channels) or node.kwargs:
            return None
        scale, shift = change(constant.flatten().to(torch.float32).expand(channels))
        statistics = torch.zeros(channels), torch.full((channels,), 1 - _EPS)
        tensors = (head.constant(value) for value in (scale, shift, *statistics))
        return head.call(aten.batch_norm.default, head.values[x], *tensors, False, 0.1, _EPS, False)

    return rule


def _channels(node: Any) -> int:
    return int(node.meta["val"].shape[1]) if isinstance(node, fx.Node) and node.meta["val"].ndim >= 2 else 0


_Rule = Callable[..., fx.Node | None]
"""From the graph, an operator's node and its arguments; None for what it does not write otherwise."""

_scaled = _affine(lambda c: (c, torch.zeros_like(c)), commutes=True)
_divided = _affine(lambda c: (1 / c, torch.zeros_like(c)), commutes=False)
_shifted = _affine(lambda c: (torch.ones_like(c), c), commutes=True)
_lowered = _affine(lambda c: (torch.ones_like(c), -c), commutes=False)

SIMPLER: dict[Any, _Rule] = {
    aten.linear.default: _linear,
    aten.conv2d.default: _convolution,
    aten.prelu.default: _prelu,
    **dict.fromkeys((aten.mul.Tensor, aten.mul_.Tensor), _scaled),
    **dict.fromkeys((aten.div.Tensor, aten.div_.Tensor), _divided),
    **dict.fromkeys((aten.add.Tensor, aten.add_.Tensor), _shifted),
    **dict.fromkeys((aten.sub.Tensor, aten.sub_.Tensor), _lowered),
    **dict.fromkeys(
        (aten.dropout.default, aten.clone.default, aten.contiguous.default),
        lambda head, _, x, *__: head.values[x],
    ),
    **dict.fromkeys(
        (
            *(aten.view.default, aten.reshape.default, aten.flatten.using_ints, aten.unsqueeze.default),
            *(aten.squeeze.dim, aten.squeeze.dims, aten.squeeze.default),
            *(aten.mean.dim, aten.adaptive_avg_pool2d.default),
        ),
        _dropped,
    ),
}
