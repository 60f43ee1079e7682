"""Quantize the same network twice on one thread and twice on two, with every recipe, and compare what came out.

python benchmarks/determinism.py --variant b0 --weights W.pth --data IMAGES
"""

from __future__ import annotations

import argparse
import json
import sys
import tempfile
from pathlib import Path
from typing import Any

import torch

from quant import quantize
from quant.qat.options import QatOptions
from quant.recipes import RECIPES

THREADS = (1, 2)
"""Of torch; each number is compared with itself."""

_TIMES = frozenset({"created", "seconds", "latency_ms", "latency_p90_ms", "load_ms", "added_ms", "artifact", "seal"})
"""Keys of the manifest that time and place decide, or that follow from them."""

_DRAWN = frozenset({"manifest.json", "report.html"})
"""Compared by what is in it, and drawn from what is compared, times included."""


def without_times(value: Any) -> Any:
    """Return JSON without what has to differ; the manifest's hashes of files stay."""
    if isinstance(value, dict):
        return {key: without_times(inner) for key, inner in value.items() if key not in _TIMES}
    return [without_times(inner) for inner in value] if isinstance(value, list) else value


def differences(first: Path, second: Path) -> list[str]:
    """Name the files of two artifacts that differ, and the parts of their manifests."""
    names = {str(path.relative_to(first)) for path in first.rglob("*") if path.is_file()} - _DRAWN
    found = [name for name in sorted(names) if (first / name).read_bytes() != (second / name).read_bytes()]
    one, two = (without_times(json.loads((folder / "manifest.json").read_text())) for folder in (first, second))
    return found + [f"manifest.json: {key}" for key in one if key != "files" and one[key] != two.get(key)]


def compare_runs(folder: Path, recipe: str, arguments: dict[str, Any], *, steps: int) -> dict[str, list[str]]:
    """Quantize twice on each of `THREADS`; returns what differs between the two, by the number of threads."""
    qat = QatOptions(steps=steps, batch_size=8) if RECIPES[recipe].trains else None
    found = {}
    for threads in THREADS:
        torch.set_num_threads(threads)
        first, again = folder / f"{threads} first", folder / f"{threads} again"
        for run in (first, again):
            # The same folder each time: its name is in the manifest.
            quantize(**arguments, recipe=recipe, qat=qat, out=folder / "a").artifact.folder.rename(run)
        found[f"threads {threads}"] = differences(first, again)
    return found


def main() -> int:
    """Parse, run, print one JSON object a recipe."""
    parser = argparse.ArgumentParser(description=__doc__)
    for option in ("variant", "weights", "data"):
        parser.add_argument(f"--{option}", required=True)
    parser.add_argument("--recipe", action="append", choices=list(RECIPES), help="all, if left out")
    parser.add_argument("--calibration", type=int, default=16)
    parser.add_argument("--steps", type=int, default=3, help="of recipes that train")
    options = parser.parse_args()
    arguments = {"variant": options.variant, "weights": options.weights, "data": options.data}
    broken = False
    for recipe in options.recipe or RECIPES:
        with tempfile.TemporaryDirectory() as temporary:
            found = compare_runs(
                Path(temporary), recipe, {**arguments, "calibration": options.calibration}, steps=options.steps
            )
        print(json.dumps({"recipe": recipe, "differs": found}), flush=True)
        broken |= any(found.values())
    return int(broken)


if __name__ == "__main__":
    sys.exit(main())
