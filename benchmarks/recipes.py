"""Every recipe on the same weights and images, through the command that users run.

    python benchmarks/recipes.py --variant b0 --weights W --data DIR [--name NAME]

Writes `benchmarks/results/recipes-NAME.md`.
"""

from __future__ import annotations

import tempfile
from pathlib import Path
from typing import Any

from command import network_parser, run_quantize
from tables import write_results

from quant.recipes import RECIPES

COLUMNS = (
    "recipe", "top-1 float, %", "top-1 .pte, %", "agreement, %", "SQNR, dB", "lowering, dB", "latency, ms",
    "of float", "MB", "seconds",
)  # fmt: skip


def row(recipe: str, result: dict[str, Any]) -> list[str]:
    """Cells of one recipe."""
    pte, reference = result["pte"], result["float"]
    return [
        f"`{recipe}`",
        f"{100 * reference['top1']:.1f}",
        f"{100 * pte['top1']:.1f}",
        f"{100 * pte['agreement']:.1f}",
        f"{pte['sqnr_db']:.1f}",
        "exact" if result["lowering"]["sqnr_db"] >= 200 else f"{result['lowering']['sqnr_db']:.1f}",
        f"{pte['latency_ms']:.2f}",
        f"{pte['latency_ms'] / reference['latency_ms']:.3f}",
        f"{pte['size_bytes'] / 1e6:.2f}",
        f"{result['seconds']['total']:.0f}",
    ]


def main() -> None:
    """Measure and write the table."""
    arguments = network_parser(__doc__).parse_args()
    with tempfile.TemporaryDirectory() as folder:
        rows = [row(recipe, run_quantize(recipe, arguments, Path(folder, recipe))) for recipe in RECIPES]
    write_results(f"recipes-{arguments.name}", f"Recipes on {arguments.name}", COLUMNS, rows, "latency on one thread")


if __name__ == "__main__":
    main()
