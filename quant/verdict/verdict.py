"""Float against .pte, tolerance and baseline -> verdict, with what a pass is to be taken with caution for."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch

from quant.common.findings import Finding, Severity, finding, messages
from quant.metrics.evaluate import Accuracy, Fidelity
from quant.metrics.logit_changes import LogitChanges
from quant.metrics.margins import (
    Expected,
    MarginClass,
    Paired,
    expected_loss,
    fitted_temperature,
    margin_classes,
    paired,
    tells_enough,
)
from quant.metrics.metrics import agreement, decimals, paired_drop_interval, telling_decimals, wilson_interval
from quant.metrics.tasks.classes import CLASSES
from quant.metrics.tasks.task import Task
from quant.thresholds import (
    CAUTION_CONFIDENCE,
    COLLAPSE_AGREEMENT,
    COLLAPSE_IMAGES,
    COLLAPSE_SQNR_DB,
    FEW_CALIBRATION,
    SHARE_ROUNDING,
    SURE_MARGIN,
)
from quant.verdict.limits import Limits


@dataclass(frozen=True, slots=True)
class Verdict:
    """Pass or fail, and why."""

    passed: bool
    reasons: tuple[str, ...]
    """Sentences with the figures; at least one."""
    cautions: tuple[str, ...] = ()
    """What a pass is to be taken with caution for."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Changes:
    """What the changes of class mean."""

    expected: Expected
    """Top-1 that they are expected to cost."""
    margins: tuple[MarginClass, ...]
    """By how sure float was, `SURE_MARGIN` among them."""
    images: int
    paired: Paired | None
    """Lost and won; None without labels."""
    interval: tuple[float, float]
    """95 % interval of top-1 lost; of what is expected to be lost without labels."""
    logits: LogitChanges
    """Image by image, what made them."""

    @classmethod
    def of(
        cls,
        reference: torch.Tensor,
        found: torch.Tensor,
        labels: torch.Tensor | None,
        *,
        temperature: float | None = None,
    ) -> Changes:
        """Count them from float's logits to a program's, both [N, classes]; labels int64 [N].

        `temperature` is float's on other, labelled images; with labels these images tell their own.
        """
        if labels is not None:
            temperature = fitted_temperature(reference, labels)
        expected = expected_loss(reference, found, temperature=temperature or 1.0)
        return cls(
            expected=expected,
            margins=margin_classes(reference, found, temperature=temperature or 1.0),
            images=len(reference),
            paired=None if labels is None else paired(reference, found, labels),
            interval=expected.interval if labels is None else paired_drop_interval(reference, found, labels),
            logits=LogitChanges.of(reference, found),
        )

    @property
    def sure(self) -> MarginClass:
        """The images that float is sure of."""
        return next(row for row in self.margins if row.at_least == SURE_MARGIN)

    @property
    def float_is_sure(self) -> bool:
        """Whether float's probabilities say enough to rest a verdict on."""
        return tells_enough(self.sure.images, self.images)


@dataclass(frozen=True, kw_only=True, slots=True)
class Compared:
    """Figures against limits."""

    failures: tuple[Finding, ...]
    passes: tuple[str, ...]
    """A sentence for each limit that is kept."""


Drop = tuple[str, float, str]
"""What may not fall further than `max_drop`: code of a failure, points lost, and the sentence."""


def compare(
    float_accuracy: Accuracy,
    pte_accuracy: Accuracy,
    pte: Fidelity,
    limits: Limits,
    *,
    images: int,
    changes: Changes | None = None,
    task: Task = CLASSES,
) -> Compared:
    """Compare what a program makes of so many images with float and with what is allowed.

    Of a task whose answer is one of several. Without labels and without `changes`, every change counts as lost.
    """
    collapse = None
    if has_collapsed(pte, images, task):
        kept, least = 100.0 * pte.agreement, 100.0 * COLLAPSE_AGREEMENT
        digits = telling_decimals(kept, least, images, least=True)
        collapse = (
            f"collapsed: agrees with float on {kept:.{digits}f} % of images at {pte.sqnr_db:.1f} dB; "
            f"below {least:.0f} % or {COLLAPSE_SQNR_DB:.0f} dB nothing else counts"
        )
    limit, after = limits.max_drop, pte_accuracy.top1
    drops = fallen_figures(task, float_accuracy, pte_accuracy, limit, images)
    if not drops or after is None:
        unlabelled = _unlabelled(pte, limit, changes, task, images)
        return hold(collapse, pte, [*unlabelled, *fallen_behind(pte, limits, images)], limits, images)
    if changes is not None and changes.paired is not None:
        code, drop, sentence = drops[0]
        drops[0] = (code, drop, f"{sentence}; {paired_sentence(changes.paired, changes.interval)}")
    if limits.baseline is not None and limits.baseline.top1 is not None:
        behind = _fallen(task.figure.name, "the baseline", limits.baseline.top1, after, limit, images)
        drops.append(("baseline-drop", *behind))
    return hold(collapse, pte, drops, limits, images)


