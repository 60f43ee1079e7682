"""What a run finds out beside its figures, as data: a code, how serious it is, a sentence, and what to do about it.

Findings come from every package, so they stand below all of them. The table is the only place that knows how serious
a kind of finding is; docs/findings.md shows it.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from functools import partial
from typing import Any


class Severity(StrEnum):
    """What a finding does to a verdict."""

    ERROR = "error"
    """It fails."""
    WARNING = "warning"
    """A pass is to be taken with caution."""
    NOTE = "note"
    """Nothing."""


@dataclass(frozen=True, slots=True)
class Kind:
    """What all findings of one code share."""

    meaning: str
    """One line for docs/findings.md."""
    remedy: str = ""
    """What to do where a finding says nothing better; empty where nothing has to be done."""
    severity: Severity = field(kw_only=True)


@dataclass(frozen=True, kw_only=True, slots=True)
class Finding:
    """One thing found out."""

    code: str
    """A key of `KINDS`."""
    severity: Severity
    message: str
    """A sentence with the figures."""
    remedy: str
    """What to do; empty where nothing has to be done."""
    items: tuple[str, ...] = ()
    """What it is about, one by one, where the sentence only counts them."""

    def to_json(self) -> dict[str, Any]:
        """Of the list `findings` in the object that `--json` prints."""
        said = {"code": self.code, "severity": str(self.severity), "message": self.message, "remedy": self.remedy}
        return {**said, "items": list(self.items)} if self.items else said


def finding(code: str, message: str, *, remedy: str | None = None, items: Iterable[str] = ()) -> Finding:
    """Make a finding of a kind, with the kind's remedy unless another is given; arguments as the fields."""
    kind = KINDS[code]
    remedy = kind.remedy if remedy is None else remedy
    return Finding(code=code, severity=kind.severity, message=message, remedy=remedy, items=tuple(items))


def further_remedy(message: str, remedy: str) -> str:
    """Return what a remedy says beyond the sentence in front of it; nothing where that says it already."""
    return "" if remedy.rstrip(".").lower() in message.lower() else remedy


def messages(findings: Iterable[Finding], *severities: Severity) -> tuple[str, ...]:
    """Sentences of the findings of these severities, in their order."""
    return tuple(found.message for found in findings if found.severity in severities)


_error = partial(Kind, severity=Severity.ERROR)
_warning = partial(Kind, severity=Severity.WARNING)
_note = partial(Kind, severity=Severity.NOTE)

_REGENERATE = "Regenerate the artifact with `quantize`."
_OTHER_IMAGES = "Evaluate on images that the program was not calibrated on."
_PREPROCESSING = "Check mean, std, channel order and --origin, and that the images are like those of the training."
_MORE_IMAGES = "Evaluate on more images, or allow more with --max-drop."

