"""The tasks by name."""

from __future__ import annotations

from edge_effnet.errors import InputError
from quant.metrics.tasks.task import CLASS, LABELS, NUMBERS, Task

CLASSES = Task(
    name="classes", summary="one of several classes", targets=CLASS, kinds=("logits", "softmax", "sigmoid")
)
BINARY = Task(name="binary", summary="yes or no: one output", targets=CLASS, kinds=("sigmoid", "logits"))
MULTILABEL = Task(
    name="multilabel", summary="any of several labels: yes or no for each output", targets=LABELS,
    kinds=("sigmoid", "logits"),
)  # fmt: skip
REGRESSION = Task(name="regression", summary="one number for each output", targets=NUMBERS, kinds=("logits",))
EMBEDDING = Task(
    name="embedding", summary="features to compare images by (--head none)", targets=CLASS, kinds=("logits",)
)

TASKS = {task.name: task for task in (CLASSES, BINARY, MULTILABEL, REGRESSION, EMBEDDING)}


def find_task(name: str) -> Task:
    """Look a task up.

    Raises:
        InputError: no such task; the message lists the choices.
    """
    if name not in TASKS:
        raise InputError(f"--task {name}: unknown task; choose one of: {', '.join(TASKS)}.")
    return TASKS[name]