def hold(collapse: str | None, pte: Fidelity, drops: Sequence[Drop], limits: Limits, images: int) -> Compared:
    """Hold figures of so many images against limits.

    `collapse` is the sentence of a program that fails whatever is allowed.
    """
    rows = [] if collapse is None else [("collapsed", True, collapse)]
    if limits.min_agreement is not None:
        kept, wanted = 100.0 * pte.agreement, 100.0 * limits.min_agreement
        digits = telling_decimals(kept, wanted, images, least=True)
        sentence = f"agreement {kept:.{digits}f} %, at least {wanted:.{digits}f} wanted"
        rows.append(("agreement-low", pte.agreement < limits.min_agreement - SHARE_ROUNDING, sentence))
    rows += [(code, drop > limits.max_drop + SHARE_ROUNDING, sentence) for code, drop, sentence in drops]
    return Compared(
        failures=tuple(finding(code, sentence) for code, missed, sentence in rows if missed),
        passes=tuple(sentence for _, missed, sentence in rows if not missed),
    )


def fallen_figures(task: Task, before: Accuracy, after: Accuracy, limit: float, images: int) -> list[Drop]:
    """What fell from float to the program of the figures that `max_drop` bounds; nothing without targets."""
    found = []
    for row in map(task.row, task.bounded):
        then, now = row.value(before), row.value(after)
        if then is not None and now is not None:
            found.append(("accuracy-drop", *_fallen(row.name, "float", then, now, limit, images)))
    return found


def fallen_behind(pte: Fidelity, limits: Limits, images: int) -> list[Drop]:
    """What agreement fell behind the baseline, where there is one."""
    if limits.baseline is None:
        return []
    before, limit = limits.baseline.agreement, limits.max_drop
    return [("baseline-drop", *_fallen("agreement", "the baseline", before, pte.agreement, limit, images))]


def _unlabelled(pte: Fidelity, limit: float, changes: Changes | None, task: Task, images: int) -> list[Drop]:
    if changes is None or not changes.float_is_sure:
        return [("accuracy-drop", *_fallen("agreement", "float", 1.0, pte.agreement, limit, images))]
    expected = 100.0 * changes.expected.share
    most = 100.0 * changes.expected.interval[1]
    sure = changes.sure
    digits = telling_decimals(expected, limit, images)
    sentence = (
        f"{task.figure.name} expected to lose {expected:.{digits}f} points ({most:.{digits}f} at most), "
        f"limit {limit:.{digits}f}; agrees on {100 * pte.agreement:.{decimals(images)}f} %"
    )
    found = [("accuracy-drop", expected, sentence)]
    if sure.images:
        kept, wanted = 100.0 * sure.agreement, 100.0 - limit
        digits = telling_decimals(kept, wanted, sure.images, least=True)
        sentence = (
            f"agreement where float is sure (margin from {sure.at_least:g}, {sure.images} images) "
            f"{kept:.{digits}f} %, limit {wanted:.{digits}f}"
        )
        found.append(("sure-images-changed", 100.0 - kept, sentence))
    return found


def _fallen(figure: str, reference: str, before: float, after: float, limit: float, images: int) -> tuple[float, str]:
    """Points lost, and the sentence, with as many digits as show on which side of the limit they are."""
    drop = 100.0 * (before - after)
    digits = telling_decimals(drop, limit, images)
    return drop, (
        f"{figure} {100 * after:.{digits}f} % ({reference} {100 * before:.{digits}f} %): "
        f"{0.0 - drop:+.{digits}f} points, limit {0.0 - limit:.{digits}f}"
    )


