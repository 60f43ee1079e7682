"""Every recipe on the same weights and images, through the command that users run.

    python benchmarks/recipes.py --variant b0 --weights W --data DIR [--name NAME]

Writes `benchmarks/results/recipes-NAME.md`.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import tempfile
from pathlib import Path
from typing import Any

from tables import write_results

from quant.recipes import RECIPES

COLUMNS = (
    "recipe", "top-1 float, %", "top-1 .pte, %", "agreement, %", "SQNR, dB", "lowering, dB", "latency, ms",
    "of float", "MB", "seconds",
)  # fmt: skip


def run(recipe: str, arguments: argparse.Namespace, out: Path) -> dict[str, Any]:
    """One `quantize --json`; a red verdict is a result like any other."""
    command = [
        "quantize", "--variant", arguments.variant, "--weights", arguments.weights, "--data", arguments.data,
        "--recipe", recipe, "--out", str(out / recipe), "--json",
    ]  # fmt: skip
    done = subprocess.run(command, stdout=subprocess.PIPE, text=True, check=False)
    if done.returncode not in (0, 1):
        raise SystemExit(f"{' '.join(command)}: exit code {done.returncode}")
    result: dict[str, Any] = json.loads(done.stdout)
    return result


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
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--variant", default="b0")
    parser.add_argument("--weights", required=True)
    parser.add_argument("--data", required=True)
    parser.add_argument("--name", default="b0")
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        rows = [row(recipe, run(recipe, arguments, Path(folder))) for recipe in RECIPES]
    write_results(f"recipes-{arguments.name}", f"Recipes on {arguments.name}", COLUMNS, rows, "latency on one thread")


if __name__ == "__main__":
    main()
