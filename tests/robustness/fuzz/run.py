"""Run mutants: none may crash the tool, hang it, write elsewhere, or be told that all is well when it is not."""

from __future__ import annotations

import contextlib
import io
import os
import random
import shutil
import signal
import tempfile
import time
import traceback
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from types import FrameType
from typing import NoReturn
from unittest import mock

from apps.cli.edge_effnet import app
from apps.cli.exit_codes import FAULT, INPUT, MACHINE, PASS, REGRESSION, guarded
from edge_effnet.errors import InputError, MachineError
from quant.data.cleaning import sha256_of_image
from tests.robustness.fuzz.formats import FORMATS, Format, Trial, WrongVerdictError
from tests.robustness.fuzz.scene import Scene

LIMIT_S = 60
"""For one command on one mutant; an honest one takes a fraction of a second."""

_SILENCE_S = 15
"""Within it, after which a runtime that hangs is ended; users' computers get 300 s for one forward of L2."""

_LEGAL = (PASS, REGRESSION, INPUT, MACHINE)


@dataclass(slots=True)
class Report:
    """What came of one format's mutants."""

    mutants: int = 0
    codes: Counter[int] = field(default_factory=Counter)
    """Exit codes of all commands."""
    slowest_s: float = 0.0
    seconds: float = 0.0
    failures: list[str] = field(default_factory=list)


class _HangError(BaseException):
    """Passes every `except Exception` between here and the command."""


def fuzz(name: str, scene: Scene, *, mutants: int, seed: int = 0, keep: Path | None = None) -> Report:
    """Make mutants of a format and run the commands on each.

    Args:
        name: a key of `FORMATS`.
        scene: the honest files.
        mutants: how many.
        seed: of the damage; mutant i is the same in every run.
        keep: where mutants that broke something are written to.
    """
    report, honest, start = Report(), FORMATS[name].seed(scene), time.monotonic()
    with mock.patch("quant.program.host.SILENCE_TIMEOUT_S", _SILENCE_S):
        for index in range(mutants):
            mutant = FORMATS[name].mutate(honest, random.Random(f"{name} {seed} {index}"))
            fault = _try(FORMATS[name], scene, mutant, report)
            report.mutants += 1
            if fault:
                report.failures.append(f"{name} {seed} {index}: {fault}")
                if keep is not None:
                    keep.mkdir(parents=True, exist_ok=True)
                    (keep / f"{name}-{seed}-{index}").write_bytes(mutant)
    report.seconds = time.monotonic() - start
    return report


def _try(kind: Format, scene: Scene, mutant: bytes, report: Report) -> str | None:
    """Show one mutant to its commands; returns what went wrong."""
    with _sandbox() as (folder, around):
        try:
            trial = kind.place(scene, mutant, folder)
            before = _listing(around)
            for command in trial.commands:
                fault = _run(trial, command, report)
                if fault:
                    return fault
        except Exception:
            return traceback.format_exc()
        if trial.page is not None:
            trial.page.unlink(missing_ok=True)
        after = _listing(around)
        return None if after == before else f"files changed: {sorted(set(after.items()) ^ set(before.items()))[:4]}"


def _run(trial: Trial, command: object, report: Report) -> str | None:
    call = command if callable(command) else (lambda: app(list(command), standalone_mode=False))  # type: ignore[call-overload]
    said, start = io.StringIO(), time.monotonic()
    try:
        with _time_limit(), contextlib.redirect_stdout(said), contextlib.redirect_stderr(said):
            code = guarded(call)
    except _HangError:
        return f"{command}: no end after {LIMIT_S} s"
    report.slowest_s = max(report.slowest_s, time.monotonic() - start)
    report.codes[code] += 1
    if code not in _LEGAL:
        return f"{command}: exit code {code}\n{said.getvalue()[-3000:]}"
    if code == PASS and not callable(command) and "check" in command:
        try:
            trial.oracle()
        except (WrongVerdictError, InputError, MachineError) as error:
            return f"{command}: a wrong verdict: {error}"
    return None


@contextlib.contextmanager
def _sandbox() -> Iterator[tuple[Path, Path]]:
    """A current folder and a place for temporary files, with neighbours that nothing may touch."""
    around = Path(tempfile.mkdtemp(prefix="fuzz-"))
    here, temporary = around / "here", around / "tmp"
    here.mkdir(), temporary.mkdir()
    (around / "neighbour").write_text("untouched")
    before = Path.cwd()
    os.chdir(here)
    try:
        with mock.patch.object(tempfile, "tempdir", str(temporary)):
            yield here, around
    finally:
        os.chdir(before)
        shutil.rmtree(around)


def _listing(folder: Path) -> dict[str, str]:
    return {str(p.relative_to(folder)): sha256_of_image(p) if p.is_file() else "" for p in folder.rglob("*")}


@contextlib.contextmanager
def _time_limit() -> Iterator[None]:
    def stop(_number: int, _frame: FrameType | None) -> NoReturn:
        raise _HangError

    before: Callable[..., object] | int | None = signal.signal(signal.SIGALRM, stop)
    signal.alarm(LIMIT_S)
    try:
        yield
    finally:
        signal.alarm(0)
        signal.signal(signal.SIGALRM, before)  # type: ignore[arg-type]


assert FAULT not in _LEGAL
