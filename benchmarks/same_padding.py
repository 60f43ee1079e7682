"""TF "SAME" padding of stride-2 convolutions: a pad that the lowering hands over, or kernels one larger.

    python benchmarks/same_padding.py

Writes `benchmarks/results/same_padding.md`: latency of B0 at 224 in float32 and int8, one thread, all programs
timed in interleaved runs in one process.
"""

from __future__ import annotations

import statistics
import tempfile
from pathlib import Path

import torch
from tables import write_results

from edge_effnet import EfficientNet, fold_for_inference
from edge_effnet.fuse import SAME_PADDING_FOLDS
from quant.common.progress import NoProgress
from quant.graph.export import export_graph
from quant.lower.xnnpack.lower import lower_xnnpack
from quant.program.host import HostRuntime
from quant.ptq.steps import quantize_graph
from quant.recipes import RECIPES

IMAGE_SIZE = 224
REPEATS = 60


def programs(folder: Path) -> dict[str, Path]:
    """Lower each fold in each precision; the weights do not matter for time, so they are untrained."""
    torch.manual_seed(0)
    model = EfficientNet.from_name("b0", padding="same")
    images = torch.randn(4, 3, IMAGE_SIZE, IMAGE_SIZE)
    paths = {}
    for fold in SAME_PADDING_FOLDS:
        graph = export_graph(fold_for_inference(model, IMAGE_SIZE, same_padding=fold), IMAGE_SIZE)
        int8 = quantize_graph(graph, [images], RECIPES["int8-minmax"], seed=0, progress=NoProgress()).converted
        for precision, module in (("float32", graph), ("int8", int8)):
            path = folder / f"{fold}-{precision}.pte"
            path.write_bytes(lower_xnnpack(module, (1, 3, IMAGE_SIZE, IMAGE_SIZE)).data)
            paths[f"{fold}, {precision}"] = path
    return paths


def p90(values: list[float]) -> float:
    """90th percentile."""
    return statistics.quantiles(values, n=10)[-1]


def main() -> None:
    """Measure and write the table."""
    with tempfile.TemporaryDirectory() as folder, HostRuntime(threads=1) as runtime:
        loaded = [runtime.load(path, name) for name, path in programs(Path(folder)).items()]
        times = runtime.time(loaded, [torch.randn(1, 3, IMAGE_SIZE, IMAGE_SIZE)] * len(loaded), REPEATS)
    rows = [
        [name, f"{statistics.median(values):.2f}", f"{min(values):.2f}", f"{p90(values):.2f}"]
        for name, values in times.items()
    ]
    write_results(
        "same_padding",
        "SAME padding of B0 at 224: how to fold it",
        ("fold, precision", "median, ms", "least, ms", "90th percentile, ms"),
        rows,
        f"one thread, {REPEATS} runs of interleaved",
    )


if __name__ == "__main__":
    main()
