"""Load programs into the runtime and time them against each other."""

from __future__ import annotations

import statistics
import tempfile
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import torch

from quant.atomic import explained_writes
from quant.outcome import ProgramFigures
from quant.progress import Progress
from quant.runtime import HostRuntime, LoadedProgram
from quant.tolerances import LATENCY_REPEATS


@dataclass(frozen=True, kw_only=True, slots=True)
class Measured:
    """A program in a runtime, with its figures."""

    runtime: HostRuntime
    program: LoadedProgram
    figures: ProgramFigures

    def run(self, inputs: torch.Tensor) -> torch.Tensor:
        """Run on float32 [N, ...], row by row."""
        return self.runtime.run(self.program, inputs)


def measure_programs(
    runtime: HostRuntime,
    paths: Mapping[str, Path],
    example: torch.Tensor,
    progress: Progress,
    *,
    repeats: int = LATENCY_REPEATS,
) -> dict[str, Measured]:
    """Load programs and time them in turns, so that a slow moment of the machine hits all alike.

    Args:
        runtime: holds the programs afterwards.
        paths: a .pte for each name.
        example: one input, [1, ...].
        progress: told of the programs timed.
        repeats: forwards timed of each.

    Raises:
        InputError: a file that the runtime refuses or that crashes it.
    """
    if not paths:
        return {}
    loaded = {name: runtime.load(path, name) for name, path in paths.items()}
    with progress.stage("Timing", len(loaded)) as advance:
        times = runtime.time(list(loaded.values()), [example] * len(loaded), repeats)
        advance(len(loaded))
    return {
        name: Measured(
            runtime=runtime,
            program=program,
            figures=ProgramFigures(
                latency_ms=statistics.median(times[name]),
                latency_p90_ms=statistics.quantiles(times[name], n=10, method="inclusive")[-1],
                load_ms=program.load_ms,
                size_bytes=paths[name].stat().st_size,
            ),
        )
        for name, program in loaded.items()
    }


def measure_bytes(
    runtime: HostRuntime, programs: Mapping[str, bytes], example: torch.Tensor, progress: Progress
) -> dict[str, Measured]:
    """`measure_programs` for programs that are not on disk yet."""
    with tempfile.TemporaryDirectory(prefix="edge-effnet-") as folder:
        paths = {name: Path(folder, f"{name}.pte") for name in programs}
        for name, path in paths.items():
            with explained_writes(path):
                path.write_bytes(programs[name])
        return measure_programs(runtime, paths, example, progress)
