"""What the memory-efficient swish saves in training: bytes kept for the backward pass, and peak memory.

    python benchmarks/swish_memory.py

writes `benchmarks/results/swish_memory.md`. Each peak is measured in a process of its own.
"""

from __future__ import annotations

import argparse
import datetime
import platform
import resource
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import torch
from torch import nn

from edge_effnet import EfficientNet, swap_activation
from edge_effnet.activations import ACTIVATIONS

MIB = 1024 * 1024
RESULTS = Path(__file__).parent / "results" / "swish_memory.md"


class NaiveSwish(nn.Module):
    """x * sigmoid(x) as autograd sees it: the product keeps x and sigmoid(x)."""

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """x: any shape -> the same shape."""
        return x * torch.sigmoid(x)


def with_naive_swish(model: EfficientNet) -> EfficientNet:
    """Replace every swish by the naive one."""
    for module in list(model.modules()):
        for name, child in module.named_children():
            if isinstance(child, nn.SiLU):
                setattr(module, name, NaiveSwish())
    return model


KINDS: dict[str, tuple[str, Callable[[EfficientNet], EfficientNet]]] = {
    "naive": ("x * sigmoid(x)", with_naive_swish),
    "swish": ("torch.nn.SiLU (`swish`)", lambda model: model),
    "swish-memory-efficient": (
        "`swish-memory-efficient`",
        lambda model: swap_activation(model, "swish-memory-efficient"),
    ),
}
assert {"swish", "swish-memory-efficient"} <= set(ACTIVATIONS)


def training_step(kind: str, variant: str, batch: int, size: int) -> int:
    """Run one forward and backward pass; return the bytes that autograd kept in between, weights left out."""
    torch.manual_seed(0)
    model = KINDS[kind][1](EfficientNet.from_name(variant)).train()
    weights = {tensor.untyped_storage().data_ptr() for tensor in model.state_dict().values()}
    kept: dict[int, int] = {}

    def pack(tensor: torch.Tensor) -> torch.Tensor:
        storage = tensor.untyped_storage()
        if storage.data_ptr() not in weights:
            kept[storage.data_ptr()] = storage.nbytes()  # one that is saved twice is kept once
        return tensor

    with torch.autograd.graph.saved_tensors_hooks(pack, lambda tensor: tensor):
        loss = model(torch.randn(batch, 3, size, size)).square().mean()
    loss.backward()
    return sum(kept.values())


def measure(kind: str, arguments: argparse.Namespace) -> tuple[float, float]:
    """Run a training step in a child process; return kept and peak resident memory, MiB."""
    command = [sys.executable, __file__, "--child", kind, "--variant", arguments.variant]
    command += ["--batch", str(arguments.batch), "--size", str(arguments.size)]
    output = subprocess.run(command, check=True, capture_output=True, text=True).stdout
    saved, peak = (float(number) for number in output.split())
    return saved, peak


def machine() -> str:
    """Processor, cores, memory and system of this machine."""
    cpuinfo = Path("/proc/cpuinfo")
    lines = cpuinfo.read_text().splitlines() if cpuinfo.exists() else []
    names = {line.partition(":")[2].strip() for line in lines if line.startswith("model name")}
    return f"{', '.join(names) or platform.processor()}, {torch.get_num_threads()} threads, {platform.system()}"


def table(arguments: argparse.Namespace) -> str:
    """Measure every kind and set it as a Markdown table."""
    rows = {kind: measure(kind, arguments) for kind in KINDS}
    naive_saved, naive_peak = rows["naive"]
    lines = [
        "# Memory of swish in training",
        "",
        f"One training step (forward and backward) of EfficientNet-{arguments.variant.upper()}, batch "
        f"{arguments.batch}, {arguments.size} x {arguments.size} pixels, float32.",
        "",
        "| swish | kept for backward, MiB | saved | peak resident, MiB | saved |",
        "|---|---:|---:|---:|---:|",
    ]
    for kind, (saved, peak) in rows.items():
        lines.append(
            f"| {KINDS[kind][0]} | {saved:.0f} | {1 - saved / naive_saved:.1%} | {peak:.0f} "
            f"| {1 - peak / naive_peak:.1%} |"
        )
    lines += [
        "",
        "Kept for backward: the storages that autograd saves (`torch.autograd.graph.saved_tensors_hooks`),",
        "each once, weights left out. Peak resident: `ru_maxrss` of a process of its own, interpreter and",
        "libraries included.",
        "",
        "`torch.nn.SiLU` has a derivative of its own that keeps its input only, as the memory-efficient",
        "swish does: what is saved is saved against the naive formula, not against `torch.nn.SiLU`.",
        "",
        f"- date: {datetime.datetime.now(datetime.UTC).date()}",
        f"- versions: torch {torch.__version__}, Python {platform.python_version()}",
        f"- machine: {machine()}",
        f"- command: `python benchmarks/swish_memory.py --variant {arguments.variant} "
        f"--batch {arguments.batch} --size {arguments.size}`",
        "",
    ]
    return "\n".join(lines)


def main() -> None:
    """Parse, measure, write and print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--variant", default="b0")
    parser.add_argument("--batch", type=int, default=16)
    parser.add_argument("--size", type=int, default=224)
    parser.add_argument("--child", choices=KINDS, help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.child:
        saved = training_step(arguments.child, arguments.variant, arguments.batch, arguments.size)
        print(saved / MIB, resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024)
        return
    text = table(arguments)
    RESULTS.parent.mkdir(parents=True, exist_ok=True)
    RESULTS.write_text(text, encoding="utf-8")
    print(text)


if __name__ == "__main__":
    main()
