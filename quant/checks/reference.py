"""Everything that float's answers on the evaluation images say against a verdict, in one table."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import torch

from edge_effnet.preprocess import Preprocess
from quant.checks.label_order import check_label_order
from quant.checks.preprocessing_probe import ALWAYS, READINGS, Probe, better_geometry, better_reading
from quant.checks.recorded_figures import Recorded, other_float, other_program
from quant.common.findings import Finding, finding
from quant.common.progress import Progress
from quant.common.subsample import subsample
from quant.data.batches import Model
from quant.data.perceptual_hash import Calibrated, nearest
from quant.data.split import ImageRecord
from quant.metrics import metrics
from quant.metrics.tasks.classes import CLASSES
from quant.metrics.tasks.task import Task
from quant.thresholds import (
    CHANCE_IMAGES,
    CHANCE_SHUFFLES,
    COLLAPSE_IMAGES,
    COPIES_SHARE,
    GEOMETRY_LEAST,
    NEARLY_ONE_CLASS,
    PLAUSIBLE_TOP1,
)


@dataclass(frozen=True, kw_only=True, slots=True)
class Reference:
    """The float network over the evaluation images; outputs as the task's `view` gives them."""

    task: Task
    run: Model
    """Its program."""
    logits: torch.Tensor
    """[images, outputs]."""
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
        """Int64 [images]; the targets of another task."""
        return self.task.targets_of(self.images)

    @property
    def top1(self) -> float | None:
        """Share of 1, or the figure that stands for it; None without labels."""
        return self.task.figure.value(self.task.accuracy(self.logits, self.labels))

    @property
    def probe(self) -> Probe | None:
        """What other preprocessing is tried on; None without labels of several classes."""
        labels = self.labels
        if labels is None or self.top1 is None or len(labels.unique()) == 1:
            return None
        return Probe(images=self.images, labels=labels, logits=self.logits, preprocess=self.preprocess)


def check_reference(reference: Reference, progress: Progress) -> tuple[Finding, ...]:
    """Look for reasons not to believe figures that are relative to this float network.

    Each check advances `progress`: some run float again, on images prepared in another way.

    Raises:
        InputError: an image that cannot be read.
    """
    checks = _CHECKS if reference.task.exclusive else _CHECKS_OF_OUTPUTS
    if reference.task.exclusive and reference.logits.shape[1] == 1:
        return (_ONE_OUTPUT,)
    found: list[Finding] = []
    with progress.stage("Checking", len(checks) + len(_UNEXPLAINED)) as advance:
        for check in (*checks, *_UNEXPLAINED):
            explained = check in _UNEXPLAINED and any(each.code in _CAUSES_OF_CHANCE for each in found)
            if not explained and (each := check(reference)) is not None:
                found.append(each)
            advance(1)
    return tuple(found)


def _constant(reference: Reference) -> Finding | None:
    task = reference.task
    if task.constant is None or not task.constant(reference.logits):
        return None
    return finding(
        "one-answer",
        f"one answer: float gives all {len(reference.images)} images the same {task.same}; agreement means nothing "
        "there: evaluate on images that differ",
    )


_ONE_OUTPUT = finding(
    "one-class",
    "one output: the largest of one number is the same for every image; this is no classifier that can be evaluated",
    remedy="Give weights with one output for each class.",
)


def _classes(reference: Reference) -> Finding | None:
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


def find_leakage(
    images: Sequence[ImageRecord], hashes: torch.Tensor, calibrated: Calibrated | None
) -> Finding | None:
    """Look by hashes [n, 64] for evaluation images that calibrated the program too, saved again.

    Returns:
        An error where there are enough of them to flatter the verdict, else a warning; None where no two are alike.
    """
    if calibrated is None:
        return None
    alike, which = nearest(hashes, calibrated.hashes)
    found = alike.nonzero().flatten().tolist()
    if not found:
        return None
    first = found[0]
    return finding(
        "leakage" if len(found) >= COPIES_SHARE * len(images) else "near-duplicates",
        f"calibration images: {len(found)} of the {len(images)} evaluation images look like ones that "
        f"the program was calibrated on, saved again (first: {images[first].name}, like "
        f"{calibrated.names[which[first]]}); evaluate on images it has not seen",
    )


