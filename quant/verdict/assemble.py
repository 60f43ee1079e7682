"""Logits, measurements and findings -> the outcome of a run; the only place that makes one."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import torch

from quant.analysis.search_result import Found
from quant.common.findings import Finding, Severity, finding, messages
from quant.metrics.evaluate import Accuracy, Fidelity
from quant.metrics.metrics import decimals, telling_decimals
from quant.metrics.per_class import class_figures, confusion_changes
from quant.metrics.tasks.task import PerImage, Task
from quant.thresholds import CAUTION_CONFIDENCE
from quant.verdict.baseline import check_baseline
from quant.verdict.diagnosis import Circumstances, Diagnosis, diagnose, layer_causes
from quant.verdict.flips import answer_flips, class_flips
from quant.verdict.limits import Limits
from quant.verdict.outcome import Evidence, Figures, Outcome, Subject, of_fields
from quant.verdict.verdict import (
    Changes,
    Compared,
    Drop,
    compare,
    decide,
    fallen_behind,
    fallen_figures,
    few_calibration,
    has_collapsed,
    hold,
    near_limits,
    weak_evidence,
)


@dataclass(frozen=True, kw_only=True, slots=True)
class Judged(Figures):
    """Figures against limits."""

    compared: Compared
    weak: tuple[Finding, ...]
    """Why a pass is to be taken with caution."""


def assemble(evidence: Evidence, limits: Limits) -> Outcome:
    """Compute every figure and the verdict."""
    evidence = _finite(evidence)
    judged = judge(evidence, limits)
    quantized, lowering = _lowered(evidence)
    compared = judged.compared
    compared = replace(compared, failures=(*_target_missed(evidence.search, evidence.task), *compared.failures))
    errors = [found for found in evidence.findings if found.severity == Severity.ERROR]
    others = tuple(found for found in evidence.findings if found.severity != Severity.ERROR)
    if limits.baseline is not None:
        edited = check_baseline(limits.baseline, evidence.program, judged.pte_accuracy, judged.pte)
        errors += [] if edited is None else [edited]
    verdict = decide(errors, compared)
    diagnosis = None if verdict.passed else _diagnosed(evidence)
    causes = () if diagnosis is None else _causes(evidence, diagnosis, compared, judged.pte)
    weak = judged.weak if verdict.passed else ()
    cautions = messages((*weak, *others), Severity.WARNING) if verdict.passed else ()
    return Outcome(
        **of_fields(Figures, judged),
        verdict=replace(verdict, reasons=(*verdict.reasons, *messages(causes, Severity.NOTE)), cautions=cautions),
        quantized=quantized,
        quantized_images=None if evidence.simulated is None else len(evidence.simulated.rows),
        lowering=lowering,
        ptq=_figures(evidence, "ptq"),
        swapped=_figures(evidence, "swapped"),
        max_drop=limits.max_drop,
        min_agreement=limits.min_agreement,
        evaluation_images=len(evidence.images),
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


def _lowered(evidence: Evidence) -> tuple[tuple[Accuracy, Fidelity] | None, Fidelity | None]:
    """The quantized network's own figures, and what lowering changed, on the images that it was simulated on."""
    if evidence.simulated is None:
        return None, None
    rows, logits, task, targets = evidence.simulated.rows, evidence.simulated.logits, evidence.task, evidence.targets
    reference, pte = (evidence.logits[name][rows] for name in ("float", "pte"))
    accuracy = task.accuracy(logits, None if targets is None else targets[rows])
    return (accuracy, task.fidelity(reference, logits)), task.fidelity(logits, pte)


def _figures(evidence: Evidence, name: str) -> tuple[Accuracy, Fidelity] | None:
    """Figures of a network beside the program, against float."""
    logits, task = evidence.logits.get(name), evidence.task
    if logits is None:
        return None
    return task.accuracy(logits, evidence.targets), task.fidelity(evidence.logits["float"], logits)


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
    best, digits = search.chosen, decimals(search.images)
    kept, lost = f"{100 * best.agreement:.{digits}f} %", f"{best.drop:.{digits}f} points of {task.figure.name}"
    message = (
        f"the target was not reached on {search.images} selection images by any of {len(search.points)} "
        f"sets of float layers; the best, {len(best.float_layers)} layers, agrees on {kept}, loses {lost} "
        f"and holds on the evaluation images with a chance of {100 * best.chance:.0f} %"
    )
    return (finding("target-not-met", message),)


