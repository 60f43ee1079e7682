"""The figures of a run, and the one JSON object that they make for machines."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, fields
from typing import Any

import torch

from quant.analysis.fallback_cost import FloatLayer
from quant.analysis.layer_report import LayerReport
from quant.analysis.search_result import Found
from quant.common.findings import Finding, Severity
from quant.data.split import ImageRecord
from quant.lower.result import Delegation
from quant.metrics.evaluate import Accuracy, Fidelity
from quant.metrics.per_class import ClassFigures, ConfusionChange
from quant.metrics.tasks.task import Task
from quant.program.timing import ProgramFigures
from quant.qat.report import QatReport
from quant.verdict.diagnosis import Diagnosis
from quant.verdict.flips import Flip, rounded
from quant.verdict.notebook import outcome_html
from quant.verdict.verdict import Changes, Verdict

OF_THE_PROGRAM = frozenset(
    {"collapsed", "accuracy-drop", "sure-images-changed", "agreement-low", "baseline-drop", "target-not-met"}
)
"""Codes of errors that another recipe may mend; others need other images, weights or files."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Subject:
    """What was made and measured, before anything is judged; times in ms, sizes in bytes."""

    task: Task
    artifact: str
    """Path of the folder."""
    variant: str
    activation: str
    """Of the program."""
    recipe: str
    backend: str
    threads: int
    """Of the runtime, for float and int8 alike."""
    float_program: ProgramFigures
    """The float network's own .pte."""
    pte_program: ProgramFigures
    delegation: Delegation
    calibration_images: int
    search: Found | None
    """Of the accuracy-targeted search; None where there was none."""
    training: QatReport | None
    """How the quantized network was trained; None where it was not."""
    float_layers: tuple[FloatLayer, ...]
    """Of an int8 program."""
    seconds: dict[str, float]


@dataclass(frozen=True, kw_only=True, slots=True)
class Simulated:
    """What the quantized network gives before it is lowered, on some of the images."""

    rows: list[int]
    """Which of them."""
    logits: torch.Tensor
    """[rows, outputs], as the task's `view` gives them."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Evidence(Subject):
    """What a run collected. No field has a default: what is left out would be lost in silence."""

    logits: Mapping[str, torch.Tensor]
    """[images, outputs], as the task's `view` gives them, of "float" and "pte", and where there was one: "ptq", the
    reference graph before training; "swapped", the float network with the program's activation instead of its own."""
    simulated: Simulated | None
    """The reference graph, in the program's arithmetic; None where there was none."""
    images: Sequence[ImageRecord]
    class_names: Sequence[str]
    """Of classes, labels or outputs, by index."""
    layers: Sequence[LayerReport]
    """The analysis of the int8 network, from input to output; empty without one."""
    findings: tuple[Finding, ...]
    """Of the images, the weights, the files and the device."""
    program: str
    """SHA-256 of the .pte."""
    temperature: float | None
    """Of float's logits, from labelled images of an earlier run; None where there were none."""

    @property
    def targets(self) -> torch.Tensor | None:
        """What the images are labelled with, as `Task.targets_of`."""
        return self.task.targets_of(self.images)