def _leakage(reference: Reference) -> Finding | None:
    return find_leakage(reference.images, reference.hashes, reference.calibrated)


def _label_order(reference: Reference) -> Finding | None:
    if reference.labels is None:
        return None
    return check_label_order(reference.logits, reference.labels, reference.class_names)


def _preprocessing(reference: Reference) -> Finding | None:
    if (probe := reference.probe) is None:
        return None
    suspicious = (reference.top1 or 0.0) < PLAUSIBLE_TOP1 or _recorded_float(reference) is not None
    return better_reading(reference.run, probe, READINGS if suspicious else ALWAYS)


def _geometry(reference: Reference) -> Finding | None:
    probe = reference.probe if reference.task.exclusive else None
    # A network that knows nothing has no taste.
    if probe is None or (reference.top1 or 0.0) < GEOMETRY_LEAST:
        return None
    return better_geometry(reference.run, probe)


def _recorded_float(reference: Reference) -> Finding | None:
    if reference.recorded is None or reference.top1 is None:
        return None
    return other_float(reference.recorded, reference.top1, reference.images, reference.task.figure.name)


def _recorded_program(reference: Reference) -> Finding | None:
    if reference.recorded is None or reference.pte_logits is None:
        return None
    sqnr = reference.task.fidelity(reference.logits, reference.pte_logits).sqnr_db
    return other_program(reference.recorded, sqnr, reference.images)


def _chance(reference: Reference) -> Finding | None:
    count = len(reference.images)
    if reference.top1 is None or count < COLLAPSE_IMAGES:
        return None
    if reference.task is not CLASSES:
        return _no_signal(reference)
    top1, classes = reference.top1, reference.logits.shape[1]
    if metrics.wilson_interval(top1, count)[0] > 1 / classes:
        return None
    return finding(
        "float-at-chance",
        f"float at chance: it is right on {100 * top1:.1f} % of {count} images of {classes} classes, which guessing "
        "reaches too: another order of classes, halves of a split taken for classes, another variant's weights, or "
        "wrong preprocessing",
    )


def _no_signal(reference: Reference) -> Finding | None:
    """Compare what float sees with what it sees of targets that are shuffled among the images."""
    task, rows = reference.task, subsample(len(reference.images), CHANCE_IMAGES)
    outputs, row = reference.logits[rows], task.row(task.signal)
    targets = None if reference.labels is None else reference.labels[rows]
    seen = row.value(task.accuracy(outputs, targets))
    if seen is None or targets is None:
        return None
    generator = torch.Generator().manual_seed(0)
    orders = (torch.randperm(len(rows), generator=generator) for _ in range(CHANCE_SHUFFLES))
    best = max(row.value(task.accuracy(outputs, targets[order])) or 0.0 for order in orders)
    least = max(best, task.signal_least)
    if seen > least:
        return None
    return finding(
        "float-at-chance",
        f"float at chance: {row.title} {row.text(seen)} on {len(rows)} images, and shuffled labels reach "
        f"{row.text(least)}: another order of labels, other numbers than it was trained on, another variant's "
        "weights, or wrong preprocessing",
    )


Check = Callable[[Reference], Finding | None]

_CHECKS: tuple[Check, ...] = (_classes, _leakage, _label_order, _preprocessing, _recorded_float, _recorded_program)
_CHECKS_OF_OUTPUTS: tuple[Check, ...] = (_constant, _leakage, _recorded_float, _recorded_program)
_UNEXPLAINED: tuple[Check, ...] = (_geometry, _chance)
"""Asked where none of `_CAUSES_OF_CHANCE` was found."""

_CAUSES_OF_CHANCE = frozenset({"one-answer", "one-class", "label-order", "preprocessing", "float-changed"})
"""What explains a float network at chance better than that it is."""
