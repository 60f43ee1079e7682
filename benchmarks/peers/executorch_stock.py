"""ExecuTorch as its tutorial has it: PT2E with XNNPACKQuantizer, lowered by XnnpackPartitioner."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import torch
from executorch.backends.xnnpack.partition.xnnpack_partitioner import XnnpackPartitioner
from executorch.backends.xnnpack.quantizer.xnnpack_quantizer import (
    XNNPACKQuantizer,
    get_symmetric_quantization_config,
)
from executorch.exir import to_edge_transform_and_lower
from executorch.extension.pybindings import _portable_lib
from executorch.runtime import Runtime
from torchao.quantization.pt2e.quantize_pt2e import convert_pt2e, prepare_pt2e

from peers.peer import Forward, Material, Peer, Run


def quantize(material: Material, out: Path) -> None:
    """Histogram observers over the calibration images, int8 weights a channel."""
    example = (material.example,)
    graph = torch.export.export(material.network, example).module()
    quantizer = XNNPACKQuantizer().set_global(get_symmetric_quantization_config(is_per_channel=True))
    prepared = prepare_pt2e(graph, quantizer)
    with torch.no_grad():
        for batch in material.batches("calibration"):
            prepared(torch.from_numpy(batch))
        converted = convert_pt2e(prepared)
    exported = torch.export.export(converted, example)
    program = to_edge_transform_and_lower(exported, partitioner=[XnnpackPartitioner()]).to_executorch()
    (out / PEER.file).write_bytes(program.buffer)


def load(path: Path, threads: int) -> Run:
    """Load into this process's runtime."""
    _portable_lib._unsafe_reset_threadpool(threads)
    # A method reads from its program, which has to outlive it.
    program = Runtime.get().load_program(path)
    method = program.load_method("forward")
    assert method is not None

    def run(x: np.ndarray) -> np.ndarray:
        logits: np.ndarray = method.execute([torch.from_numpy(x)])[0].numpy().copy()
        return logits

    return run


def forward(path: Path, threads: int, x: np.ndarray) -> Forward:
    """The runtime's own binding, without the Python layer above it."""
    _portable_lib._unsafe_reset_threadpool(threads)
    program = _portable_lib._load_program(str(path))
    method = program.load_method("forward")
    inputs = [torch.from_numpy(x)]
    return lambda _program=program: method.call(inputs)  # the method reads from its program


PEER = Peer(
    title="ExecuTorch, XNNPACKQuantizer",
    packages=("executorch", "torchao"),
    file="stock.pte",
    quantize=quantize,
    load=load,
    forward=forward,
)
