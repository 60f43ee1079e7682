"""What each method of the recipes is worth: the recipes with one choice changed, on the same weights and images.

    python benchmarks/methods.py --variant b0 --weights W --data DIR [--name NAME]

Writes `benchmarks/results/methods-NAME.md`; figures are of the .pte.
"""

from __future__ import annotations

import tempfile
from dataclasses import replace
from pathlib import Path

from command import network_parser
from tables import write_results

from quant import quantize
from quant.recipes import RECIPES, Recipe
from quant.verdict.outcome import Outcome

INT8, STRICT, FLOAT_STEM = (RECIPES[name] for name in ("int8", "int8-strict", "int8-float-stem"))
RECONSTRUCTED = RECIPES["int8-fast"]
FAST = replace(RECONSTRUCTED, reconstruct=False)

VARIATIONS: dict[str, Recipe] = {
    "min and max seen": RECIPES["int8-minmax"],
    "histogram observer": RECIPES["int8-histogram"],
    "loss-aware ranges, 1 % of the plain error": replace(FAST, plain_share=1e-2),
    "loss-aware ranges, 0.01 %": FAST,
    "the same, reconstructed (`int8-fast`)": RECONSTRUCTED,
    "the same, 1 % of the plain error": replace(RECONSTRUCTED, plain_share=1e-2),
    "the same, 0.0001 %": replace(STRICT, equalized=0),
    "stem and first expansion equalized (`int8-strict`)": STRICT,
    "the same, 0.01 %": replace(STRICT, plain_share=1e-4),
    "six convolutions equalized": replace(STRICT, equalized=6),
    "channel groups for 4 % more instructions": replace(INT8, grouped=0.04),
    "for 11 % (`int8`)": INT8,
    "`int8`, not reconstructed": replace(INT8, reconstruct=False),
    "stem and first depthwise in float, 0.01 %": replace(FLOAT_STEM, grouped=0),
    "the same, three expansions equalized": replace(STRICT, equalized=5, float_convolutions=2),
    "the same, channel groups for 11 % (`int8-float-stem`)": FLOAT_STEM,
}


def row(label: str, outcome: Outcome) -> list[str]:
    """Cells of one variation."""
    top1 = outcome.pte_accuracy.top1
    return [
        label,
        f"{outcome.pte.sqnr_db:.1f}",
        f"{100 * outcome.pte.agreement:.1f}",
        "" if top1 is None else f"{100 * top1:.1f}",
        f"{outcome.pte_program.latency_ms / outcome.float_program.latency_ms:.3f}",
    ]


def main() -> None:
    """Measure and write the table."""
    arguments = network_parser(__doc__).parse_args()
    rows = []
    for label, recipe in VARIATIONS.items():
        # A variation has no name of its own; for the length of its run it stands in for the default.
        RECIPES["int8"] = replace(recipe, name="int8")
        with tempfile.TemporaryDirectory() as folder:
            outcome = quantize(
                arguments.variant, weights=arguments.weights, data=arguments.data, out=Path(folder, "artifact")
            ).outcome
        rows.append(row(label, outcome))
        print(" | ".join(rows[-1]), flush=True)
    write_results(
        f"methods-{arguments.name}",
        f"Methods on {arguments.name}",
        ("", "SQNR, dB", "agreement, %", "top-1, %", "latency of float's"),
        rows,
        f"{outcome.calibration_images} images to calibrate, {outcome.evaluation_images} judged, float top-1 "
        f"{100 * (outcome.float_accuracy.top1 or 0):.1f} %",
    )


if __name__ == "__main__":
    main()
