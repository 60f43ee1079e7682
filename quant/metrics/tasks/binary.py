"""Yes or no, of one output: two classes, the first of which has the logit 0."""

from __future__ import annotations

from dataclasses import replace

import torch

from quant.metrics import evaluate
from quant.metrics.evaluate import Accuracy
from quant.metrics.tasks.classes import AGREEMENT, FLOORS
from quant.metrics.tasks.task import CLASS, SQNR, Row, Task


def auc(scores: torch.Tensor, positive: torch.Tensor) -> float | None:
    """Chance that a positive image scores above a negative one (Mann and Whitney 1947); ties count half.

    Args:
        scores: [N].
        positive: bool [N].

    Returns:
        0..1; None where there are images of one kind alone.
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
