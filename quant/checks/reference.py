"""Everything that float's answers on the evaluation images say against a verdict, in one table."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import torch

from edge_effnet.preprocess import Preprocess
from quant.checks.label_order import check_label_order
from quant.checks.leakage import find_leakage
from quant.checks.preprocessing_probe import ALWAYS, READINGS, Probe, better_reading
from quant.checks.recorded_figures import Recorded, other_float, other_program
from quant.common.findings import Finding, finding
from quant.data.batches import Model
from quant.data.perceptual_hash import Calibrated
from quant.data.split import ImageRecord
from quant.metrics import metrics
from quant.metrics.evaluate import fidelity, labels_of
from quant.thresholds import COLLAPSE_IMAGES, NEARLY_ONE_CLASS, PLAUSIBLE_TOP1


@dataclass(frozen=True, kw_only=True, slots=True)
class Reference:
    """The float network over the evaluation images."""

    run: Model
    """Its program."""
    logits: torch.Tensor
    """[images, classes]."""
    images: Sequence[ImageRecord]
    class_names: Sequence[str]
    preprocess: Preprocess
    pte_logits: torch.Tensor | None
    """Of the program that is judged; None where nothing was recorded of it, as in `quantize`."""
    recorded: Recorded | None
    """What `quantize` found of the two; None where this is `quantize`."""
    hashes: torch.Tensor
    """Of the images, [images, 64]."""
    calibrated: Calibrated | None
    """The images that the program was fitted on; None where an earlier version made it."""

    @property
    def labels(self) -> torch.Tensor | None:
        """Int64 [images]."""
        return labels_of(self.images)

    @property
    def top1(self) -> float | None:
        """Share of 1; None without labels."""
        return None if self.labels is None else metrics.topk_accuracy(self.logits, self.labels, 1)


def check_reference(reference: Reference) -> tuple[Finding, ...]:
    """Look for reasons not to believe figures that are relative to this float network.

    Raises:
        InputError: an image that cannot be read.
    """
    if reference.logits.shape[1] == 1:
        return tuple(each for each in [_classes(reference)] if each is not None)
    found = [each for check in _CHECKS if (each := check(reference)) is not None]
    if not any(each.code in _CAUSES_OF_CHANCE for each in found) and (guessing := _chance(reference)) is not None:
        found.append(guessing)
    return tuple(found)


def _classes(reference: Reference) -> Finding | None:
    if reference.logits.shape[1] == 1:
        return finding(
            "one-class",
            "one output: the largest of one number an image is always the same: the network cannot be judged "
            "as a classifier",
            remedy="Give weights with one output for each class.",
        )
    answers = reference.logits.argmax(dim=1)
    usual = int(answers.mode().values)
    share = int((answers == usual).sum()) / len(answers)
    name = reference.class_names[usual]
    if share == 1:
        return finding(
            "one-class",
            f"one class: float takes every one of the {len(answers)} images for {name!r}; agreement and top-1 mean "
            "nothing there: evaluate on images of several classes",
        )
    if share < NEARLY_ONE_CLASS:
        return None
    return finding(
        "nearly-one-class",
        f"nearly one class: float takes {100 * share:.0f} % of the {len(answers)} images for {name!r}; the others "
        "say little about the rest",
    )


def _leakage(reference: Reference) -> Finding | None:
    if reference.calibrated is None:
        return None
    return find_leakage(reference.images, reference.hashes, reference.calibrated)


def _label_order(reference: Reference) -> Finding | None:
    if reference.labels is None:
        return None
    return check_label_order(reference.logits, reference.labels, reference.class_names)


def _preprocessing(reference: Reference) -> Finding | None:
    labels, top1 = reference.labels, reference.top1
    if labels is None or top1 is None or len(labels.unique()) == 1:
        return None
    probe = Probe(images=reference.images, labels=labels, logits=reference.logits, preprocess=reference.preprocess)
    suspicious = top1 < PLAUSIBLE_TOP1 or _recorded_float(reference) is not None
    return better_reading(reference.run, probe, READINGS if suspicious else ALWAYS)


def _recorded_float(reference: Reference) -> Finding | None:
    if reference.recorded is None or reference.top1 is None:
        return None
    return other_float(reference.recorded, reference.top1, reference.images)


def _recorded_program(reference: Reference) -> Finding | None:
    if reference.recorded is None or reference.pte_logits is None:
        return None
    sqnr = fidelity(reference.logits, reference.pte_logits).sqnr_db
    return other_program(reference.recorded, sqnr, reference.images)


def _chance(reference: Reference) -> Finding | None:
    top1, classes = reference.top1, reference.logits.shape[1]
    count = len(reference.images)
    if top1 is None or count < COLLAPSE_IMAGES or metrics.wilson_interval(top1, count)[0] > 1 / classes:
        return None
    return finding(
        "float-at-chance",
        f"float at chance: it is right on {100 * top1:.1f} % of {count} images of {classes} classes, which guessing "
        "reaches too: another order of classes, halves of a split taken for classes, another variant's weights, or "
        "wrong preprocessing",
    )


_CHECKS: tuple[Callable[[Reference], Finding | None], ...] = (
    _classes,
    _leakage,
    _label_order,
    _preprocessing,
    _recorded_float,
    _recorded_program,
)

_CAUSES_OF_CHANCE = frozenset({"one-class", "label-order", "preprocessing", "float-changed"})
"""What explains a float network at chance better than that it is."""