def paired_sentence(found: Paired, interval: tuple[float, float]) -> str:
    """Say what was lost and won, and whether the images can tell; `interval` of the share lost.

    Like the sentence that it goes with it counts what is lost as negative.
    """
    low, high = (0.0 - 100.0 * bound for bound in reversed(interval))
    digits = decimals(found.images)
    told = "a significant change" if found.told else "no significant change"
    counts = f"lost {found.lost}, won {found.won} of {found.images} images"
    return f"{counts}, 95 % interval {low:+.{digits}f} to {high:+.{digits}f}: {told}"


def decide(errors: Sequence[Finding], compared: Compared) -> Verdict:
    """Fail for any error, pass with the sentences of the limits that are kept."""
    reasons = messages((*errors, *compared.failures), Severity.ERROR)
    return Verdict(passed=not reasons, reasons=reasons or compared.passes)


def has_collapsed(pte: Fidelity, images: int, task: Task = CLASSES) -> bool:
    """Whether a program sees so little of what float sees in so many images that it fails whatever is allowed.

    Figures that it does not have, as one of an earlier manifest may, count for nothing.
    """
    figures = {key: task.row(key).value(pte) for key in task.floors}
    low = any(value is not None and value < task.floors[key] for key, value in figures.items())
    return low and images >= COLLAPSE_IMAGES


def weak_evidence(
    reference: torch.Tensor,
    found: torch.Tensor,
    labels: torch.Tensor | None,
    limits: Limits,
    *,
    calibration: int,
    changes: Changes,
    task: Task = CLASSES,
) -> tuple[Finding, ...]:
    """Find why a pass is to be taken with caution: limits that other images might miss, few calibration images.

    Arguments as those of `Changes.of`, whose result for the same logits is `changes`, and of `few_calibration`.
    """
    kept, count = agreement(reference, found), len(reference)
    if labels is not None:
        interval = paired_drop_interval(reference, found, labels, confidence=CAUTION_CONFIDENCE)
        lost, figure = interval[1], task.figure.name
    elif changes.float_is_sure:
        scale = changes.expected.temperature
        likely = expected_loss(reference, found, temperature=scale, confidence=CAUTION_CONFIDENCE)
        lost, figure = likely.interval[1], "what is expected"
    else:
        lost, figure = 1.0 - wilson_interval(kept, count, confidence=CAUTION_CONFIDENCE)[0], "agreement"
    return (*near_limits(lost, figure, kept, count, limits), *few_calibration(calibration))


def few_calibration(images: int) -> tuple[Finding, ...]:
    """Find that ranges were fitted on so few images that they depend on the draw; of 0 images nothing was fitted."""
    if not 0 < images < FEW_CALIBRATION:
        return ()
    message = f"calibrated on {images} images; with fewer than {FEW_CALIBRATION} another sample may do worse"
    return (finding("few-calibration-images", message),)


def near_limits(lost: float, figure: str, kept: float, count: int, limits: Limits) -> list[Finding]:
    """Find limits that other images like these might miss.

    Args:
        lost: share of `figure` that may be lost, the upper bound at `CAUTION_CONFIDENCE`.
        figure: what is lost.
        kept: agreement, as seen on `count` images.
        count: of images.
        limits: what is allowed.
    """
    bound = f"{100 * (1 + CAUTION_CONFIDENCE) / 2:.0f} % bound"
    found = []
    if 100.0 * lost > limits.max_drop:
        digits = telling_decimals(100.0 * lost, limits.max_drop, count)
        message = (
            f"close to the limit: with {count} images, the loss may be up to {100 * lost:.{digits}f} points of "
            f"{figure} ({bound}), {limits.max_drop:.{digits}f} allowed"
        )
        found.append(finding("near-max-drop", message))
    least = wilson_interval(kept, count, confidence=CAUTION_CONFIDENCE)[0]
    if limits.min_agreement is not None and least < limits.min_agreement:
        wanted = 100.0 * limits.min_agreement
        digits = telling_decimals(100.0 * least, wanted, count, least=True)
        message = (
            f"close to the limit: with {count} images, agreement may be as low as {100 * least:.{digits}f} % "
            f"({bound}), {wanted:.{digits}f} wanted"
        )
        found.append(finding("near-min-agreement", message))
    return found