def judge(evidence: Evidence, limits: Limits) -> Judged:
    """Compare a program's answers with float's, and with targets where there are some."""
    return _by_class(evidence, limits) if evidence.task.exclusive else _by_image(evidence, limits)


def _by_class(evidence: Evidence, limits: Limits) -> Judged:
    task, images, names = evidence.task, evidence.images, evidence.class_names
    labels, outputs = evidence.targets, (evidence.logits["float"], evidence.logits["pte"])
    before, after = (task.accuracy(found, labels) for found in outputs)
    pte = task.fidelity(*outputs)
    changes = Changes.of(*outputs, labels, temperature=evidence.temperature)
    calibration = evidence.calibration_images
    return Judged(
        **of_fields(Subject, evidence),
        float_accuracy=before,
        pte_accuracy=after,
        pte=pte,
        compared=compare(before, after, pte, limits, images=len(images), changes=changes, task=task),
        weak=weak_evidence(*outputs, labels, limits, calibration=calibration, changes=changes, task=task),
        drop_interval=None if labels is None else changes.interval,
        changes=changes,
        classes=class_figures(*outputs, labels, names),
        confusion=confusion_changes(*outputs, labels, names),
        flips=class_flips(*outputs, images, names),
        outputs=(),
    )


def _by_image(evidence: Evidence, limits: Limits) -> Judged:
    task, images, names = evidence.task, evidence.images, evidence.class_names
    targets, outputs = evidence.targets, (evidence.logits["float"], evidence.logits["pte"])
    before, after = (task.accuracy(found, targets) for found in outputs)
    pte = task.fidelity(*outputs)
    assert task.per_image is not None
    found = task.per_image(*outputs, targets)
    drops = fallen_figures(task, before, after, limits.max_drop, len(images))
    drops = drops or _expected(task, pte, found, limits.max_drop)
    likely, figure = found.interval(CAUTION_CONFIDENCE)[1], task.expected if targets is None else task.figure.name
    near = near_limits(likely, figure, pte.agreement, len(images), limits)
    return Judged(
        **of_fields(Subject, evidence),
        float_accuracy=before,
        pte_accuracy=after,
        pte=pte,
        compared=hold(
            _collapse(task, pte, len(images)),
            pte,
            [*drops, *fallen_behind(pte, limits, len(images))],
            limits,
            len(images),
        ),
        weak=(*near, *few_calibration(evidence.calibration_images)),
        drop_interval=None if targets is None else found.interval(),
        changes=None,
        classes=(),
        confusion=(),
        flips=answer_flips(task, *outputs, found.kept, images, names),
        outputs=() if task.each_output is None else tuple(task.each_output(*outputs, targets, names)),
    )


def _collapse(task: Task, pte: Fidelity, images: int) -> str | None:
    if not has_collapsed(pte, images, task):
        return None
    rows = {row: least for key, least in task.floors.items() for row in [task.row(key)]}
    said = [f"{row.title} {row.text(row.value(pte))} (at least {row.text(least)})" for row, least in rows.items()]
    return f"collapsed: {'; '.join(said)}; below that nothing else counts"


def _expected(task: Task, pte: Fidelity, found: PerImage, limit: float) -> list[Drop]:
    """What is expected to be lost where there are no targets."""
    lost, most, images = 100.0 * found.share, 100.0 * found.interval()[1], len(found.kept)
    digits = telling_decimals(lost, limit, images)
    sentence = (
        f"{task.expected} expected to lose {lost:.{digits}f} points ({most:.{digits}f} at most), "
        f"limit {limit:.{digits}f}; {100 * pte.agreement:.{decimals(images)}f} % keep float's {task.same}"
    )
    drops = [("accuracy-drop", lost, sentence)]
    if found.sure is not None:
        kept, wanted = 100.0 * found.sure.double().mean().item(), 100.0 - limit
        digits = telling_decimals(kept, wanted, images, least=True)
        sentence = f"{kept:.{digits}f} % keep all that float is sure of, limit {wanted:.{digits}f}"
        drops.append(("sure-images-changed", 100.0 - kept, sentence))
    return drops
