"""Vulkan (GPU of Android phones): fp32 and fp16, one delegate; lowers anywhere, runs on the phone."""

from __future__ import annotations

import logging
import re
from collections.abc import Iterator
from contextlib import contextmanager

from torch import fx

from quant.lower.backend import Source
from quant.lower.partitioned import lower_partitioned
from quant.lower.result import LoweredProgram
from quant.quiet import quiet_libraries

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

        return lower_partitioned(source, [partitioner], reason)


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
