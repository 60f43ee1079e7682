"""Outcomes of runs that never were, for tests of what is made of them."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

from quant.analysis.fallback_cost import FloatLayer
from quant.common.findings import finding
from quant.data.split import ImageRecord
from quant.lower.result import Delegation
from quant.metrics.evaluate import Accuracy, Fidelity
from quant.metrics.logit_changes import LogitChange, LogitChanges
from quant.metrics.margins import MARGINS, Expected, MarginClass, Paired
from quant.metrics.per_class import ClassFigures, ConfusionChange
from quant.metrics.tasks.classes import CLASSES
from quant.program.timing import ProgramFigures
from quant.verdict.flips import Flip
from quant.verdict.outcome import Evidence, Outcome
from quant.verdict.verdict import Changes, Verdict

ACCURACY = Accuracy(top1=0.96, top5=1.0, top1_interval=(0.93, 0.98))
CHANGES = Changes(
    expected=Expected(share=0.002, interval=(0.0, 0.005), temperature=1.0),
    margins=tuple(MarginClass(at_least=margin, images=200, kept=198) for margin in MARGINS),
    images=250,
    paired=Paired(lost=2, won=1, images=250, chance=1.0),
    interval=(-0.01, 0.02),
    logits=LogitChanges(
        images=(LogitChange(margin=2.5, gained=0.25), LogitChange(margin=0.125, gained=0.5)),
        drift=-0.004,
        drift_tail=0.03,
    ),
)
FIDELITY = Fidelity(agreement=0.95, sqnr_db=21.25)


def flip(**changes: Any) -> Flip:
    """An image that changed class, with some fields changed."""
    fields: dict[str, Any] = {
        "image": "val/red/1.jpg",
        "label": "red",
        "float_class": "red",
        "pte_class": "blue",
        "float_probability": 0.75,
        "pte_probability": 0.5,
    }
    return Flip(**{**fields, **changes})


def images(count: int, *, labelled: bool = True) -> list[ImageRecord]:
    """Images that are nowhere on disk."""
    return [
        ImageRecord(path=Path(f"{i}.jpg"), name=f"{i}.jpg", label=i % 3 if labelled else None, sha256=f"{i:064x}")
        for i in range(count)
    ]


def collected(**changes: Any) -> Evidence:
    """What a run collected, with some fields changed; `logits` and `images` have to be given."""
    program = ProgramFigures(latency_ms=1.0, latency_p90_ms=2.0, load_ms=3.0, size_bytes=4)
    fields: dict[str, Any] = {
        "task": CLASSES,
        "artifact": "a",
        "variant": "b0",
        "activation": "swish",
        "recipe": "int8",
        "backend": "xnnpack",
        "threads": 1,
        "simulated": None,
        "class_names": ("blue", "green", "red"),
        "float_program": program,
        "pte_program": replace(program, size_bytes=1),
        "delegation": Delegation(partitions=1, delegated=2, left=0),
        "calibration_images": 8,
        "search": None,
        "training": None,
        "layers": (),
        "float_layers": (),
        "findings": (finding("weights", "a note"),),
        "seconds": {"total": 1.0},
        "program": "ab" * 32,
        "temperature": None,
    }
    return Evidence(**{**fields, **changes})


def outcome(**changes: Any) -> Outcome:
    """An outcome of `quantize`, with some fields changed."""
    program = ProgramFigures(latency_ms=6.5, latency_p90_ms=7.25, load_ms=3.0, size_bytes=4_269_368)
    fields: dict[str, Any] = {
        "task": CLASSES,
        "findings": (),
        "verdict": Verdict(passed=True, reasons=("top-1 95.6 % (float 96.0 %): -0.4 points, limit -1.0",)),
        "artifact": "b0-int8-xnnpack",
        "variant": "b0",
        "activation": "swish",
        "recipe": "int8",
        "backend": "xnnpack",
        "threads": 1,
        "float_accuracy": ACCURACY,
        "float_program": ProgramFigures(latency_ms=12.0, latency_p90_ms=12.5, load_ms=5.0, size_bytes=16_039_432),
        "quantized": (ACCURACY, FIDELITY),
        "quantized_images": 250,
        "lowering": FIDELITY,
        "pte_accuracy": ACCURACY,
        "pte": FIDELITY,
        "pte_program": program,
        "drop_interval": (-0.01, 0.02),
        "changes": CHANGES,
        "max_drop": 1.0,
        "min_agreement": None,
        "delegation": Delegation(partitions=1, delegated=273, left=0),
        "calibration_images": 128,
        "evaluation_images": 250,
        "search": None,
        "ptq": None,
        "swapped": None,
        "training": None,
        "diagnosis": None,
        "float_layers": (FloatLayer(layer="stem", reason="recipe int8", added_ms=0.125),),
        "classes": (ClassFigures(name="red", images=84, float_right=80, pte_right=79, kept=83),),
        "confusion": (ConfusionChange(name="red", answer="blue", float_count=0, pte_count=1),),
        "flips": (flip(),),
        "outputs": (),
        "notes": (),
        "seconds": {"total": 61.0, "load": 2.0, "evaluate": 40.0},
    }
    return Outcome(**{**fields, **changes})
