"""What the layer-by-layer analysis says about a program that failed."""

from __future__ import annotations

from collections.abc import Sequence

from quant.analysis import LayerReport
from quant.tolerances import ANALYSIS_FALL_DB, CLIPPED_SHARE


def layer_causes(reports: Sequence[LayerReport], sqnr_db: float) -> tuple[str, ...]:
    """Return a sentence for each thing that could explain a failing verdict, beside what `quant.diagnosis` finds.

    Args:
        reports: from input to output; empty without an analysis.
        sqnr_db: of the program's logits, now.
    """
    causes = []
    clipped = max(reports, key=lambda report: report.clipped or 0.0, default=None)
    if clipped is not None and (clipped.clipped or 0.0) > CLIPPED_SHARE:
        causes.append(
            f"saturated: {clipped.layer} ({clipped.operator}) has {100 * (clipped.clipped or 0.0):.1f} % of its "
            "values beyond its int8 grid"
        )
    if reports and sqnr_db < reports[-1].sqnr_db - ANALYSIS_FALL_DB:
        causes.append(
            f"another program or other photographs: the logits had {reports[-1].sqnr_db:.1f} dB when layers.json was "
            f"written, and have {sqnr_db:.1f} dB now"
        )
    return tuple(causes)
