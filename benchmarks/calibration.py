"""How the outcome moves with the calibration images: their number, and the draw.

    python benchmarks/calibration.py --variant b0 --weights W --data DIR [--name NAME]

Writes `benchmarks/results/calibration-NAME.md`; figures are of the .pte of the default recipe.
"""

from __future__ import annotations

import tempfile
from collections.abc import Sequence
from pathlib import Path
from statistics import mean

from command import network_parser
from tables import write_results

from quant import quantize
from quant.verdict.outcome import Outcome

DRAWS: dict[int, int] = {8: 3, 32: 3, 64: 10, 128: 3, 256: 3, 512: 1}
"""How many draws of how many images."""

COLUMNS = (
    "images", "draws", "agreement, %, mean", "worst", "SQNR, dB, mean", "worst", "top-1, %, mean", "worst",
)  # fmt: skip


def row(images: int, outcomes: Sequence[Outcome]) -> list[str]:
    """Mean and worst case of the draws."""
    cells = [str(images), str(len(outcomes))]
    figures = (
        [100 * o.pte.agreement for o in outcomes],
        [o.pte.sqnr_db for o in outcomes],
        [100 * (o.pte_accuracy.top1 or 0.0) for o in outcomes],
    )
    return cells + [cell for values in figures for cell in (f"{mean(values):.1f}", f"{min(values):.1f}")]


def main() -> None:
    """Measure and write the table."""
    parser = network_parser(__doc__)
    parser.add_argument("--recipe", default="int8")
    parser.add_argument("--images", type=int, action="append", choices=list(DRAWS), help="all, if left out")
    arguments = parser.parse_args()
    rows = []
    for images in arguments.images or DRAWS:
        outcomes = []
        for seed in range(DRAWS[images]):
            with tempfile.TemporaryDirectory() as folder:
                settings = {"recipe": arguments.recipe, "calibration": images, "seed": seed, "out": Path(folder, "a")}
                made = quantize(arguments.variant, weights=arguments.weights, data=arguments.data, **settings)
            outcomes.append(made.outcome)
        rows.append(row(images, outcomes))
        print(" | ".join(rows[-1]), flush=True)
    write_results(
        f"calibration-{arguments.name}",
        f"Calibration images, {arguments.recipe} on {arguments.name}",
        COLUMNS,
        rows,
        f"{outcomes[0].evaluation_images} judged, float top-1 {100 * (outcomes[0].float_accuracy.top1 or 0):.1f} %",
    )


if __name__ == "__main__":
    main()