@dataclass(frozen=True, kw_only=True, slots=True)
class Figures(Subject):
    """What the program's answers come to beside float's; rates are shares of 1."""

    float_accuracy: Accuracy
    pte_accuracy: Accuracy
    pte: Fidelity
    """The .pte against float."""
    drop_interval: tuple[float, float] | None
    """95 % confidence interval of what is lost from float to .pte of the first figure that `max_drop` bounds; None
    without labels."""
    changes: Changes | None
    """Of class, from float to .pte: lost and won, expected loss, by float's margin; None of other tasks."""
    classes: tuple[ClassFigures, ...]
    confusion: tuple[ConfusionChange, ...]
    flips: tuple[Flip, ...]
    outputs: tuple[Mapping[str, Any], ...]
    """Figures of each output by name, of a task that has such."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Outcome(Figures):
    """Everything that `quantize` or `check` found out; rates are shares of 1."""

    verdict: Verdict
    quantized: tuple[Accuracy, Fidelity] | None
    """The reference graph against float; None where only programs were run (`check`)."""
    quantized_images: int | None
    """Evaluation images that the reference graph saw; with `quantized`."""
    lowering: Fidelity | None
    """The .pte against the reference graph: what lowering alone changed."""
    ptq: tuple[Accuracy, Fidelity] | None
    """The network that training started from, against float; None where nothing was trained."""
    swapped: tuple[Accuracy, Fidelity] | None
    """The float network with the program's activation, untrained, against the one with its own; None where none was
    swapped."""
    max_drop: float
    """Top-1 that may be lost, points, or what the task bounds; without labels it bounds what is expected to be
    lost."""
    min_agreement: float | None
    """Images that have to keep float's answer, share of 1; None where none was asked for."""
    evaluation_images: int
    diagnosis: Diagnosis | None
    """Of a program that failed."""
    findings: tuple[Finding, ...]
    """All of them: what fails the verdict first."""
    notes: tuple[str, ...]
    """Sentences of the findings that were there before the verdict and do not fail it."""

    @property
    def passed(self) -> bool:
        """Whether the verdict is a pass."""
        return self.verdict.passed

    @property
    def decided(self) -> Finding | None:
        """The finding that decided: the first that fails the verdict; None of a pass."""
        return next((found for found in self.findings if found.severity == Severity.ERROR), None)

    @property
    def next_step(self) -> str:
        """The remedy of the finding that decided; empty of a pass."""
        return "" if self.decided is None else self.decided.remedy

    @property
    def cause_known(self) -> bool:
        """Whether what failed is not how the program was made, but what it was given."""
        return self.decided is not None and self.decided.code not in OF_THE_PROGRAM

    def _repr_html_(self) -> str:
        """What a notebook shows."""
        return outcome_html(self)

    def to_json(self) -> dict[str, Any]:
        """The object that `--json` prints and the manifest keeps."""
        as_they_are = ("artifact", "variant", "activation", "recipe", "backend", "threads")
        return {
            "verdict": "pass" if self.passed else "fail",
            "reasons": list(self.verdict.reasons),
            "cautions": list(self.verdict.cautions),
            "findings": [found.to_json() for found in self.findings],
            "task": self.task.name,
            **{name: getattr(self, name) for name in as_they_are},
            **_networks(self),
            "drop_interval": None if self.drop_interval is None else list(self.drop_interval),
            **_changes(self.changes),
            "next_step": self.next_step,
            "limits": {"max_drop": self.max_drop, "min_agreement": self.min_agreement},
            "delegation": {name: getattr(self.delegation, name) for name in ("partitions", "delegated", "left")},
            "images": {"calibration": self.calibration_images, "evaluation": self.evaluation_images},
            **({} if self.training is None else {"training": _training(self.training)}),
            **({} if self.search is None else {"search": _search(self.search)}),
            **({} if self.diagnosis is None else {"diagnosis": self.diagnosis.to_json()}),
            **{
                name: [item.to_json() for item in getattr(self, name)]
                for name in ("float_layers", "classes", "confusion", "flips")
            },
            "outputs": [dict(row) for row in self.outputs],
            "notes": list(self.notes),
            "seconds": self.seconds,
        }


def _networks(outcome: Outcome) -> dict[str, Any]:
    """Figures of float, of the networks between, of the program, and of its lowering alone."""
    between = {name: getattr(outcome, name) for name in ("swapped", "quantized", "ptq")}
    result: dict[str, Any] = {
        "float": _accuracy(outcome.float_accuracy) | _cost(outcome.float_program),
        **{name: _accuracy(each[0]) | fidelity_json(each[1]) for name, each in between.items() if each is not None},
        "pte": _accuracy(outcome.pte_accuracy) | fidelity_json(outcome.pte) | _cost(outcome.pte_program),
    }
    if outcome.lowering is not None:
        result["lowering"] = fidelity_json(outcome.lowering)
        result["quantized_images"] = outcome.quantized_images
    return result


def _changes(changes: Changes | None) -> dict[str, Any]:
    """What changed of class, image by image; its keys are there for other tasks too, but for the logits'."""
    if changes is None:
        return {"paired": None, "expected_drop": None, "margins": []}
    return {
        "paired": None if changes.paired is None else changes.paired.to_json(),
        "expected_drop": changes.expected.to_json(),
        "logit_changes": changes.logits.to_json(),
        "margins": [row.to_json() for row in changes.margins],
    }


def _cost(program: ProgramFigures) -> dict[str, Any]:
    return {
        "latency_ms": rounded(program.latency_ms),
        "latency_p90_ms": rounded(program.latency_p90_ms),
        "load_ms": rounded(program.load_ms),
        "size_bytes": program.size_bytes,
    }


def _training(report: QatReport) -> dict[str, Any]:
    # Before the first step there is no loss.
    rows = [{k: None if math.isnan(v) else v for k, v in row.items()} for row in report.rows]
    return asdict(report) | {"rows": rows}


def _search(found: Found) -> dict[str, Any]:
    points = [
        {
            "float_layers": list(point.float_layers),
            "added_ms": rounded(point.added_ms),
            "agreement": point.agreement,
            "drop": rounded(point.drop),
            "sqnr_db": rounded(point.sqnr_db),
            "chance": point.chance,
            "met": point.met,
            "chosen": point is found.chosen,
        }
        for point in found.points
    ]
    return {"photographs": found.images, "met": found.chosen.met, "points": points}


def _accuracy(accuracy: Accuracy) -> dict[str, Any]:
    interval = accuracy.top1_interval
    return {
        "top1": accuracy.top1,
        "top5": accuracy.top5,
        "top1_interval": None if interval is None else list(interval),
        **accuracy.more,
    }


def of_fields(kind: type[Subject], source: Subject) -> dict[str, Any]:
    """The fields that a kind of subject has, by name, for what is made of it."""
    return {each.name: getattr(source, each.name) for each in fields(kind)}


def fidelity_json(fidelity: Fidelity) -> dict[str, Any]:
    """Of the object that `--json` prints."""
    return {"agreement": fidelity.agreement, "sqnr_db": rounded(fidelity.sqnr_db), **fidelity.more}
