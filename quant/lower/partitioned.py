"""The stock way: export at a fixed shape, let a backend's partitioner take what it can, serialize."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import torch
from torch import fx

from quant.common.quiet import quiet_libraries
from quant.lower.backend import Source
from quant.lower.result import Delegation, Leftover, LoweredProgram

with quiet_libraries():
    from executorch.exir import to_edge_transform_and_lower

Reason = Callable[[fx.Node], str]

# Delegate calls, what unpacks their results, and operators that place tensors but compute nothing.
_NOT_OPERATORS = ("executorch_call_delegate", "getitem", "alloc", "view")


def lower_partitioned(source: Source, partitioners: Sequence[Any], reason: Reason) -> LoweredProgram:
    """Lower with stock partitioners.

    Args:
        source: what to lower.
        partitioners: of executorch; none gives a program of portable kernels.
        reason: says why a node was left to portable kernels.
    """
    shape = source.input_shape
    with quiet_libraries(), torch.no_grad():
        exported = torch.export.export(source.graph, (torch.zeros(shape),), strict=False)
        edge = to_edge_transform_and_lower(exported, partitioner=list(partitioners))
        return finished(edge, shape, reason)


def finished(edge: Any, input_shape: tuple[int, ...], reason: Reason) -> LoweredProgram:
    """Serialize a program whose delegates are made, and say what is in it.

    Args:
        edge: executorch's `EdgeProgramManager`.
        input_shape: of the program's only input.
        reason: says why a node was left to portable kernels.
    """
    graph_module = edge.exported_program().graph_module
    nodes = list(graph_module.graph.nodes)
    leftovers = tuple(
        Leftover(node=node.name, operator=operator_name(node), reason=reason(node))
        for node in nodes
        if _is_operator(node)
    )
    modules = [getattr(graph_module, str(node.target)) for node in nodes if node.op == "get_attr"]
    delegates = [module.original_module for module in modules if hasattr(module, "original_module")]
    inside = [node for delegate in delegates for node in delegate.graph.nodes if _is_operator(node)]
    delegated = sum("quantize" not in operator_name(node) for node in inside)
    (result,) = nodes[-1].args[0]
    return LoweredProgram(
        output_shape=tuple(int(side) for side in result.meta["val"].shape),
        data=bytes(edge.to_executorch().buffer),
        delegation=Delegation(partitions=len(delegates), delegated=delegated, left=len(leftovers)),
        input_shape=input_shape,
        leftovers=leftovers,
    )


def operator_name(node: fx.Node) -> str:
    """Such as `aten.mul.Tensor`; a Python function's own name."""
    schema = getattr(node.target, "_schema", None)
    if schema is None:
        return str(getattr(node.target, "__name__", node.target))
    return f"{schema.name.replace('::', '.')}.{schema.overload_name or 'default'}"


def _is_operator(node: fx.Node) -> bool:
    return node.op == "call_function" and operator_name(node).split(".")[0] not in _NOT_OPERATORS
