"""The tasks by name."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from edge_effnet.errors import InputError
from edge_effnet.head import NONE
from quant.metrics.tasks.classes import BINARY, CLASSES
from quant.metrics.tasks.embedding import EMBEDDING
from quant.metrics.tasks.multilabel import MULTILABEL
from quant.metrics.tasks.regression import REGRESSION
from quant.metrics.tasks.task import Task

TASKS: dict[str, Task] = {task.name: task for task in (CLASSES, BINARY, MULTILABEL, REGRESSION, EMBEDDING)}


def find_task(name: str) -> Task:
    """Look a task up.

    Raises:
        InputError: no such task; the message lists the choices.
    """
    if name not in TASKS:
        raise InputError(f"--task {name}: unknown task; choose one of: {', '.join(TASKS)}.")
    return TASKS[name]


def task_of(manifest: Mapping[str, Any]) -> Task:
    """The task of an artifact.

    Raises:
        InputError: one of a later version.
    """
    entry = manifest.get("task", {"name": EMBEDDING.name if manifest.get("head") == NONE else CLASSES.name})
    return find_task(entry["name"]).with_threshold(entry.get("threshold"))
