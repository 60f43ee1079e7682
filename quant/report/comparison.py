"""Several artifacts beside each other: accuracy, latency and size, and which of them no other one beats."""

from __future__ import annotations

import math
import os
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import quote

from edge_effnet.errors import InputError
from quant.artifact.model import Artifact
from quant.artifact.open import open_artifact
from quant.metrics.evaluate import Fidelity
from quant.report.facts import FAIL, Facts, Figures, facts_of
from quant.report.page import render_page
from quant.report.plots.pareto import Dot, front, plot_pareto
from quant.verdict.verdict import has_collapsed

COLLAPSED = "collapsed"
"""A level of `Entry`, beside those of `quant.report.facts`."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Entry:
    """One artifact of a comparison."""

    name: str
    """Of its folder, with its parent's where two are called the same."""
    artifact: Artifact
    facts: Facts

    @property
    def program(self) -> Figures:
        """Of the .pte."""
        return self.facts.program

    @property
    def measured(self) -> bool:
        """Whether the program was run where it was made."""
        return self.program.agreement is not None

    @property
    def timed(self) -> bool:
        """Whether it was run there by what runs it on a device, not by an emulator."""
        return self.measured and self.program.latency_ms is not None

    @property
    def level(self) -> str:
        """Of its verdict; `COLLAPSED` where that let pass, as one of an earlier version may, what sees no more."""
        program = self.program
        if self.facts.level == FAIL or program.agreement is None:
            return self.facts.level
        sqnr_db = math.inf if program.sqnr_db is None else program.sqnr_db
        fidelity = Fidelity(agreement=program.agreement, sqnr_db=sqnr_db, more=program.more)
        collapsed = has_collapsed(fidelity, self.facts.evaluated or 0, self.facts.task)
        return COLLAPSED if collapsed else self.facts.level

    @property
    def failed(self) -> bool:
        """Whether it is too bad to be used."""
        return self.level in (FAIL, COLLAPSED)

    @property
    def images(self) -> tuple[int | None, frozenset[str]]:
        """What it was judged on: how many, of which."""
        listed = self.artifact.manifest["photographs"]["evaluation"]
        return self.facts.evaluated, frozenset(image["sha256"] for image in listed)


@dataclass(frozen=True, kw_only=True, slots=True)
class Row:
    """A line of the table: a program, or the float network that some programs were made from."""

    number: int
    """In table and plots."""
    entry: Entry
    is_float: bool
    figures: Figures
    optimal: bool
    """Whether it did not fail, and no other that did not is as good in everything and better in something."""
    link: str | None
    """To its own report."""


def opened(folders: Sequence[Path]) -> list[Entry]:
    """Open artifacts; a folder of a run over several backends stands for all of its artifacts.

    Raises:
        InputError: a folder that holds no artifact, or a damaged one.
    """
    paths = [path for folder in folders for path in _artifacts_of(folder)]
    names = _names(paths)
    artifacts = map(open_artifact, paths)
    return [
        Entry(name=name, artifact=artifact, facts=facts_of(artifact.manifest))
        for name, artifact in zip(names, artifacts, strict=True)
    ]


def compared(entries: Sequence[Entry], *, beside: Path) -> list[Row]:
    """Number the programs and the float networks behind them, and find those that no other program beats.

    A program that failed takes no part: fast and small is nothing where the classes are wrong. Links start at the
    folder `beside`, where the page will be.
    """
    timed = [entry for entry in entries if entry.timed and not entry.failed]
    best = front([_merits(entry.program, accuracy_of(entries)) for entry in timed])
    optimal = {id(timed[index]) for index in best}
    floats = {_origin(entry): entry for entry in reversed(entries) if entry.facts.float.latency_ms is not None}
    rows = [(entry, False) for entry in entries] + [(entry, True) for entry in reversed(floats.values())]
    return [
        Row(
            number=number,
            entry=entry,
            is_float=is_float,
            figures=entry.facts.float if is_float else entry.program,
            optimal=not is_float and id(entry) in optimal,
            link=None if is_float else _link(entry.artifact, beside),
        )
        for number, (entry, is_float) in enumerate(rows, start=1)
    ]


