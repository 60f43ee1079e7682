"""Logits and measurements -> the outcome of a run."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

import torch

from quant.analysis.fallback_cost import FloatLayer
from quant.analysis.layers import LayerReport
from quant.analysis.mixed_precision import Found
from quant.data.split import ImageRecord
from quant.lower.result import Delegation
from quant.metrics import metrics
from quant.metrics.evaluate import Accuracy, Fidelity, accuracy, fidelity, labels_of
from quant.metrics.per_class import class_figures, confusion_changes
from quant.program.timing import ProgramFigures
from quant.qat.run import QatReport
from quant.verdict.baseline import Baseline, baseline_doubt
from quant.verdict.diagnosis import Circumstances, Diagnosis, diagnose, layer_causes
from quant.verdict.outcome import Flip, Outcome
from quant.verdict.verdict import Verdict, cautions, has_collapsed, judge


@dataclass(frozen=True, kw_only=True, slots=True)
class Evidence:
    """What a run collected; fields as in `Outcome`."""

    artifact: str
    variant: str
    activation: str
    recipe: str
    backend: str
    threads: int
    logits: Mapping[str, torch.Tensor]
    """[images, classes] of "float" and "pte", and where there was one: "quantized", the reference graph; "ptq",
    the one before training; "swapped", the float network with the program's activation instead of its own."""
    images: Sequence[ImageRecord]
    class_names: Sequence[str]
    float_program: ProgramFigures
    pte_program: ProgramFigures
    delegation: Delegation
    calibration_images: int
    search: Found | None
    training: QatReport | None
    layers: Sequence[LayerReport] = ()
    """The analysis of the int8 network, from input to output; empty without one."""
    float_layers: tuple[FloatLayer, ...] = ()
    notes: tuple[str, ...]
    suspicions: tuple[str, ...] = ()
    """Those of the notes that cast doubt on the verdict."""
    reservations: tuple[str, ...] = ()
    """What else a pass is to be taken with caution for."""
    seconds: dict[str, float]
    program: str
    """SHA-256 of the .pte."""
    doubts: tuple[str, ...]
    """Reasons not to believe the figures (`quant.doubts`)."""


def summarize(
    evidence: Evidence, *, max_drop: float, min_agreement: float | None = None, baseline: Baseline | None = None
) -> Outcome:
    """Compute every figure and the verdict."""
    labels = labels_of(evidence.images)
    float_logits, pte_logits = evidence.logits["float"], evidence.logits["pte"]
    quantized = evidence.logits.get("quantized")
    float_accuracy, pte_accuracy = accuracy(float_logits, labels), accuracy(pte_logits, labels)
    pte = fidelity(float_logits, pte_logits)
    edited = None if baseline is None else baseline_doubt(baseline, evidence.program, pte_accuracy, pte)
    doubts = (*evidence.doubts, *([] if edited is None else [edited]))
    verdict = judge(
        float_accuracy,
        pte_accuracy,
        pte,
        max_drop=max_drop,
        images=len(evidence.images),
        min_agreement=min_agreement,
        baseline=baseline,
        doubts=doubts,
    )
    verdict = _with_search(verdict, evidence.search)
    diagnosis = None if verdict.passed else _diagnosed(evidence)
    if diagnosis is None:
        verdict = replace(verdict, cautions=_cautions(evidence, max_drop, min_agreement))
    elif has_collapsed(pte, len(evidence.images)):
        verdict = replace(verdict, reasons=(*verdict.reasons, diagnosis.sentence))
    if _lost_something(verdict, doubts):
        verdict = replace(verdict, reasons=(*verdict.reasons, *layer_causes(evidence.layers, pte.sqnr_db)))
    return Outcome(
        verdict=verdict,
        artifact=evidence.artifact,
        variant=evidence.variant,
        activation=evidence.activation,
        recipe=evidence.recipe,
        backend=evidence.backend,
        threads=evidence.threads,
        float_accuracy=float_accuracy,
        float_program=evidence.float_program,
        quantized=_figures(evidence, "quantized", labels),
        lowering=None if quantized is None else fidelity(quantized, pte_logits),
        ptq=_figures(evidence, "ptq", labels),
        swapped=_figures(evidence, "swapped", labels),
        training=evidence.training,
        pte_accuracy=pte_accuracy,
        pte=pte,
        pte_program=evidence.pte_program,
        drop_interval=(None if labels is None else metrics.paired_drop_interval(float_logits, pte_logits, labels)),
        max_drop=max_drop,
        min_agreement=min_agreement,
        delegation=evidence.delegation,
        calibration_images=evidence.calibration_images,
        evaluation_images=len(evidence.images),
        search=evidence.search,
        diagnosis=diagnosis,
        float_layers=evidence.float_layers,
        classes=class_figures(float_logits, pte_logits, labels, evidence.class_names),
        confusion=confusion_changes(float_logits, pte_logits, labels, evidence.class_names),
        flips=_flips(float_logits, pte_logits, evidence.images, evidence.class_names),
        notes=evidence.notes,
        seconds=evidence.seconds,
    )


