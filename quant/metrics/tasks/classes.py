"""One of several classes, where the largest output is the answer; and yes or no, of one output."""

from __future__ import annotations

from dataclasses import replace

import torch

from quant.metrics import evaluate
from quant.metrics.evaluate import Accuracy, accuracy, fidelity
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


def auc(scores: torch.Tensor, positive: torch.Tensor) -> float | None:
    """Chance that a positive image scores above a negative one (Mann and Whitney 1947), 0..1; ties count half.

    Of `scores` [N] and `positive` bool [N]; None where there are images of one kind alone.
    """
    yes, no = scores[positive].double(), scores[~positive].double().sort().values
    if not (len(yes) and len(no)):
        return None
    below, upto = torch.searchsorted(no, yes), torch.searchsorted(no, yes, right=True)
    return ((below + upto).double().mean() / (2 * len(no))).item()


def _accuracy(outputs: torch.Tensor, labels: torch.Tensor | None) -> Accuracy:
    found = evaluate.accuracy(outputs, labels)
    if labels is None:
        return found
    area = auc(outputs[:, 1] - outputs[:, 0], labels == 1)
    return replace(found, top5=None, more={} if area is None else {"auc": area})


BINARY = Task(
    name="binary",
    summary="yes or no: one output, yes from --threshold",
    targets=CLASS,
    kinds=("sigmoid", "logits"),
    rows=(Row(key="top1", title="accuracy, %"), Row(key="auc", title="AUC, %"), AGREEMENT, SQNR),
    bounded=("top1", "auc"),
    signal="auc",
    accuracy=_accuracy,
    fidelity=evaluate.fidelity,
    signal_least=0.5,
    floors=FLOORS,
    exclusive=True,
    column_added=True,
    folders=2,
    threshold=0.5,
    same="class",
)
