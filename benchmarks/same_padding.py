"""TF "SAME" padding of stride-2 convolutions: a pad that the lowering hands over, or kernels one larger.

    python benchmarks/same_padding.py

Writes `benchmarks/results/same_padding.md`: latency of B0 at 224 in float32 and int8, one thread, all programs
timed in turns in one process.
"""

from __future__ import annotations

import datetime
import platform
import statistics
import sys
import tempfile
from importlib.metadata import version
from pathlib import Path

import torch

from edge_effnet import EfficientNet, fold_for_inference
from edge_effnet.fuse import SAME_PADDING_FOLDS
from quant.export import export_graph
from quant.lower.xnnpack import lower_xnnpack
from quant.progress import NoProgress
from quant.ptq import quantize_graph
from quant.recipes import RECIPES
from quant.runtime import HostRuntime

IMAGE_SIZE = 224
REPEATS = 60
RESULTS = Path(__file__).parent / "results" / "same_padding.md"


def programs(folder: Path) -> dict[str, Path]:
    """Lower each fold in each precision; the weights do not matter for time, so they are untrained."""
    torch.manual_seed(0)
    model = EfficientNet.from_name("b0", padding="same")
    photos = torch.randn(4, 3, IMAGE_SIZE, IMAGE_SIZE)
    paths = {}
    for fold in SAME_PADDING_FOLDS:
        graph = export_graph(fold_for_inference(model, IMAGE_SIZE, same_padding=fold), IMAGE_SIZE)
        int8 = quantize_graph(graph, [photos], RECIPES["int8-minmax"], seed=0, progress=NoProgress())
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
        times = runtime.time(loaded, torch.randn(1, 3, IMAGE_SIZE, IMAGE_SIZE), REPEATS)
    rows = [
        f"| {name} | {statistics.median(values):.2f} | {min(values):.2f} | {p90(values):.2f} |"
        for name, values in times.items()
    ]
    versions = ", ".join(f"{name} {version(name)}" for name in ("torch", "torchao", "executorch"))
    RESULTS.write_text(
        "\n".join(
            [
                "# SAME padding of B0 at 224: how to fold it",
                "",
                f"`python {' '.join(sys.argv)}`, {datetime.date.today().isoformat()}, {versions}, "
                f"{platform.machine()}, one thread, {REPEATS} runs of each in turns.",
                "",
                "| fold, precision | median, ms | least, ms | 90th percentile, ms |",
                "|---|---:|---:|---:|",
                *rows,
                "",
            ]
        )
    )
    print(RESULTS.read_text())


if __name__ == "__main__":
    main()
