"""One of several classes: the largest output is the answer."""

from __future__ import annotations

from quant.metrics.evaluate import accuracy, fidelity
from quant.metrics.tasks.task import CLASS, EACH, SQNR, Row, Task
from quant.thresholds import COLLAPSE_AGREEMENT, COLLAPSE_SQNR_DB

AGREEMENT = Row(key="agreement", title="agrees with float, %")

FLOORS = {"agreement": COLLAPSE_AGREEMENT, "sqnr_db": COLLAPSE_SQNR_DB}

CLASSES = Task(
    name="classes",
    summary="one of several classes: the largest output",
    targets=CLASS,
    kinds=("logits", "softmax", "sigmoid"),
    rows=(Row(key="top1", title="top-1, %"), Row(key="top5", title="top-5, %"), AGREEMENT, SQNR),
    bounded=("top1",),
    signal="top1",
    accuracy=accuracy,
    fidelity=fidelity,
    floors=FLOORS,
    exclusive=True,
    folders=EACH,
    same="class",
)