KINDS: Mapping[str, Kind] = {
    # The program against float, the limits and the baseline.
    "collapsed": _error(
        "The program has lost most of what float predicts; it fails whatever the limits allow.",
        "Use --recipe int8, and see `edge-effnet analyze` for the layer where the signal is lost.",
    ),
    "not-finite": _error(
        "The program outputs NaN or infinite values.",
        "Choose a precision or backend with more range, or omit this one.",
    ),
    "accuracy-drop": _error(
        "More top-1, or the task's own figure, is lost against float (without labels: expected to be lost) than "
        "--max-drop allows.",
        "Let the search keep layers in float: --min-agreement 99.",
    ),
    "sure-images-changed": _error(
        "Without labels: too many images change a class or label that float is confident of.",
        "Let the search keep layers in float: --min-agreement 99.",
    ),
    "agreement-low": _error(
        "Fewer images keep float's class (or answer, in other tasks) than --min-agreement requires.",
        "Use --recipe int8, whose search keeps layers in float until the target is met.",
    ),
    "baseline-drop": _error(
        "More is lost against the baseline than --max-drop allows.",
        "Find what changed since the baseline was written; --update-baseline accepts the new figures.",
    ),
    "target-not-met": _error(
        "No set of float layers meets the target on the selection images.",
        "Lower the target, or train: --recipe qat-int8.",
    ),
    "device-differs": _error(
        "The device's outputs differ from those of the same program on this host.",
        "Update the device's runtime to the version of the manifest, and check again.",
    ),
    "device-varies": _error(
        "The device gives different outputs when the same image runs again: its driver or runtime is at fault.",
        "Update the device's driver and runtime, or use its CPU: --backend xnnpack.",
    ),
    # What makes figures meaningless.
    "one-class": _error(
        "Float predicts the same class for every image: agreement and top-1 mean nothing.",
        "Evaluate on images of several classes.",
    ),
    "one-answer": _error(
        "In a task without classes: float gives every image the same answer, and agreement means nothing.",
        "Evaluate on images that differ; check the weights and the preprocessing.",
    ),
    "float-at-chance": _error(
        "Float is right no more often than guessing: nothing can be lost, and nothing is proved.",
        "Check the order of classes, whether folders are halves of a split rather than classes, --variant, and the "
        "preprocessing.",
    ),
    "label-order": _error(
        "Float confuses whole classes with each other: names or folders are not in the order of its outputs.",
        "Put the class names into the order of the network's outputs.",
    ),
    "preprocessing": _error(
        "Float fits the images better with other preprocessing, or golden inputs are not what this one makes.",
        _PREPROCESSING,
    ),
    "leakage": _error(
        "So many evaluation images are copies of calibration images that the verdict is optimistic.", _OTHER_IMAGES
    ),
    "float-changed": _error(
        "Float's top-1 is not the one that `quantize` recorded.",
        "Restore float.pte, preprocessing, labels and images, or regenerate the artifact.",
    ),
    "program-changed": _error(
        "The program is not the one that the manifest, layers.json or model.bpte are of.", _REGENERATE
    ),
    "manifest-edited": _error("The manifest was edited after `quantize` wrote it.", _REGENERATE),
    "baseline-edited": _error(
        "The baseline's figures for this very program are not those measured now.",
        "Write it again with --update-baseline.",
    ),
    "dead-layers": _error(
        "All weights of some layers are zero.",
        "Check the weights file, then regenerate the artifact.",
    ),
    # What a pass is to be taken with caution for.
    "near-max-drop": _warning("The loss may be above --max-drop on other images like these.", _MORE_IMAGES),
    "near-min-agreement": _warning(
        "The agreement may be below --min-agreement on other images like these.", _MORE_IMAGES
    ),
    "few-calibration-images": _warning(
        "Ranges were fitted on few images; another sample may do worse.", "Calibrate on more images (--calibration)."
    ),
    "calibration-duplicates": _warning(
        "Many calibration images look like other calibration images.", "Give images that vary as much as the phone's."
    ),
    "calibration-statistics": _warning(
        "The stem's statistics on the calibration images are not those that its BatchNorm learned.", _PREPROCESSING
    ),
    "averaged-weights": _warning(
        "The file's averaged copy of the weights, which was used, is far less accurate than the last step's.",
        "Use the last step's: --no-ema.",
    ),
    "trained-activation": _warning(
        "BatchNorm's statistics fit another activation better than the assumed one.",
        "Compare float's accuracy with --trained-activation.",
    ),
    "linear-head": _warning(
        "The classifier has no bias and was read as a Linear; cosine and ArcFace heads have the same tensors.",
        "Compare float's accuracy with your own; --head linear says that it is a Linear.",
    ),
    "selection-on-evaluation": _warning(
        "Float layers, or 16-bit activations, were chosen on the evaluation images, so the verdict is optimistic.",
        "Give more images, so that some can be held out for that choice.",
    ),
    "nearly-one-class": _warning(
        "Float predicts the same class for nearly every image: the figures say little.",
        "Evaluate on images of all classes.",
    ),
    "near-duplicates": _warning("A few evaluation images look like calibration images.", _OTHER_IMAGES),
    # What else there is to know.
    "geometry": _note(
        "Another resizing or cropping suits float clearly better.",
        "Compare float's accuracy with other --resize, --crop and --resize-mode.",
    ),
    "weights": _note(
        "How the weights file was understood, where it leaves something open.", "Check it against the training."
    ),
    "tensor-inputs": _note(
        "Images came as preprocessed tensors: how an image becomes one is not in the artifact, and apps refuse it."
    ),
    "sample-model": _note("The sample model was quantized, not your own."),
    "images-left-out": _note(
        "Images or files were left out: copies, unreadable or contradictory ones, ones that the program was "
        "calibrated on, or that a label file does not list; `items` has them."
    ),
    "classes-subset": _note("The images are of only some of the network's classes; figures are over these."),
    "images-fewer": _note("Fewer images were used than requested, or than there are."),
    "large-for-phones": _note(
        "The program is large for a phone: arithmetic, memory or file size.",
        "Use a smaller variant, image size or precision.",
    ),
    "device-reports": _warning(
        "Wrong or varying results were reported on devices that run such programs; the message has the bug reports' "
        "numbers.",
        "Compare on the phone: edge-effnet check --device adb.",
    ),
    "device": _note("The device's state: emulated, hot, low on battery."),
    # Why a program failed, as far as the analysis tells.
    "first-broken-layer": _note("Where the signal is first lost.", "See `edge-effnet analyze`."),
    "saturated-layer": _note(
        "A layer's values exceed its int8 range, which causes much of the noise.", "See `edge-effnet analyze`."
    ),
    "analysis-differs": _note(
        "The logits are worse than when layers.json was written: another program, or other images.", _REGENERATE
    ),
}
