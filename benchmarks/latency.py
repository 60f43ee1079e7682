"""Latency of one network's programs by every toolchain, interleaved, on this host.

    pip install -e ".[benchmarks]"      (in an environment of its own)
    python benchmarks/latency.py [--network NAME ...] [--toolchain NAME ...] [--threads N ...] [--name NAME]

Networks have random weights and 1,000 classes; speed does not depend on values. Programs are kept in `--folder` and
made only where they are missing, so that a machine can be left alone for the timing itself. LiteRT's program takes
an int8 NHWC image, which is made outside the clock; all others take a float NCHW image. Writes
`benchmarks/results/NAME.md` and `.json`.
"""

from __future__ import annotations

import argparse
import tempfile
from dataclasses import asdict
from pathlib import Path
from typing import Any

from interleaved import Timing, time_interleaved
from networks import NETWORKS, make_material
from tables import versions_of, write_results
from toolchains import OURS_FLOAT, TOOLCHAINS, Program, make_programs

REFERENCE = "ai-edge-quantizer"
"""The peer that ratios are against, beside the own fp32 program."""

COLUMNS = (
    "", "threads", "median, ms", "p10-p90, ms", "of LiteRT's", "of fp32's", "load + first, ms", "peak, MiB", "MB",
)  # fmt: skip


def measure(name: str, folder: Path, toolchains: list[str], threads: list[int], repeats: int) -> list[dict[str, Any]]:
    """Make and time the programs of one network; a row a program and thread count."""
    material = make_material(name, folder)
    programs = make_programs(material, toolchains)
    side = material.example.shape[-1]
    rows = []
    for count in threads:
        timings = time_interleaved(programs, count, side, repeats)
        medians = {program.toolchain: timing.median_ms for program, timing in zip(programs, timings, strict=True)}
        for program, timing in zip(programs, timings, strict=True):
            rows.append(_row(name, program, timing, count, medians))
            print(" | ".join(cells(rows[-1])), flush=True)
    return rows


def _row(name: str, program: Program, timing: Timing, threads: int, medians: dict[str, float]) -> dict[str, Any]:
    ratios = {
        f"of_{key}": timing.median_ms / medians[other] if other in medians else None
        for key, other in (("litert", REFERENCE), ("float", OURS_FLOAT))
    }
    return {
        "network": name,
        "toolchain": program.toolchain,
        "title": program.title,
        "versions": program.versions,
        "threads": threads,
        "size_bytes": program.size_bytes,
        **asdict(timing),
        **ratios,
    }


def cells(row: dict[str, Any]) -> list[str]:
    """Row of the table."""
    return [
        f"{NETWORKS[row['network']].title}: {row['title']}",
        str(row["threads"]),
        f"{row['median_ms']:.2f}",
        f"{row['low_ms']:.2f}-{row['p90_ms']:.2f}",
        *("" if row[key] is None else f"{row[key]:.2f}" for key in ("of_litert", "of_float")),
        f"{row['first_ms']:.1f}",
        f"{row['peak_bytes'] / 2**20:.1f}",
        f"{row['size_bytes'] / 1e6:.2f}",
    ]


def main() -> None:
    """Measure and write table and JSON."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--network", nargs="+", choices=NETWORKS, default=["b0", "b0-hardswish", "lite0"])
    parser.add_argument("--toolchain", nargs="+", choices=TOOLCHAINS, default=list(TOOLCHAINS))
    parser.add_argument("--threads", nargs="+", type=int, default=[1, 2])
    parser.add_argument("--repeats", type=int, default=100)
    parser.add_argument("--name", default="latency")
    parser.add_argument("--folder", help="keeps the programs; a temporary one by default")
    parser.add_argument("--only-make", action="store_true", help="make the programs, time nothing")
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as temporary:
        folder = Path(arguments.folder or temporary)
        if arguments.only_make:
            for name in arguments.network:
                make_programs(make_material(name, folder / name), arguments.toolchain)
            return
        rows = [
            row
            for name in arguments.network
            for row in measure(name, folder / name, arguments.toolchain, arguments.threads, arguments.repeats)
        ]
    write_results(
        arguments.name,
        "Latency against other toolchains",
        COLUMNS,
        [cells(row) for row in rows],
        f"{versions_of(row['versions'] for row in rows)}, {arguments.repeats} forwards interleaved, batch 1",
        data={"rows": rows},
    )


if __name__ == "__main__":
    main()
