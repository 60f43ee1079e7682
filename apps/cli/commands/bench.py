"""`edge-effnet bench`: parse, call, print, exit code."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from apps.cli.help import AsJson
from apps.cli.render.bars import Bars
from apps.cli.render.plain import write_result

if TYPE_CHECKING:
    from collections.abc import Sequence

    from quant.pipeline.bench import ProgramCost


def bench_command(
    folders: Annotated[list[Path], typer.Argument(help="Artifact folders that `quantize` wrote.")],
    threads: Annotated[int, typer.Option(help="CPU threads of the runtime.")] = 1,
    repeats: Annotated[int, typer.Option(help="Timed forward passes per program.")] = 100,
    with_float: Annotated[bool, typer.Option("--with-float", help="Measure each float.pte too.")] = False,
    as_json: AsJson = False,
) -> None:
    """Time artifacts against each other on this host.

    Latency in interleaved runs, start, memory, size.
    """
    bars = Bars(lines=not as_json)
    with bars.waiting("Loading PyTorch and ExecuTorch"):
        from quant.pipeline.bench import bench  # noqa: PLC0415

    costs = bench(folders, threads=threads, repeats=repeats, with_float=with_float, progress=bars)
    values = {"threads": threads, "repeats": repeats, "programs": [cost.to_json() for cost in costs]}
    write_result(values, lambda: _table(costs, threads), as_json=as_json)


def _table(costs: Sequence[ProgramCost], threads: int) -> str:
    rows = [
        (
            f"{cost.latency_ms:.2f}",
            f"{cost.latency_p90_ms:.2f}",
            f"{cost.load_ms:.1f}",
            f"{cost.first_ms:.1f}",
            f"{cost.peak_bytes / 2**20:.1f}",
            f"{cost.size_bytes / 1e6:.2f}",
        )
        for cost in costs
    ]
    heads = ("median, ms", "p90, ms", "load, ms", "first, ms", "peak, MiB", "MB")
    # Names last: they are as long as paths are.
    lines = ["  ".join(f"{cell:>10}" for cell in row) for row in (heads, *rows)]
    names = ["", *(f"{cost.artifact}/{cost.program}" for cost in costs)]
    counted = f"{threads} thread{'' if threads == 1 else 's'}; first: from the file to the first output.\n"
    return "".join(f"{line}  {name}".rstrip() + "\n" for line, name in zip(lines, names, strict=True)) + counted
