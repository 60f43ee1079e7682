"""What operators cost on this host in int8 and in float: the table of `quant/cost.py`.

    python benchmarks/operator_costs.py

Each kind is timed in programs of 2 and of 6 layers at a size that B0 has, in turns, on one thread; the difference is
four layers without input, output and call.
"""

from __future__ import annotations

import platform
import statistics
import tempfile
from importlib.metadata import version
from pathlib import Path

import torch
from torch import nn

from quant.export import export_graph
from quant.lower.xnnpack import lower_xnnpack
from quant.progress import NoProgress
from quant.ptq import quantize_graph
from quant.recipes import RECIPES
from quant.runtime import HostRuntime

REPEATS = 80
DEPTHS = (2, 6)
CHANNELS, SIDE = 96, 56


def layer(kind: str) -> nn.Module:
    """One layer that keeps its input's shape."""
    if kind == "elementwise":
        return nn.SiLU()
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


def main() -> None:
    """Measure and print."""
    torch.manual_seed(0)
    photos = torch.randn(2, CHANNELS, SIDE, SIDE)
    shape = (1, CHANNELS, SIDE, SIDE)
    with tempfile.TemporaryDirectory() as folder, HostRuntime(threads=1) as runtime:
        loaded = {}
        for kind in WORK:
            for depth in DEPTHS:
                model = nn.Sequential(*(layer(kind) for _ in range(depth))).eval()
                graph = export_graph(model, SIDE, CHANNELS)
                int8 = quantize_graph(graph, [photos], RECIPES["int8-minmax"], seed=0, progress=NoProgress())
                for precision, module in (("int8", int8), ("float32", graph)):
                    path = Path(folder, f"{kind}-{depth}-{precision}.pte")
                    path.write_bytes(lower_xnnpack(module, shape).data)
                    loaded[kind, depth, precision] = runtime.load(path, path.stem)
        times = runtime.time(list(loaded.values()), photos[:1], REPEATS)
    milliseconds = {key: statistics.median(times[program.name]) for key, program in loaded.items()}
    print(f"{platform.processor() or platform.machine()}, executorch {version('executorch')}, ns a unit of work")
    for kind, work in WORK.items():
        figures = {}
        for precision in ("int8", "float32"):
            few, many = (milliseconds[kind, depth, precision] for depth in DEPTHS)
            figures[precision] = 1e6 * (many - few) / (DEPTHS[1] - DEPTHS[0]) / work
        print(f'"{kind}": OperatorCost(int8={figures["int8"]:.4f}, float32={figures["float32"]:.4f}),')


if __name__ == "__main__":
    main()