def accuracy_of(entries: Sequence[Entry]) -> str:
    """Name the figure that stands for accuracy: `top1`, or `agreement` where some images had no labels."""
    measured = [entry.facts for entry in entries if entry.measured]
    return "top1" if all(facts.labelled and facts.task.exclusive for facts in measured) else "agreement"


def render_comparison(entries: Sequence[Entry], *, beside: Path) -> bytes:
    """Make the page; arguments as `compared`."""
    key = accuracy_of(entries)
    rows = compared(entries, beside=beside)
    dots = [_dot(row, key) for row in rows if row.is_float or row.entry.timed]
    y_label = "top-1, %" if key == "top1" else "agrees with float, %"
    plots = {}
    if any(row.entry.timed for row in rows):
        plots["latency"] = plot_pareto(dots, "latency_ms", x_label="latency, ms", y_label=y_label)
        plots["size"] = plot_pareto(dots, "size_mb", x_label="size, MB", y_label=y_label)
    return render_page(
        "comparison.html.j2",
        rows=rows,
        labelled=key == "top1",
        cautions=_cautions(entries),
        plots=plots,
        programs=len(entries),
        unmeasured=sum(not entry.measured for entry in entries),
        untimed=sum(entry.measured and not entry.timed for entry in entries),
        failed=sum(entry.failed for entry in entries),
    )


def _artifacts_of(folder: Path) -> list[Path]:
    if not (folder / "fleet.json").is_file():
        return [folder]
    found = sorted(path for path in folder.iterdir() if (path / "manifest.json").is_file())
    if not found:
        raise InputError(f"{folder}: holds no artifact any more; regenerate it with `quantize --backend`.")
    return found


def _names(paths: Sequence[Path]) -> list[str]:
    """Folder names, with as many parents as tell them apart."""
    parts = [path.resolve().parts for path in paths]
    for length in range(1, max(map(len, parts)) + 1):
        names = ["/".join(each[-length:]) for each in parts]
        if len(set(names)) == len(set(parts)):
            return names
    raise AssertionError("whole paths differ where folders do")


def _merits(figures: Figures, key: str) -> tuple[float, ...]:
    """What is compared, each the higher the better."""
    accuracy = getattr(figures, key)
    assert figures.latency_ms is not None and figures.size_bytes is not None
    return (accuracy, -figures.latency_ms, -figures.size_bytes)


def _origin(entry: Entry) -> tuple[str, str, int | None]:
    """What a float network is told apart by."""
    return entry.facts.weights["sha256"], entry.facts.variant, entry.facts.threads


def _link(artifact: Artifact, beside: Path) -> str | None:
    if "report.html" not in artifact.manifest["files"]:
        return None
    # Quoted, a folder's name can be no other scheme than a file's.
    return quote(os.path.relpath(artifact.folder / "report.html", beside), safe="/")


def _dot(row: Row, key: str) -> Dot:
    figures = row.figures
    accuracy = getattr(figures, key)
    return Dot(
        number=row.number,
        is_float=row.is_float,
        optimal=row.optimal,
        failed=not row.is_float and row.entry.failed,
        accuracy=100.0 * (1.0 if accuracy is None else accuracy),  # float agrees with itself
        latency_ms=figures.latency_ms or 0.0,
        size_mb=(figures.size_bytes or 0) / 1e6,
    )


def _cautions(entries: Sequence[Entry]) -> list[str]:
    measured = [entry for entry in entries if entry.measured]
    kinds: dict[str, Callable[[Entry], object]] = {
        "Not all were evaluated on the same images: accuracies are only roughly comparable.": lambda e: e.images,
        "Not all are for the same task: agreement means something else for each.": lambda e: e.facts.task.name,
        "Not all were timed on the same number of threads.": lambda e: e.facts.threads,
    }
    return [caution for caution, kind in kinds.items() if len(set(map(kind, measured))) > 1]
