"""Kill commands with SIGKILL, look at what is left, and run them to their end afterwards."""

from __future__ import annotations

import os
import random
import signal
import sys
import time
from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path

from tests.robustness.faults.commands import Command
from tests.support.forked import start_forked
from tests.support.tiny import TinyFiles

_WRITES = frozenset(
    {"open", "os.rename", "os.mkdir", "os.remove", "os.rmdir", "os.chmod", "os.truncate", "tempfile.mkstemp"}
)
"""Audit events that touch a path."""


@dataclass(slots=True)
class Report:
    """What came of the kills of one command."""

    kills: int = 0
    finished: int = 0
    """Runs that were over before the moment came."""
    seconds: float = 0.0
    events: int = 0
    """Moments of writing that an undisturbed run has."""
    states: Counter[str] = field(default_factory=Counter)
    """Of the outputs after a kill: "old", "new" or "none"."""
    failures: list[str] = field(default_factory=list)


def kill_loop(
    command: Command, files: TinyFiles, artifact: Path, folder: Path, *, kills: int, seed: int = 0
) -> Report:
    """Kill a command at random moments: half of them drawn from the clock, half from its writes.

    Args:
        command: of `COMMANDS`.
        files: what it reads.
        artifact: made of them.
        folder: empty; written into.
        kills: how many.
        seed: of the moments.
    """
    report, rng, start = Report(), random.Random(seed), time.monotonic()
    out, scratch = folder / "out", folder / "tmp"
    out.mkdir(parents=True), scratch.mkdir()
    words = command.words(files, artifact, out)
    began = time.monotonic()
    report.events = _undisturbed(words, out, scratch, report)
    usual = time.monotonic() - began
    before = _snapshot(out)
    while report.kills < kills and len(report.failures) < 20:
        at_write = report.kills % 2 == 0
        process = _start(words, out, scratch, kill_at=rng.randint(1, report.events) if at_write else None)
        if not at_write:
            time.sleep(rng.uniform(0, usual))
            os.kill(process, signal.SIGKILL)
        _, status = os.waitpid(process, 0)
        if not os.WIFSIGNALED(status):
            report.finished += 1
        else:
            report.kills += 1
        _look(command, out, before, report)
        before = _snapshot(out)
    litter = _hidden(out)
    _undisturbed(words, out, scratch, report)
    if more := _hidden(out) - litter:
        report.failures.append(f"litter after a whole run: {sorted(more)}")
    report.seconds = time.monotonic() - start
    return report


def _undisturbed(words: tuple[str, ...], out: Path, scratch: Path, report: Report) -> int:
    """Run to the end; returns how often it touched a path."""
    reader, writer = os.pipe()
    process = _start(words, out, scratch, kill_at=None, counts=writer)
    os.close(writer)
    with os.fdopen(reader) as counts:
        count = counts.read()
    _, status = os.waitpid(process, 0)
    if os.waitstatus_to_exitcode(status) != 0:
        report.failures.append(f"an undisturbed run ends with {os.waitstatus_to_exitcode(status)}")
    return max(1, int(count or 1))


def _look(command: Command, out: Path, before: dict[str, bytes], report: Report) -> None:
    """Every output has to be whole; what was there has to be there."""
    now = _snapshot(out)
    for name, read in command.outputs.items():
        path = out / name
        old = {key: value for key, value in before.items() if key.split("/")[0] == name}
        if not path.exists():
            report.states["none"] += 1
            if old:
                report.failures.append(f"{name} is gone")
            continue
        new = {key: value for key, value in now.items() if key.split("/")[0] == name}
        report.states["old" if new == old else "new"] += 1
        try:
            read(path)
        except Exception as error:
            report.failures.append(f"{name} is not whole: {error}")
    visible = {path.name for path in out.iterdir() if not path.name.startswith(".")}
    if visible - set(command.outputs):
        report.failures.append(f"unknown files: {sorted(visible - set(command.outputs))}")


def _hidden(out: Path) -> set[str]:
    """What killed runs leave: a run that comes to its end adds nothing to it."""
    return {path.name for path in out.iterdir() if path.name.startswith(".")}


def _snapshot(out: Path) -> dict[str, bytes]:
    return {
        str(path.relative_to(out)): path.read_bytes()
        for path in out.rglob("*")
        if path.is_file() and not path.relative_to(out).parts[0].startswith(".")
    }


def _start(
    words: tuple[str, ...], out: Path, scratch: Path, *, kill_at: int | None, counts: int | None = None
) -> int:
    """Start the command; it counts its writes, and dies at one of them if it has to."""
    seen = 0

    def watch(event: str, arguments: tuple[object, ...]) -> None:
        nonlocal seen
        if event in _WRITES and any(str(a).startswith((str(out), str(scratch))) for a in arguments[:2]):
            seen += 1
            if seen == kill_at:
                os.kill(os.getpid(), signal.SIGKILL)

    def tell() -> None:
        if counts is not None:
            os.write(counts, str(seen).encode())

    with Path(os.devnull).open("w") as silence:
        outputs = (silence.fileno(), silence.fileno())
        settings = {"env": {"TMPDIR": str(scratch)}, "before": lambda: sys.addaudithook(watch), "after": tell}
        return start_forked(words, outputs, **settings)
