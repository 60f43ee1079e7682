"""Why a program failed, as far as the figures tell, and what to try next."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import pairwise
from typing import Any

from quant.analysis.layer_report import BROKEN_SQNR_DB, LayerReport, first_broken, outputs_of
from quant.common.findings import Finding, finding
from quant.recipes import DEFAULT_RECIPE, RECIPES
from quant.thresholds import (
    ANALYSIS_FALL_DB,
    CLIPPED_NOISE_SHARE,
    CLIPPED_SHARE,
    DEFAULT_CALIBRATION,
    FEW_CALIBRATION,
)


@dataclass(frozen=True, kw_only=True, slots=True)
class Remedy:
    """One thing to try."""

    sentence: str
    options: Mapping[str, str] = field(default_factory=dict)
    """Of `quantize`, to be given instead of those that failed; empty where no option helps."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Diagnosis:
    """Where a program broke, and what to try."""

    layer: str | None
    """Module after which the signal is lost; None where no analysis says."""
    operator: str | None
    sqnr_db: float | None
    """Of its activation, against float."""
    finding: str
    """The same in words; empty where no analysis says."""
    remedies: tuple[Remedy, ...]
    """The likeliest first; at least one."""

    @property
    def sentence(self) -> str:
        """The finding and the first remedy, for a list of reasons."""
        tried = f"try: {self.remedies[0].sentence}"
        return f"{self.finding}; {tried}" if self.finding else tried

    def to_json(self) -> dict[str, Any]:
        """Of the object that `--json` prints."""
        return {
            "layer": self.layer,
            "operator": self.operator,
            "sqnr_db": None if self.sqnr_db is None else round(self.sqnr_db, 3),
            "remedies": [remedy.sentence for remedy in self.remedies],
        }


@dataclass(frozen=True, kw_only=True, slots=True)
class Circumstances:
    """What a remedy is chosen by."""

    recipe: str
    """A key of `RECIPES`; the precision of a program without a recipe."""
    targeted: bool
    """Whether float layers were searched for."""
    calibration: int
    """Images that ranges were fitted on; 0 for a program without any."""
    odd_images: bool
    """Whether something looks wrong with the calibration images."""
    classes: bool = True
    """Whether the task's answers are classes."""


def diagnose(layers: Sequence[LayerReport], circumstances: Circumstances) -> Diagnosis:
    """Find the first layer whose output has lost the signal (none without an analysis), and the remedies."""
    remedies = tuple(_remedies(circumstances))
    falls = max(
        pairwise(outputs_of(layers)), key=lambda pair: pair[0].sqnr_db - pair[1].sqnr_db, default=(None, None)
    )
    broken = first_broken(layers) or falls[1]
    if broken is None:
        return Diagnosis(layer=None, operator=None, sqnr_db=None, finding="", remedies=remedies)
    least = f"{BROKEN_SQNR_DB:.0f} dB"
    clipped = f", {100 * broken.clipped:.1f} % of its values clipped" if broken.clipped else ""
    sqnr = f"{broken.sqnr_db:.1f} dB{clipped})"
    if broken.sqnr_db < BROKEN_SQNR_DB:
        said = f"SQNR first falls below {least} at {broken.layer} ({broken.operation}, {sqnr}"
    else:
        said = f"no layer's output is below {least}; SQNR falls most at {broken.layer} ({broken.operation}, to {sqnr}"
    return Diagnosis(
        layer=broken.layer, operator=broken.operator, sqnr_db=broken.sqnr_db, finding=said, remedies=remedies
    )


def _remedies(circumstances: Circumstances) -> Iterator[Remedy]:
    """What helps, the likeliest first."""
    recipe = RECIPES.get(circumstances.recipe)
    if circumstances.odd_images:
        yield Remedy(
            sentence="check the preprocessing (mean, std, RGB order; --origin) and the calibration images: a note "
            "says what looks wrong with them"
        )
    if recipe is not None and not (recipe.searches or recipe.trains):
        yield _option("--recipe", DEFAULT_RECIPE, "loss-aware ranges, reconstructed layers")
    if 0 < circumstances.calibration < FEW_CALIBRATION:
        more = str(DEFAULT_CALIBRATION)
        yield Remedy(sentence=f"more calibration images (--calibration {more})", options={"--calibration": more})
    if recipe is not None and recipe.searches and not circumstances.targeted:
        kept = "keeps the cheapest layers in float until"
        if circumstances.classes:
            yield _option("--min-agreement", "99", f"{kept} that many images keep their class")
        else:
            yield _option("--max-drop", "1", f"{kept} no more is lost")
    if recipe is not None and not recipe.trains:
        yield _option("--recipe", "qat-int8", "continues training in int8")
    if recipe is None:
        yield Remedy(
            sentence="another precision or backend for this network: this one has too few bits for its values"
        )
    yield Remedy(
        sentence="calibrate and evaluate on images like the phone's, preprocessed as these weights were trained"
    )


def _option(name: str, value: str, why: str) -> Remedy:
    return Remedy(sentence=f"{name} {value} ({why})", options={name: value})


def layer_causes(reports: Sequence[LayerReport], sqnr_db: float) -> tuple[Finding, ...]:
    """Find each thing in the analysis that could explain a failing verdict, beside what `diagnose` finds.

    `reports` are from input to output, `sqnr_db` is of the program's logits, now.
    """
    causes = []
    clipped = max(filter(_saturated, reports), key=lambda report: report.noise_share, default=None)
    if clipped is not None:
        message = (
            f"saturated: {clipped.layer} ({clipped.operator}) has {100 * (clipped.clipped or 0.0):.1f} % of its "
            f"values beyond its int8 grid, and makes {100 * clipped.noise_share:.0f} % of the noise in the logits"
        )
        causes.append(finding("saturated-layer", message))
    if reports and sqnr_db < reports[-1].sqnr_db - ANALYSIS_FALL_DB:
        message = (
            f"another program or other images: the logits had {reports[-1].sqnr_db:.1f} dB when layers.json was "
            f"written, and have {sqnr_db:.1f} dB now"
        )
        causes.append(finding("analysis-differs", message))
    return tuple(causes)


def _saturated(report: LayerReport) -> bool:
    """Whether clipping does harm: what SiLU makes zero may be clipped, and a sigmoid's grid ends at 255/256."""
    if report.grid is None or (report.clipped or 0.0) <= CLIPPED_SHARE or report.noise_share < CLIPPED_NOISE_SHARE:
        return False
    (low, high), (least, most) = report.grid, report.seen
    return max(low - least, most - high) > 1.01 * (high - low) / 255
