"""Vulkan (GPU of Android phones): fp32 and fp16, one delegate; lowers anywhere, runs on the phone."""

from __future__ import annotations

import logging
import re
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace

from torch import fx

from quant.common.quiet import quiet_libraries
from quant.lower.backend import Source
from quant.lower.partitioned import lower_partitioned
from quant.lower.result import LoweredProgram
from quant.program.reader import parse_pte

BACKEND_NAME = "VulkanBackend"

_SKIPPED = re.compile(r"\[Vulkan Partitioner\] Due to \[(.*?)\], skipping (.*)", re.DOTALL)


def lower(source: Source) -> LoweredProgram:
    """Lower a float graph; fp16 keeps weights and tensors in half precision, input and output stay float32."""
    with _partitioner_log() as skipped:
        from executorch.backends.vulkan.partitioner.vulkan_partitioner import (  # noqa: PLC0415  (slow to import)
            VulkanPartitioner,
        )

        partitioner = VulkanPartitioner({"force_fp16": source.precision == "fp16"})

        def reason(node: fx.Node) -> str:
            return next((why for why, what in skipped if node.name in what), "Vulkan has no kernel for it")

        program = lower_partitioned(source, [partitioner], reason)
    return replace(program, facts=_read_back(program.data, source))


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
    return (f"read back: {len(program.named_data)} constants of {size:.2f} MB, float32 input and output",)


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
