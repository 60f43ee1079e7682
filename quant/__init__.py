"""Quantize an EfficientNet, lower it, and prove that it still sees what it saw.

What stands in `__all__` is what users import; where it lives may change.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

import edge_effnet

if TYPE_CHECKING:
    from quant.artifact.model import Artifact
    from quant.artifact.open import open_artifact
    from quant.common.findings import Finding, Severity
    from quant.data.readers.label_file import ImageOptions
    from quant.lower.options import BackendOptions
    from quant.pipeline.check import check
    from quant.pipeline.config import QuantizeConfig
    from quant.pipeline.quantize import QuantizeResult, RunResult, quantize
    from quant.pipeline.results import ProgramRow, RunOutcome
    from quant.qat.options import QatOptions
    from quant.recipes import RECIPES, Recipe
    from quant.verdict.outcome import Outcome
    from quant.verdict.verdict import Verdict

__all__ = [
    "RECIPES",
    "Artifact",
    "BackendOptions",
    "Finding",
    "ImageOptions",
    "Outcome",
    "ProgramRow",
    "QatOptions",
    "QuantizeConfig",
    "QuantizeResult",
    "Recipe",
    "RunOutcome",
    "RunResult",
    "Severity",
    "Verdict",
    "check",
    "open_artifact",
    "quantize",
]


_HOMES = {
    "Artifact": "quant.artifact.model",
    "open_artifact": "quant.artifact.open",
    "Finding": "quant.common.findings",
    "Severity": "quant.common.findings",
    "ImageOptions": "quant.data.readers.label_file",
    "BackendOptions": "quant.lower.options",
    "check": "quant.pipeline.check",
    "QuantizeResult": "quant.pipeline.quantize",
    "RunResult": "quant.pipeline.quantize",
    "quantize": "quant.pipeline.quantize",
    "QuantizeConfig": "quant.pipeline.config",
    "ProgramRow": "quant.pipeline.results",
    "RunOutcome": "quant.pipeline.results",
    "QatOptions": "quant.qat.options",
    "RECIPES": "quant.recipes",
    "Recipe": "quant.recipes",
    "Outcome": "quant.verdict.outcome",
    "Verdict": "quant.verdict.verdict",
}


def __getattr__(name: str) -> Any:
    """Import the stack (seconds) only when it is used, so that `--help` and light imports stay instant."""
    if name == "__version__":
        return edge_effnet.__version__
    if name not in _HOMES:
        raise AttributeError(f"module 'quant' has no attribute {name!r}")
    from quant.common.quiet import quiet_libraries  # noqa: PLC0415  (so that `import quant` alone stays light)

    # The stack warns while it is imported, and a user's tests may take warnings for errors.
    with quiet_libraries():
        return getattr(importlib.import_module(_HOMES[name]), name)
