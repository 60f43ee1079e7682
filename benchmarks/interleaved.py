"""Programs timed in interleaved runs, each in a process of its own, so that a slow moment hits all alike."""

from __future__ import annotations

import json
import statistics
import subprocess
import sys
import time
from collections.abc import Sequence
from dataclasses import dataclass

from peers.table import environment
from toolchains import Program

BLOCK = 10
"""Forwards of one run: enough for caches and clock to be the program's own."""

STARTS = 5
"""Fresh processes in which each program is loaded and run once: a single one may wait for the disk or a neighbour."""

PAUSE_S = 0.02
"""Between runs, for the thread pool that ran last to go to sleep."""


@dataclass(frozen=True, kw_only=True)
class Timing:
    """One program's figures; ms and bytes."""

    median_ms: float
    low_ms: float
    """10th percentile."""
    p90_ms: float
    first_ms: float
    """Load and first inference, median of `STARTS` fresh processes."""
    peak_bytes: int


class _Served:
    """A child process that holds one program."""

    def __init__(self, program: Program, threads: int, side: int) -> None:
        self._child = subprocess.Popen(
            [sys.executable, "-m", "peers.serve", program.toolchain, str(program.path), str(threads), str(side)],
            env=environment() | {"TF_CPP_MIN_LOG_LEVEL": "3"},
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True,
        )  # fmt: skip
        self.times: list[float] = []
        self.first_ms, self.peak_bytes = self._read(program)

    def turn(self, count: int) -> list[float]:
        """Run so many forwards; times in ms."""
        assert self._child.stdin is not None
        self._child.stdin.write(f"{count}\n")
        self._child.stdin.flush()
        return self._read(None)

    def close(self) -> None:
        """End the process."""
        assert self._child.stdin is not None
        self._child.stdin.close()
        self._child.wait()

    def _read(self, program: Program | None) -> list[float]:
        assert self._child.stdout is not None
        line = self._child.stdout.readline()
        if not line:
            raise SystemExit(f"{program.title if program else 'a program'}: its process ended.")
        values: list[float] = json.loads(line)
        return values


def time_interleaved(programs: Sequence[Program], threads: int, side: int, repeats: int) -> list[Timing]:
    """Time programs of one input size against each other.

    Args:
        programs: each gets a process.
        threads: of each.
        side: of the input, pixels.
        repeats: forwards of each program, after one run to warm up.
    """
    starts: list[list[float]] = [[] for _ in programs]
    for _ in range(STARTS - 1):
        for first, program in zip(starts, programs, strict=True):
            child = _Served(program, threads, side)
            first.append(child.first_ms)
            child.close()
    served = [_Served(program, threads, side) for program in programs]
    for turn in range(1 + -(-repeats // BLOCK)):
        for child in served:
            times = child.turn(BLOCK)
            child.times += times if turn else []
            time.sleep(PAUSE_S)
    for child in served:
        child.close()
    return [_timing(child, [*first, child.first_ms]) for child, first in zip(served, starts, strict=True)]


def _timing(child: _Served, firsts: Sequence[float]) -> Timing:
    tenths = statistics.quantiles(child.times, n=10, method="inclusive")
    return Timing(
        median_ms=statistics.median(child.times),
        low_ms=tenths[0],
        p90_ms=tenths[-1],
        first_ms=statistics.median(firsts),
        peak_bytes=int(child.peak_bytes),
    )
