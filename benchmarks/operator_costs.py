"""What operators cost on this host in int8 and in float: the table of `quant/graph/latency_model.py`.

    python benchmarks/operator_costs.py

Each kind is timed in programs of 2 and of 10 layers at a size that B0 has, interleaved, on one thread; the difference
is eight layers without input, output and call. SiLU stands behind pointwise layers, whose cost is taken off: alone,
an elementwise program runs in another memory layout than in a network. A conversion is what a program whose pointwise
layers alternate between int8 and float takes longer than the mean of the int8 and the float program.
"""

from __future__ import annotations

import platform
import statistics
import tempfile
from dataclasses import replace
from importlib.metadata import version
from pathlib import Path

import torch
from torch import fx, nn

from quant.common.progress import NoProgress
from quant.graph.export import export_graph
from quant.graph.fallback_units import nodes_of, units
from quant.lower.xnnpack.lower import lower_xnnpack
from quant.program.host import HostRuntime
from quant.ptq.steps import Context, Phase, State, quantize_program, run_steps
from quant.recipes import RECIPES

REPEATS = 100
DEPTHS = (2, 10)
CHANNELS, SIDE = 96, 56


def layer(kind: str) -> nn.Module:
    """One layer that keeps its input's shape."""
    if kind == "elementwise":
        return nn.Sequential(layer("pointwise"), nn.SiLU())
    if kind == "pointwise":
        return nn.Conv2d(CHANNELS, CHANNELS, 1)
    groups = CHANNELS if kind == "depthwise" else 1
    return nn.Conv2d(CHANNELS, CHANNELS, 3, padding=1, groups=groups)


WORK = {  # multiply-accumulates, or elements of SiLU's two operators
    "pointwise": CHANNELS * CHANNELS * SIDE**2,
    "depthwise": CHANNELS * 9 * SIDE**2,
    "spatial": CHANNELS * CHANNELS * 9 * SIDE**2,
    "elementwise": 2 * CHANNELS * SIDE**2,
}


def networks(kind: str, depth: int, images: torch.Tensor) -> dict[str, fx.GraphModule]:
    """The same layers in float, in int8, and the odd ones in float."""
    model = nn.Sequential(*(layer(kind) for _ in range(depth))).eval()
    graph = export_graph(model, SIDE, CHANNELS)
    context = Context(inputs=[images], recipe=RECIPES["int8-minmax"], seed=0, progress=NoProgress())
    prepared = run_steps(Phase.NETWORK, State(graph=graph), context)

    def quantized(floats: frozenset[str]) -> fx.GraphModule:
        return quantize_program(replace(prepared, float_nodes=floats), context).converted

    return {"int8": quantized(frozenset()), "float32": graph, "mixed": quantized(nodes_of(units(graph)[1::2]))}


def per_layer(milliseconds: dict[tuple[str, int, str], float], kind: str, precision: str) -> float:
    """What one layer more takes, ms."""
    few, many = (milliseconds[kind, depth, precision] for depth in DEPTHS)
    return (many - few) / (DEPTHS[1] - DEPTHS[0])


def main() -> None:
    """Measure and print."""
    torch.manual_seed(0)
    images = torch.randn(2, CHANNELS, SIDE, SIDE)
    shape = (1, CHANNELS, SIDE, SIDE)
    with tempfile.TemporaryDirectory() as folder, HostRuntime(threads=1) as runtime:
        loaded = {}
        for kind in WORK:
            for depth in DEPTHS:
                for precision, module in networks(kind, depth, images).items():
                    path = Path(folder, f"{kind}-{depth}-{precision}.pte")
                    path.write_bytes(lower_xnnpack(module, shape).data)
                    loaded[kind, depth, precision] = runtime.load(path, path.stem)
        times = runtime.time(list(loaded.values()), [images[:1]] * len(loaded), REPEATS)
    milliseconds = {key: statistics.median(times[program.name]) for key, program in loaded.items()}
    print(f"{platform.processor() or platform.machine()}, executorch {version('executorch')}, ns a unit of work")
    for kind, work in WORK.items():
        figures = {}
        for precision in ("int8", "float32"):
            spent = per_layer(milliseconds, kind, precision)
            if kind == "elementwise":
                spent -= per_layer(milliseconds, "pointwise", precision)
            figures[precision] = 1e6 * spent / work
        print(f'"{kind}": OperatorCost(int8={figures["int8"]:.4f}, float32={figures["float32"]:.4f}),')
    mixed, int8, float32 = (milliseconds["pointwise", DEPTHS[1], key] for key in ("mixed", "int8", "float32"))
    # The int8 program quantizes its input and dequantizes its output; the mixed one converts at every seam instead.
    conversions = (DEPTHS[1] - 1) * CHANNELS * SIDE**2
    print(f"CONVERSION_COST = {1e6 * (mixed - (int8 + float32) / 2) / conversions:.4f}")


if __name__ == "__main__":
    main()
