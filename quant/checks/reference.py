"""All doubts about a run, in one table: a verdict with doubts is a fail, whatever the figures say."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cached_property

import torch

from edge_effnet.preprocess import Preprocess
from quant.checks.label_order import permuted_classes, permuted_sentence
from quant.checks.leakage import Copies, find_copies
from quant.checks.preprocessing_probe import ALWAYS, READINGS, Probe, better_reading
from quant.checks.recorded_figures import Recorded, other_float, other_program
from quant.data.batches import Model
from quant.data.perceptual_hash import Calibrated
from quant.data.split import ImageRecord
from quant.metrics import metrics
from quant.metrics.evaluate import fidelity, labels_of
from quant.thresholds import NEARLY_ONE_CLASS, PLAUSIBLE_TOP1


@dataclass(frozen=True, kw_only=True)
class Reference:
    """The float network over the evaluation images."""

    run: Model
    """Its program."""
    logits: torch.Tensor
    """[images, classes]."""
    images: Sequence[ImageRecord]
    class_names: Sequence[str]
    preprocess: Preprocess
    pte_logits: torch.Tensor | None = None
    """Of the program that is judged; None where this is `quantize`."""
    recorded: Recorded | None = None
    """What `quantize` found of the two; None where this is `quantize`."""
    hashes: torch.Tensor | None = None
    """Of the images, [images, 64]."""
    calibrated: Calibrated | None = None
    """The images that the program was fitted on; None where an earlier version made it."""

    @property
    def labels(self) -> torch.Tensor | None:
        """Int64 [images]."""
        return labels_of(self.images)

    @cached_property
    def copies(self) -> Copies | None:
        """Images that the program was fitted on, saved again."""
        if self.hashes is None or self.calibrated is None:
            return None
        return find_copies(self.images, self.hashes, self.calibrated)

    @property
    def top1(self) -> float | None:
        """Share of 1; None without labels."""
        return None if self.labels is None else metrics.topk_accuracy(self.logits, self.labels, 1)


def find_doubts(reference: Reference) -> tuple[str, ...]:
    """Return a sentence for each reason not to believe figures that are relative to this float network.

    Raises:
        InputError: an image that cannot be read.
    """
    found = (doubt(reference) for doubt in _DOUBTS)
    return tuple(sentence for sentence in found if sentence is not None)


def reservations(reference: Reference) -> tuple[str, ...]:
    """Return a sentence for each thing that a pass is to be taken with caution for."""
    copies, found = reference.copies, []
    if copies is not None and not copies.flatters:
        found.append(copies.sentence)
    answers = reference.logits.argmax(dim=1)
    usual = int(answers.mode().values)
    share = int((answers == usual).sum()) / len(answers)
    if NEARLY_ONE_CLASS <= share < 1:
        found.append(
            f"nearly one class: float takes {100 * share:.0f} % of the {len(answers)} images for "
            f"{reference.class_names[usual]!r}; the others say little about the rest"
        )
    return tuple(found)


def _one_class(reference: Reference) -> str | None:
    classes = reference.logits.argmax(dim=1).unique().tolist()
    if len(classes) > 1:
        return None
    return (
        f"one class: float takes every one of the {len(reference.images)} images for "
        f"{reference.class_names[classes[0]]!r}; agreement and top-1 mean nothing there: evaluate on images of "
        "several classes"
    )


def _copied(reference: Reference) -> str | None:
    copies = reference.copies
    return copies.sentence if copies is not None and copies.flatters else None


def _permuted(reference: Reference) -> str | None:
    moved = {} if reference.labels is None else permuted_classes(reference.logits, reference.labels)
    return permuted_sentence(moved, reference.class_names) if moved else None


def _recorded(reference: Reference) -> str | None:
    if reference.recorded is None or reference.top1 is None:
        return None
    return other_float(reference.recorded, reference.top1, reference.images)


def _other_program(reference: Reference) -> str | None:
    if reference.recorded is None or reference.pte_logits is None:
        return None
    sqnr = fidelity(reference.logits, reference.pte_logits).sqnr_db
    return other_program(reference.recorded, sqnr, reference.images)


def _misread(reference: Reference) -> str | None:
    labels, top1 = reference.labels, reference.top1
    if labels is None or top1 is None or len(labels.unique()) == 1:
        return None
    probe = Probe(images=reference.images, labels=labels, logits=reference.logits, preprocess=reference.preprocess)
    suspicious = top1 < PLAUSIBLE_TOP1 or _recorded(reference) is not None
    return better_reading(reference.run, probe, READINGS if suspicious else ALWAYS)


_DOUBTS: tuple[Callable[[Reference], str | None], ...] = (
    _one_class,
    _copied,
    _permuted,
    _misread,
    _recorded,
    _other_program,
)
