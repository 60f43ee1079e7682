"""Logits, measurements and findings -> the outcome of a run; the only place that makes one."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields, replace
from typing import Any

import torch

from quant.analysis.layer_report import LayerReport
from quant.analysis.search_result import Found
from quant.common.findings import Finding, Severity, finding, messages
from quant.data.split import ImageRecord
from quant.metrics.evaluate import Accuracy, Fidelity
from quant.metrics.tasks.task import Task
from quant.verdict.baseline import check_baseline
from quant.verdict.diagnosis import Circumstances, Diagnosis, diagnose, layer_causes
from quant.verdict.judged import Answers, Judged, judge
from quant.verdict.limits import Limits
from quant.verdict.outcome import Outcome, Subject
from quant.verdict.verdict import Compared, Verdict, decide, has_collapsed


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


def assemble(evidence: Evidence, limits: Limits) -> Outcome:
    """Compute every figure and the verdict."""
    evidence = _finite(evidence)
    task = evidence.task
    targets = task.targets_of(evidence.images)
    float_logits, pte_logits = evidence.logits["float"], evidence.logits["pte"]
    answers = Answers(
        task=task,
        reference=float_logits,
        found=pte_logits,
        targets=targets,
        images=evidence.images,
        names=evidence.class_names,
        temperature=evidence.temperature,
        calibration=evidence.calibration_images,
    )
    quantized, lowering = _lowered(evidence, targets)
    judged = judge(answers, limits)
    concluded = _conclude(evidence, judged, limits)
    known: dict[str, Any] = {each.name: getattr(evidence, each.name) for each in fields(Subject)}
    return Outcome(
        **known,
        verdict=concluded.verdict,
        float_accuracy=judged.float_accuracy,
        quantized=quantized,
        quantized_images=None if evidence.simulated is None else len(evidence.simulated.rows),
        lowering=lowering,
        ptq=_figures(evidence, "ptq", targets),
        swapped=_figures(evidence, "swapped", targets),
        pte_accuracy=judged.pte_accuracy,
        pte=judged.pte,
        drop_interval=judged.interval,
        changes=judged.changes,
        max_drop=limits.max_drop,
        min_agreement=limits.min_agreement,
        evaluation_images=len(evidence.images),
        diagnosis=concluded.diagnosis,
        classes=judged.classes,
        confusion=judged.confusion,
        flips=judged.flips,
        outputs=judged.outputs,
        findings=concluded.findings,
        notes=concluded.notes,
    )


@dataclass(frozen=True, kw_only=True, slots=True)
class _Conclusion:
    """What the figures and the findings come to; as in `Outcome`."""

    verdict: Verdict
    diagnosis: Diagnosis | None
    findings: tuple[Finding, ...]
    notes: tuple[str, ...]


def _conclude(evidence: Evidence, judged: Judged, limits: Limits) -> _Conclusion:
    compared = judged.compared
    compared = replace(compared, failures=(*_target_missed(evidence.search, evidence.task), *compared.failures))
    errors = [found for found in evidence.findings if found.severity == Severity.ERROR]
    if limits.baseline is not None:
        edited = check_baseline(limits.baseline, evidence.program, judged.pte_accuracy, judged.pte)
        errors += [] if edited is None else [edited]
    verdict = decide(errors, compared)
    diagnosis = None if verdict.passed else _diagnosed(evidence)
    causes = () if diagnosis is None else _causes(evidence, diagnosis, compared, judged.pte)
    weak = judged.weak if verdict.passed else ()
    others = tuple(found for found in evidence.findings if found.severity != Severity.ERROR)
    cautions = messages((*weak, *others), Severity.WARNING) if verdict.passed else ()
    return _Conclusion(
        verdict=replace(verdict, reasons=(*verdict.reasons, *messages(causes, Severity.NOTE)), cautions=cautions),
        diagnosis=diagnosis,
        findings=(*errors, *_with_remedy(compared.failures, diagnosis, errors), *causes, *weak, *others),
        notes=messages(others, Severity.WARNING, Severity.NOTE),
    )


def _finite(evidence: Evidence) -> Evidence:
    """Fail a program whose outputs are not finite; its figures are of those that are, the others being no answer."""
    logits = evidence.logits["pte"]
    broken = ~logits.isfinite().all(dim=1)
    count = int(broken.sum())
    if not count:
        return evidence
    first = evidence.images[int(broken.nonzero()[0])].name
    found = finding(
        "not-finite",
        f"not finite: the program's output for {count} of {len(logits)} images (first: {first}): values beyond what "
        "its precision holds",
    )
    answers = torch.where(broken[:, None], torch.zeros_like(logits), logits)
    return replace(evidence, logits={**evidence.logits, "pte": answers}, findings=(found, *evidence.findings))


def _lowered(
    evidence: Evidence, targets: torch.Tensor | None
) -> tuple[tuple[Accuracy, Fidelity] | None, Fidelity | None]:
    """The quantized network's own figures, and what lowering changed, on the images that it was simulated on."""
    if evidence.simulated is None:
        return None, None
    rows, logits, task = evidence.simulated.rows, evidence.simulated.logits, evidence.task
    reference, pte = (evidence.logits[name][rows] for name in ("float", "pte"))
    accuracy = task.accuracy(logits, None if targets is None else targets[rows])
    return (accuracy, task.fidelity(reference, logits)), task.fidelity(logits, pte)


