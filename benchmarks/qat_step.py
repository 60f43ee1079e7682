"""What a step of quantization-aware training costs beside a float one: processor time and peak memory.

    python benchmarks/qat_step.py [--variant b0] [--batch 32]

Each is measured in a process of its own, on the same images: a float training step of the network as `edge-effnet
train` has it (BatchNorm in training mode), a step in int8 of `--recipe qat-int8` without and with its teacher, the
same with gradients by plain autograd instead of `quant/qat/kernels.py`, and the step of stock `prepare_qat_pt2e` with
XNNPACKQuantizer. Writes `benchmarks/results/qat_step.md` and `.json`.
"""

from __future__ import annotations

import argparse
import json
import os
import resource
import statistics
import subprocess
import sys
import time
from collections.abc import Callable

import torch
from process_tree import resident_bytes
from tables import write_results
from torch import Tensor, nn

from apps.cli.process import keep_freed_memory, wait_asleep
from edge_effnet import EfficientNet
from edge_effnet.fuse import fold_for_inference
from quant.common.progress import NoProgress
from quant.common.quiet import quiet_libraries
from quant.graph.export import export_graph
from quant.graph.qdq import QMAX, QMIN, Range
from quant.ptq.steps import quantize_graph
from quant.qat import operators
from quant.qat.kernels import SIGMOID_STEPS, Geometry, gate_corrections, gate_steps
from quant.qat.network import trainable
from quant.qat.options import QatOptions
from quant.recipes import RECIPES

STEPS, WARMUP = 6, 2


def _float(variant: str, images: Tensor) -> Callable[[], Tensor]:
    model = EfficientNet.from_name(variant, num_classes=10).train().to(memory_format=torch.channels_last)
    return _step(model, images, lambda x: torch.zeros(len(x), 10))


def _requantize_plainly(real: Tensor, exact: Tensor, scale: Tensor, zero: Tensor, limits: Range) -> Tensor:
    """Saturate `exact`, with the gradients of `real` wherever rounding passed straight does not saturate."""
    low, high = (zero.item() + limit / scale.item() for limit in limits)
    steps = exact.detach() + (real - real.detach()) + zero
    return steps.clamp(max(QMIN, low), min(QMAX, high)) - zero


def _convolve_plainly(
    v: Tensor,
    source: Tensor,
    weight: Tensor,
    weight_scale: Tensor,
    bias: Tensor,
    scale: Tensor,
    zero: Tensor,
    limits: Range,
    geometry: Geometry,
    *_: object,
) -> Tensor:
    steps = bias / (weight_scale * source)
    steps = steps + (steps.round() - steps).detach()
    scaled = nn.functional.conv2d(v, weight, steps, *geometry) * (source * weight_scale / scale).view(-1, 1, 1)
    return _requantize_plainly(scaled, scaled.round(), scale, zero, limits)


def _silu_plainly(v: Tensor, source: Tensor, scale: Tensor, zero: Tensor, limits: Range) -> Tensor:
    with torch.no_grad():
        gate = gate_steps(v, source, gate_corrections(source))
        exact = gate.mul_(v).mul_(source * (1.0 / SIGMOID_STEPS) / scale).round_()
    return _requantize_plainly(nn.functional.silu(v * source) / scale, exact, scale, zero, limits)


def _multiply_plainly(
    a: Tensor, a_scale: Tensor, b: Tensor, b_scale: Tensor, scale: Tensor, zero: Tensor, limits: Range
) -> Tensor:
    scaled = a * b * (a_scale * b_scale / scale)
    return _requantize_plainly(scaled, scaled.round(), scale, zero, limits)


PLAIN = {operators.convolve: _convolve_plainly, operators.silu: _silu_plainly, operators.multiply: _multiply_plainly}


def _int8(variant: str, images: Tensor, *, taught: bool = False, plain: bool = False) -> Callable[[], Tensor]:
    model = EfficientNet.from_name(variant, num_classes=10).eval()
    size = images.shape[-1]
    teacher = export_graph(fold_for_inference(model, size), size)
    quantized = quantize_graph(teacher, [images[:8]], RECIPES["int8-histogram"], seed=0, progress=NoProgress())
    options = QatOptions()
    network = trainable(quantized.converted, quantized.unrounded, precision=options.gradient_dtype())
    if plain:
        for node in network.module.graph.nodes:
            node.target = PLAIN.get(node.target, node.target)
        network.module.recompile()
    student = network.module.to(memory_format=torch.channels_last)
    teacher.to(memory_format=torch.channels_last)

    def wanted(x: Tensor) -> Tensor:
        with torch.no_grad():
            return teacher(x) if taught else torch.zeros(len(x), 10)

    return _step(student, images, wanted)


