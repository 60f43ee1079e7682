"""Load programs into the runtime and time them against each other."""

from __future__ import annotations

import statistics
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import torch

from edge_effnet.images import quiet_pillow
from edge_effnet.preprocess import Preprocess
from quant.common.progress import Progress
from quant.program.host import HostRuntime, LoadedProgram
from quant.thresholds import LATENCY_BUDGET_S, LATENCY_LEAST_REPEATS, LATENCY_REPEATS


@dataclass(frozen=True, kw_only=True, slots=True)
class Measured:
    """A program in a runtime, with its figures."""

    runtime: HostRuntime
    program: LoadedProgram
    figures: ProgramFigures
    preprocess: Preprocess

    def run(self, inputs: torch.Tensor) -> torch.Tensor:
        """Run on normalised float32 [N, 3, H, W], row by row; a program that takes pixels gets those that it was."""
        return self.runtime.run(self.program, input_for(self.program, inputs, self.preprocess))


def measure_programs(
    runtime: HostRuntime,
    paths: Mapping[str, Path],
    preprocess: Preprocess,
    image: Path,
    progress: Progress,
    *,
    repeats: int = LATENCY_REPEATS,
) -> dict[str, Measured]:
    """Load programs and time them interleaved, so that a slow moment of the machine hits all alike.

    Args:
        runtime: holds the programs afterwards.
        paths: a .pte for each name.
        preprocess: of the network.
        image: the one that forwards are timed on.
        progress: told of the programs timed.
        repeats: forwards timed of each; fewer where they would take longer than `LATENCY_BUDGET_S`.

    Raises:
        InputError: a file that the runtime refuses or that crashes it.
    """
    if not paths:
        return {}
    loaded = {name: runtime.load(path, name) for name, path in paths.items()}
    with quiet_pillow():
        example = preprocess(image)[None]
    inputs = [input_for(program, example, preprocess) for program in loaded.values()]
    with progress.stage("Timing", len(loaded)) as advance:
        first = runtime.time(list(loaded.values()), inputs, 1)
        turn_ms = sum(times[0] for times in first.values())
        affordable = max(LATENCY_LEAST_REPEATS, int(1e3 * LATENCY_BUDGET_S / turn_ms))
        times = runtime.time(list(loaded.values()), inputs, min(repeats, affordable))
        advance(len(loaded))
    return {
        name: _measured(runtime, program, paths[name], preprocess, times[name]) for name, program in loaded.items()
    }


def load_emulated(runtime: HostRuntime, paths: Mapping[str, Path], preprocess: Preprocess) -> dict[str, Measured]:
    """Load programs of an emulator, untimed.

    Raises:
        InputError: a file that the runtime refuses or that crashes it.
    """
    return {name: _measured(runtime, runtime.load(path, name), path, preprocess) for name, path in paths.items()}


def _measured(
    runtime: HostRuntime, program: LoadedProgram, path: Path, preprocess: Preprocess, times: Sequence[float] = ()
) -> Measured:
    figures = ProgramFigures(
        latency_ms=statistics.median(times) if times else None,
        latency_p90_ms=statistics.quantiles(times, n=10, method="inclusive")[-1] if times else None,
        load_ms=program.load_ms,
        size_bytes=path.stat().st_size,
    )
    return Measured(runtime=runtime, program=program, figures=figures, preprocess=preprocess)


def input_for(program: LoadedProgram, inputs: torch.Tensor, preprocess: Preprocess) -> torch.Tensor:
    """Turn normalised float32 [N, 3, H, W] into what a program takes: the same, or pixels."""
    return preprocess.to_pixels(inputs) if program.input_dtype is torch.uint8 else inputs


@dataclass(frozen=True, kw_only=True, slots=True)
class ProgramFigures:
    """What a .pte costs on this host."""

    latency_ms: float | None
    """Median of one forward; None of an emulator's, which says nothing about the device."""
    latency_p90_ms: float | None
    load_ms: float
    """Median of three loads, file in the page cache."""
    size_bytes: int
