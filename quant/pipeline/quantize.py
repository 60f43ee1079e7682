"""`quantize`: weights and images in, an artifact with a verdict out, or a folder of them, one for each program."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal, cast, overload

import torch

from quant.artifact.model import Artifact
from quant.artifact.recognise import changed, check_command
from quant.common.progress import NoProgress, Progress, Stopwatch
from quant.lower.choices import DEFAULT_BACKEND
from quant.pipeline.config import QuantizeConfig
from quant.pipeline.load import load_checkpoint, loaded, read_beside
from quant.pipeline.request import resolve
from quant.pipeline.results import RunOutcome
from quant.training.distributed import from_leader, joined_group
from quant.verdict.notebook import outcome_html
from quant.verdict.outcome import Outcome


@dataclass(frozen=True, kw_only=True, slots=True)
class QuantizeResult:
    """The one artifact that a run made, and what was found out."""

    artifact: Artifact
    outcome: Outcome

    @property
    def folder(self) -> Path:
        """Where it lies."""
        return self.artifact.folder

    @property
    def passed(self) -> bool:
        """Whether the verdict is a pass."""
        return self.outcome.passed

    @property
    def next_command(self) -> tuple[str, ...]:
        """What to run next: the check of the artifact, or the remedy that is likeliest to help."""
        command = tuple(self.artifact.manifest["command"])
        diagnosis = self.outcome.diagnosis
        if diagnosis is None:
            return check_command(command, folder=self.outcome.artifact)
        if self.outcome.cause_known:
            return ()
        options = next((remedy.options for remedy in diagnosis.remedies if remedy.options), None)
        return () if options is None else changed(command, options)

    def _repr_html_(self) -> str:
        """What a notebook shows."""
        return outcome_html(self.outcome, self.next_command)


@dataclass(frozen=True, kw_only=True, slots=True)
class RunResult:
    """The artifacts that a run over several programs made, and what was found out."""

    folder: Path
    outcome: RunOutcome

    @property
    def passed(self) -> bool:
        """Whether every program that was measured holds."""
        return self.outcome.passed


Made = QuantizeResult | RunResult


@overload
def quantize(
    variant: str | None = None, *, backend: Literal["xnnpack"] = ..., progress: Progress | None = ..., **settings: Any
) -> QuantizeResult: ...


@overload
def quantize(
    variant: str | None = None, *, backend: str | Sequence[str], progress: Progress | None = ..., **settings: Any
) -> QuantizeResult | RunResult: ...


def quantize(
    variant: str | None = None,
    *,
    backend: str | Sequence[str] = DEFAULT_BACKEND,
    progress: Progress | None = None,
    **settings: Any,
) -> QuantizeResult | RunResult:
    """Quantize an EfficientNet and judge the programs that come out.

    Args:
        variant: any of its names, such as "b0" or "efficientnet-b0"; None takes what the weights are.
        backend: programs to make, as `QuantizeConfig.backend`; one artifact, or of several a folder of artifacts.
        progress: told of every stage.
        settings: the other fields of `QuantizeConfig`.

    Raises:
        InputError: something given cannot be used; the message says what, where and what to do.
        MachineError: the machine stood in the way.
        TypeError: a setting that `QuantizeConfig` does not have.
    """
    return run_quantize(QuantizeConfig(variant=variant, backend=backend, **settings), progress)


def run_quantize(config: QuantizeConfig, progress: Progress | None = None) -> Made:
    """`quantize` with its arguments as one config."""
    request = resolve(config)
    if request.recipe.trains:
        from quant.qat.run import require_place  # noqa: PLC0415  (see below)

        require_place(request.out, request.qat)
    watch = Stopwatch()
    with joined_group() as group:
        shown = progress if progress is not None and group.leads else NoProgress()
        torch.manual_seed(config.seed)
        with watch.measure("load"):
            checkpoint = load_checkpoint(request)
            request = request.of(checkpoint)
        with loaded(request, checkpoint, shown, watch) as network:
            reading = read_beside(network, shown)
            # ExecuTorch and torchao take seconds to import: what is wrong with weights or folders is said before.
            from quant.pipeline.run import run_stages  # noqa: PLC0415

            with watch.measure("load"):
                calibration = reading.result()
            written = run_stages(network, calibration, shown, watch, group)
        # mypy would join the two kinds of results to `object`.
        return cast(Made, from_leader(_result(request.out, written), group))


def _result(folder: Path, written: tuple[Artifact, Outcome] | RunOutcome | None) -> Made | None:
    match written:
        case None:
            return None
        case RunOutcome():
            return RunResult(folder=folder, outcome=written)
        case artifact, outcome:
            return QuantizeResult(artifact=artifact, outcome=outcome)
