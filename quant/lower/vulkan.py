"""Vulkan (GPU of Android phones): fp32, fp16 and int8, one delegate; lowers anywhere, runs on the phone."""

from __future__ import annotations

import copy
import logging
import re
from collections import Counter
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import replace

import torch
from torch import fx

from quant.common.quiet import quiet_libraries
from quant.graph.qdq import (
    CLAMP_RANGES,
    DEQUANTIZE,
    DEQUANTIZE_CHANNELS,
    QUANTIZE,
    following_quantize,
    fused_clamp,
    grid_of,
    tensor_scale,
)
from quant.lower.backend import Source
from quant.lower.partitioned import lower_partitioned, operator_name
from quant.lower.result import LoweredProgram
from quant.program.reader import parse_pte
from quant.program.vulkan_payload import read_operators

BACKEND_NAME = "VulkanBackend"

aten = torch.ops.aten

_IN_INT8 = (aten.conv2d.default, aten.add.Tensor, aten.add_.Tensor)
_KERNELS = "q8ta_"

# What computes nothing, or is not counted among operators.
_NOT_LEFT = (QUANTIZE, DEQUANTIZE, DEQUANTIZE_CHANNELS, aten.flatten.using_ints, aten.dropout.default)

_SKIPPED = re.compile(r"\[Vulkan Partitioner\] Due to \[(.*?)\], skipping (.*)", re.DOTALL)


def lower(source: Source) -> LoweredProgram:
    """Lower a graph; fp16 keeps weights and tensors in half precision, input and output stay float32.

    Raises:
        ValueError: the program does not hold what was asked for.
    """
    if source.precision == "int8":
        source = replace(source, graph=without_spare_clamps(source.graph))
    with _partitioner_log() as skipped:
        from executorch.backends.vulkan.partitioner.vulkan_partitioner import (  # noqa: PLC0415  (slow to import)
            VulkanPartitioner,
        )

        partitioner = VulkanPartitioner({"force_fp16": source.precision == "fp16"})

        def reason(node: fx.Node) -> str:
            return next((why for why, what in skipped if node.name in what), "Vulkan has no kernel for it")

        with _without_graph_patterns():
            program = lower_partitioned(source, [partitioner], reason)
    return replace(program, facts=_read_back(program.data, source))


@contextmanager
def _without_graph_patterns() -> Iterator[None]:
    """Look for no rotary embeddings of language models: they are exported anew at every look, which takes 4 s."""
    from executorch.backends.vulkan.patterns import fusable_patterns  # noqa: PLC0415

    known = [(pattern, pattern.get_graphs_fn) for pattern in fusable_patterns.values() if pattern.get_graphs_fn]
    for pattern, _ in known:
        pattern.get_graphs_fn = list
    try:
        yield
    finally:
        for pattern, graphs in known:
            pattern.get_graphs_fn = graphs


def without_spare_clamps(converted: fx.GraphModule) -> fx.GraphModule:
    """Return a copy without the clamps that the grid behind them does too: its ends are theirs.

    Vulkan's int8 convolution takes no clamp at 6; one behind it would compute in float, between a dq and a q.
    """
    with quiet_libraries():
        graph_module = copy.deepcopy(converted)
    for node in list(graph_module.graph.nodes):
        clamp = fused_clamp(node)
        quantize = following_quantize(clamp) if clamp is not None else None
        if clamp is None or quantize is None:
            continue
        scale, (low, high) = tensor_scale(quantize), CLAMP_RANGES[clamp.target](clamp)
        least, most = (scale.scale * (end - scale.zero_point) for end in grid_of(quantize))
        # Half a step beyond is rounded to the same end.
        if least > low - scale.scale / 2 and most < high + scale.scale / 2:
            clamp.replace_all_uses_with(node)
            graph_module.graph.erase_node(clamp)
    graph_module.recompile()
    return graph_module


def _read_back(data: bytes, source: Source) -> tuple[str, ...]:
    """Say what the .pte holds, from its own bytes: only an Android GPU runs it."""
    program = parse_pte(data)
    (method,) = program.methods
    delegates = [delegate for delegate in method.delegates if delegate.backend == BACKEND_NAME]
    half = [delegate.specs.get("force_fp16") == b"\x01" for delegate in delegates]
    wrong = [tensor for tensor in (*method.inputs, *method.outputs) if tensor.dtype != "float32"]
    if wrong or any(flag != (source.precision == "fp16") for flag in half):
        raise ValueError(f"the Vulkan program for {source.precision} has {wrong} at its border, fp16 flags {half}.")
    size = sum(size for _, size in program.named_data) / 1e6
    constants = f"read back: {len(program.named_data)} constants of {size:.2f} MB, float32 input and output"
    if source.precision != "int8":
        return (constants,)
    operators: Counter[str] = Counter()
    for delegate in delegates:
        operators.update(read_operators(delegate.data))
    return (constants, *_int8_facts(operators, source.graph))


def _int8_facts(operators: Mapping[str, int], graph_module: fx.GraphModule) -> tuple[str, ...]:
    """What is int8 in a program and what is not; every convolution and addition of the graph has to be."""
    nodes = list(graph_module.graph.nodes)
    wanted = sum(node.target in _IN_INT8 for node in nodes)
    found = {name.removeprefix("et_vk.").partition(".")[0]: n for name, n in operators.items() if _KERNELS in name}
    if sum(found.values()) != wanted:
        raise ValueError(f"{wanted} convolutions and additions are int8 in the graph, {found} in the Vulkan program.")
    borders = sum(n for name, n in operators.items() if "quantize_per_tensor" in name)
    left = Counter(
        operator_name(node).split(".")[1]
        for node in nodes
        if node.op == "call_function" and node.target not in (*_NOT_LEFT, *_IN_INT8)
    )
    return (
        f"read back: in int8 {', '.join(f'{n} {name}' for name, n in sorted(found.items()))}",
        f"in float between int8 operators: {', '.join(f'{n} {name}' for name, n in sorted(left.items()))}; "
        f"{borders} passes over a tensor turn int8 into float32 or back",
    )


class _Collector(logging.Handler):
    def __init__(self) -> None:
        super().__init__()
        self.skipped: list[tuple[str, str]] = []

    def emit(self, record: logging.LogRecord) -> None:
        match = _SKIPPED.match(record.getMessage())
        if match:
            self.skipped.append((match[1], match[2]))


@contextmanager
def _partitioner_log() -> Iterator[list[tuple[str, str]]]:
    """Collect why nodes were skipped: the partitioner says it to the root logger only, and opens that wide."""
    root, collector = logging.getLogger(), _Collector()
    level, handlers = root.level, root.handlers[:]
    try:
        with quiet_libraries():
            root.handlers[:] = [collector]
            yield collector.skipped
    finally:
        root.handlers[:] = handlers
        root.setLevel(level)