def _stock(variant: str, images: Tensor) -> Callable[[], Tensor]:
    with quiet_libraries():
        from executorch.backends.xnnpack.quantizer.xnnpack_quantizer import (  # noqa: PLC0415
            XNNPACKQuantizer,
            get_symmetric_quantization_config,
        )
        from torchao.quantization.pt2e.quantize_pt2e import prepare_qat_pt2e  # noqa: PLC0415

        model = EfficientNet.from_name(variant, num_classes=10).train()
        config = get_symmetric_quantization_config(is_per_channel=True, is_qat=True)
        exported = torch.export.export(model, (images,)).module()
        prepared = prepare_qat_pt2e(exported, XNNPACKQuantizer().set_global(config))
    return _step(prepared, images, lambda x: torch.zeros(len(x), 10))


def _step(model: nn.Module, images: Tensor, wanted: Callable[[Tensor], Tensor]) -> Callable[[], Tensor]:
    optimizer = torch.optim.AdamW(model.parameters(), lr=1e-5, fused=True)

    def step() -> Tensor:
        loss = nn.functional.mse_loss(model(images), wanted(images))
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        return loss

    return step


KINDS: dict[str, tuple[str, Callable[[str, Tensor], Callable[[], Tensor]]]] = {
    "float": ("float, BatchNorm training", _float),
    "int8": ("`qat-int8`", _int8),
    "taught": ("`qat-int8` with its teacher", lambda variant, images: _int8(variant, images, taught=True)),
    "plain": ("`qat-int8`, plain autograd", lambda variant, images: _int8(variant, images, plain=True)),
    "stock": ("stock prepare_qat_pt2e", _stock),
}


def measure(kind: str, variant: str, batch: int, size: int) -> dict[str, float]:
    """Median processor seconds of a step, and the most memory that steps took on top of what stood before, MiB."""
    keep_freed_memory()
    torch.manual_seed(0)
    images = torch.randn(batch, 3, size, size).contiguous(memory_format=torch.channels_last)
    step = KINDS[kind][1](variant, images)
    before = resident_bytes(os.getpid()) / 2**20
    times = []
    for _ in range(WARMUP + STEPS):
        started = time.process_time()
        step()
        times.append(time.process_time() - started)
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    return {"seconds": statistics.median(times[WARMUP:]), "mib": peak, "mib_before": before}


def main() -> None:
    """Measure each kind in a child and write the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--variant", default="b0")
    parser.add_argument("--batch", type=int, default=32)
    parser.add_argument("--size", type=int, default=224)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--kinds", nargs="+", choices=KINDS, default=list(KINDS), help="float has to be among them")
    parser.add_argument("--child", choices=KINDS, help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.child:
        print(json.dumps(measure(options.child, options.variant, options.batch, options.size)))
        return
    wait_asleep()  # for the children: before torch, as the commands do
    found: dict[str, list[dict[str, float]]] = {kind: [] for kind in options.kinds}
    for _ in range(options.rounds):
        for kind in options.kinds:
            command = [
                sys.executable, __file__, "--child", kind, "--variant", options.variant, "--batch",
                str(options.batch), "--size", str(options.size),
            ]  # fmt: skip
            done = subprocess.run(command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True, check=True)
            found[kind].append(json.loads(done.stdout.splitlines()[-1]))
    seconds = {kind: statistics.median(run["seconds"] for run in runs) for kind, runs in found.items()}
    memory = {kind: statistics.median(run["mib"] for run in runs) for kind, runs in found.items()}
    rows = [
        [
            KINDS[kind][0],
            f"{seconds[kind]:.2f}",
            f"{seconds[kind] / seconds['float']:.2f}",
            f"{memory[kind]:.0f}",
            f"{memory[kind] / memory['float']:.2f}",
        ]
        for kind in options.kinds
    ]
    write_results(
        "qat_step",
        f"A training step of {options.variant}",
        ("", "processor s a step", "of float's", "peak MiB", "of float's"),
        rows,
        f"batch {options.batch}, {options.size} px, {options.rounds} processes interleaved, {STEPS} steps each, "
        "medians; memory is the whole process's",
        data={"seconds": seconds, "mib": memory, "runs": found},
    )


if __name__ == "__main__":
    main()
