"""What the layer-by-layer analysis says about a program that failed."""

from __future__ import annotations

from collections.abc import Sequence

from quant.analysis import LayerReport
from quant.tolerances import ANALYSIS_FALL_DB, CLIPPED_NOISE_SHARE, CLIPPED_SHARE


def layer_causes(reports: Sequence[LayerReport], sqnr_db: float) -> tuple[str, ...]:
    """Return a sentence for each thing that could explain a failing verdict, beside what `quant.diagnosis` finds.

    Args:
        reports: from input to output; empty without an analysis.
        sqnr_db: of the program's logits, now.
    """
    causes = []
    clipped = max(filter(_saturated, reports), key=lambda report: report.noise_share, default=None)
    if clipped is not None:
        causes.append(
            f"saturated: {clipped.layer} ({clipped.operator}) has {100 * (clipped.clipped or 0.0):.1f} % of its "
            f"values beyond its int8 grid, and makes {100 * clipped.noise_share:.0f} % of the noise in the logits"
        )
    if reports and sqnr_db < reports[-1].sqnr_db - ANALYSIS_FALL_DB:
        causes.append(
            f"another program or other photographs: the logits had {reports[-1].sqnr_db:.1f} dB when layers.json was "
            f"written, and have {sqnr_db:.1f} dB now"
        )
    return tuple(causes)


def _saturated(report: LayerReport) -> bool:
    """Whether clipping does harm: what SiLU makes zero may be clipped, and a sigmoid's grid ends at 255/256."""
    if report.grid is None or (report.clipped or 0.0) <= CLIPPED_SHARE or report.noise_share < CLIPPED_NOISE_SHARE:
        return False
    (low, high), (least, most) = report.grid, report.seen
    return max(low - least, most - high) > 1.01 * (high - low) / 255