def _figures(evidence: Evidence, name: str, targets: torch.Tensor | None) -> tuple[Accuracy, Fidelity] | None:
    """Figures of a network beside the program, against float."""
    logits, task = evidence.logits.get(name), evidence.task
    return (
        None if logits is None else (task.accuracy(logits, targets), task.fidelity(evidence.logits["float"], logits))
    )


def _diagnosed(evidence: Evidence) -> Diagnosis:
    circumstances = Circumstances(
        recipe=evidence.recipe,
        targeted=evidence.search is not None,
        calibration=evidence.calibration_images,
        classes=evidence.task.exclusive,
        odd_images=any(found.code.startswith("calibration-") for found in evidence.findings),
    )
    return diagnose(evidence.layers, circumstances)


def _causes(evidence: Evidence, diagnosis: Diagnosis, compared: Compared, pte: Fidelity) -> tuple[Finding, ...]:
    """What explains a failure, where it is the program's rather than that of its inputs alone."""
    found: list[Finding] = []
    if has_collapsed(pte, len(evidence.images), evidence.task):
        found.append(finding("first-broken-layer", diagnosis.sentence, remedy=diagnosis.remedies[0].sentence))
    if compared.failures:
        found += layer_causes(evidence.layers, pte.sqnr_db)
    return tuple(found)


def _with_remedy(
    failures: Sequence[Finding], diagnosis: Diagnosis | None, errors: Sequence[Finding]
) -> tuple[Finding, ...]:
    """The failures with what is likeliest to help this very run: the remedy of the known cause where there is one."""
    if diagnosis is None:
        return tuple(failures)
    remedy = errors[0].remedy if errors else diagnosis.remedies[0].sentence
    return tuple(replace(failure, remedy=remedy) for failure in failures)


def _target_missed(search: Found | None, task: Task) -> tuple[Finding, ...]:
    """A target that no set of float layers meets fails, whatever the evaluation images happen to say."""
    if search is None or search.chosen.met:
        return ()
    best = search.chosen
    message = (
        f"the target was not reached on {search.images} selection images by any of {len(search.points)} "
        f"sets of float layers; the best, {len(best.float_layers)} layers, agrees on {100 * best.agreement:.2f} %, "
        f"loses {best.drop:.2f} points of {task.figure.name} and holds on the evaluation images with a chance of "
        f"{100 * best.chance:.0f} %"
    )
    return (finding("target-not-met", message),)
