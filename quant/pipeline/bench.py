"""What artifacts cost on this host: latency in interleaved runs, start and memory each in a fresh process."""

from __future__ import annotations

import statistics
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import torch

from edge_effnet.errors import InputError
from quant.artifact.open import open_artifact
from quant.common.progress import NoProgress, Progress
from quant.lower.choices import is_emulated
from quant.program.host import HostRuntime
from quant.thresholds import LATENCY_REPEATS

MAX_REPEATS = 100_000


@dataclass(frozen=True, kw_only=True, slots=True)
class ProgramCost:
    """One program's figures."""

    artifact: str
    """Path of the folder, as given."""
    program: str
    """Name of the file in it."""
    latency_ms: float
    """Median of one forward."""
    latency_p90_ms: float
    load_ms: float
    """Median of three loads, file in the page cache."""
    first_ms: float
    """From the file to the first output, in a process that had loaded nothing before."""
    peak_bytes: int
    """Memory that loading and one forward add to the process at most."""
    size_bytes: int

    def to_json(self) -> dict[str, Any]:
        """Return the fields, in their units."""
        return asdict(self)


def bench(
    folders: Sequence[str | Path],
    *,
    threads: int = 1,
    repeats: int = LATENCY_REPEATS,
    with_float: bool = False,
    progress: Progress | None = None,
) -> list[ProgramCost]:
    """Measure the programs of artifacts against each other.

    Args:
        folders: that `quantize` wrote.
        threads: of the runtime.
        repeats: forwards timed of each program, interleaved.
        with_float: measure float.pte of each folder too.
        progress: told of the programs measured.

    Raises:
        InputError: no artifact, a damaged one, or a program that this host cannot run.
        MachineError: the runtime does not start.
    """
    if not 1 <= repeats <= MAX_REPEATS:
        raise InputError(f"--repeats {repeats}: need 1 to {MAX_REPEATS}.")
    paths = _programs(folders, with_float=with_float)
    shown = progress or NoProgress()
    starts = {}
    with shown.stage("Starting", len(paths)) as advance:
        for key, path in paths.items():
            with HostRuntime(threads) as fresh:
                starts[key] = fresh.start(path)
            advance(1)
    with HostRuntime(threads) as runtime:
        loaded = {key: runtime.load(path, f"{key[0]}/{key[1]}") for key, path in paths.items()}
        examples = [torch.zeros(program.input_shape, dtype=program.input_dtype) for program in loaded.values()]
        with shown.stage("Timing", 1) as advance:
            times = runtime.time(list(loaded.values()), examples, repeats)
            advance(1)
    return [
        ProgramCost(
            artifact=key[0],
            program=key[1],
            latency_ms=statistics.median(times[program.name]),
            latency_p90_ms=p90(times[program.name]),
            load_ms=program.load_ms,
            first_ms=starts[key].first_ms,
            peak_bytes=starts[key].peak_bytes,
            size_bytes=paths[key].stat().st_size,
        )
        for key, program in loaded.items()
    ]


def p90(times: Sequence[float]) -> float:
    """90th percentile."""
    return times[0] if len(times) == 1 else statistics.quantiles(times, n=10, method="inclusive")[-1]


def _programs(folders: Sequence[str | Path], *, with_float: bool) -> dict[tuple[str, str], Path]:
    """Program files by folder and name; a folder given twice is measured once."""
    found: dict[tuple[str, str], Path] = {}
    for folder in folders:
        artifact = open_artifact(Path(folder))
        if is_emulated(artifact.manifest["backend"]):
            raise InputError(
                f"{folder}: an emulator runs {artifact.manifest['backend']} programs here, and its times are none of "
                "the device's; measure on the phone."
            )
        files = (artifact.program, artifact.float_program) if with_float else (artifact.program,)
        found |= {(str(folder), file.name): file for file in files}
    return found