def _figures(evidence: Evidence, name: str, labels: torch.Tensor | None) -> tuple[Accuracy, Fidelity] | None:
    """Figures of a network beside the program, against float."""
    logits = evidence.logits.get(name)
    return None if logits is None else (accuracy(logits, labels), fidelity(evidence.logits["float"], logits))


def _cautions(evidence: Evidence, max_drop: float, min_agreement: float | None) -> tuple[str, ...]:
    return cautions(
        evidence.logits["float"],
        evidence.logits["pte"],
        labels_of(evidence.images),
        max_drop=max_drop,
        min_agreement=min_agreement,
        calibration=evidence.calibration_images,
        suspicions=(*evidence.suspicions, *evidence.reservations),
    )


def _diagnosed(evidence: Evidence) -> Diagnosis:
    circumstances = Circumstances(
        recipe=evidence.recipe,
        targeted=evidence.search is not None,
        calibration=evidence.calibration_images,
        suspicions=evidence.suspicions,
    )
    return diagnose(evidence.layers, circumstances)


def _lost_something(verdict: Verdict, doubts: Sequence[str]) -> bool:
    """Whether a verdict fails for the program's sake, rather than for what was found of its inputs alone."""
    return not verdict.passed and bool(set(verdict.reasons) - set(doubts))


def _with_search(verdict: Verdict, found: Found | None) -> Verdict:
    """A target that no set of float layers meets fails, whatever the evaluation images happen to say."""
    if found is None or found.chosen.met:
        return verdict
    best = found.chosen
    sentence = (
        f"the target was not reached on {found.images} selection images by any of {len(found.points)} "
        f"sets of float layers; the best, {len(best.float_layers)} layers, agrees on {100 * best.agreement:.2f} %, "
        f"loses {best.drop:.2f} points of top-1 and holds on the evaluation images with a chance of "
        f"{100 * best.chance:.0f} %"
    )
    return Verdict(passed=False, reasons=(sentence, *(() if verdict.passed else verdict.reasons)))


def _flips(
    float_logits: torch.Tensor, pte_logits: torch.Tensor, images: Sequence[ImageRecord], names: Sequence[str]
) -> tuple[Flip, ...]:
    found = []
    for row in metrics.flips(float_logits, pte_logits):
        label = images[row].label
        float_index, float_probability = _answer(float_logits[row])
        pte_index, pte_probability = _answer(pte_logits[row])
        found.append(
            Flip(
                image=images[row].name,
                label=None if label is None else names[label],
                float_class=names[float_index],
                pte_class=names[pte_index],
                float_probability=float_probability,
                pte_probability=pte_probability,
            )
        )
    return tuple(found)


def _answer(logits: torch.Tensor) -> tuple[int, float]:
    """Class index and probability of one image's answer."""
    index = int(logits.argmax())
    return index, logits.double().softmax(dim=0)[index].item()
