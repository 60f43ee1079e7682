"""What a person waits for: `quantize` against NNCF's default on the same network and images, in turns.

    pip install -e ".[benchmarks]"      (in an environment of its own)
    python benchmarks/wait.py --weights B0.pth --data DIR [--turns 3] [--alone] [--name wait]

Each turn runs both alone, then both beside a process that keeps one core busy. "To the program" is reading the
images, export, quantizing and lowering of ours, and NNCF's conversion and quantization, whose images are decoded
before. Processor time counts the whole process with its children: where other work runs on the machine, seconds say
little and processor time and ratios of one turn say more. Writes `benchmarks/results/NAME.md` and `.json`.
"""

from __future__ import annotations

import argparse
import resource
import shutil
import statistics
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager, nullcontext
from dataclasses import asdict, dataclass
from importlib.metadata import version
from pathlib import Path

from pipeline import TO_PROGRAM, run_ours, run_peer
from pipeline_material import Subject, make_subject
from tables import Table, write_tables

from quant.thresholds import DEFAULT_CALIBRATION

_GIB = 2**30
_PEER = "nncf"
_WITH = {False: "alone", True: "beside a busy process"}


@dataclass(frozen=True, kw_only=True)
class Waited:
    """One toolchain in one turn."""

    toolchain: str
    beside: bool
    """Whether another process kept a core busy."""
    to_program_s: float
    whole_s: float
    processor_s: float
    """User and system time of the process and its children."""
    peak_bytes: int


@contextmanager
def neighbour() -> Iterator[None]:
    """A process that keeps one core busy."""
    child = subprocess.Popen([sys.executable, "-c", "while True: pass"])
    try:
        yield
    finally:
        child.kill()
        child.wait()


def wait_for(subject: Subject, *, peer: bool, beside: bool) -> Waited:
    """Run one toolchain to its end."""
    before = _processor_seconds()
    with neighbour() if beside else nullcontext():
        run = run_peer(_PEER, subject) if peer else run_ours(subject)
        # The neighbour's own time counts once it has ended, which is after this.
        spent = _processor_seconds() - before
    load = run.stages.get("load", 0.0)
    return Waited(
        toolchain=run.toolchain,
        beside=beside,
        to_program_s=load + run.to_program_s,
        whole_s=run.whole_s,
        processor_s=spent,
        peak_bytes=run.peak_bytes,
    )


def _processor_seconds() -> float:
    usage = resource.getrusage(resource.RUSAGE_CHILDREN)
    return usage.ru_utime + usage.ru_stime


def tables(turns: list[list[Waited]]) -> list[Table]:
    """Medians of each toolchain, and of the ratios of each turn."""
    rows = []
    for beside in sorted({one.beside for one in turns[0]}):
        pairs = [[one for one in turn if one.beside is beside] for turn in turns]
        rows += [_row([pair[i] for pair in pairs]) for i in range(2)]
        to_program = statistics.median(ours.to_program_s / theirs.to_program_s for ours, theirs in pairs)
        processor = statistics.median(ours.processor_s / theirs.processor_s for ours, theirs in pairs)
        rows.append([f"ratio, {_WITH[beside]}", f"{to_program:.2f}", "", f"{processor:.2f}", ""])
    columns = ["", "to the program, s", "the whole process, s", "processor time, s", "peak, GiB"]
    return [Table(columns=columns, rows=rows)]


def _row(runs: list[Waited]) -> list[str]:
    to_program, whole, processor, peak = (
        statistics.median(getattr(run, name) for run in runs)
        for name in ("to_program_s", "whole_s", "processor_s", "peak_bytes")
    )
    name = f"{runs[0].toolchain}, {_WITH[runs[0].beside]}"
    return [name, f"{to_program:.1f}", f"{whole:.1f}", f"{processor:.0f}", f"{peak / _GIB:.2f}"]


def main() -> None:
    """Measure and write."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--variant", default="b0")
    parser.add_argument("--weights", help="random without")
    parser.add_argument("--data", help="drawn pictures without")
    parser.add_argument("--calibration", type=int, default=DEFAULT_CALIBRATION)
    parser.add_argument("--turns", type=int, default=3)
    parser.add_argument("--alone", action="store_true", help="no runs beside a busy process")
    parser.add_argument("--name", default="wait", help="of the results' files")
    options = parser.parse_args()
    weights = None if options.weights is None else str(Path(options.weights).resolve())
    turns: list[list[Waited]] = []
    for _ in range(options.turns):
        with tempfile.TemporaryDirectory() as temporary:
            subject = make_subject(
                options.variant, weights, options.data, options.calibration, Path(temporary, options.variant)
            )
            turn = []
            for beside in (False,) if options.alone else (False, True):
                for peer in (False, True):
                    turn.append(wait_for(subject, peer=peer, beside=beside))
                    print(turn[-1], flush=True)
                    for made in ("ours", _PEER):
                        shutil.rmtree(subject.material.folder / made, ignore_errors=True)
        turns.append(turn)
        write_tables(
            options.name,
            f"What a person waits for {options.variant.upper()}",
            tables(turns),
            f"{options.calibration} images, nncf {version('nncf')}, openvino {version('openvino')}, "
            f"medians of {len(turns)} turns; to the program: {', '.join(('load', *TO_PROGRAM))}",
            data={"turns": [[asdict(one) for one in turn] for turn in turns]},
        )


if __name__ == "__main__":
    main()
