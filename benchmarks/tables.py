"""Results as the Markdown files of `benchmarks/results`: the command, date, versions and machine above the table."""

from __future__ import annotations

import datetime
import platform
import sys
from collections.abc import Sequence
from importlib.metadata import version
from pathlib import Path

RESULTS = Path(__file__).parent / "results"


def write_results(name: str, title: str, columns: Sequence[str], rows: Sequence[Sequence[str]], setting: str) -> None:
    """Write and print `results/NAME.md`.

    Args:
        name: of the file.
        title: its heading.
        columns: of the table; the first is text, the others figures.
        rows: cells.
        setting: what a reader has to know to repeat it, beside the command.
    """
    versions = ", ".join(f"{package} {version(package)}" for package in ("torch", "torchao", "executorch"))
    lines = [
        f"# {title}",
        "",
        f"`python {' '.join(sys.argv)}`, {datetime.date.today().isoformat()}, {versions}, {platform.machine()}, "
        f"{setting}.",
        "",
        f"| {' | '.join(columns)} |",
        f"|---|{'---:|' * (len(columns) - 1)}",
        *(f"| {' | '.join(row)} |" for row in rows),
        "",
    ]
    path = RESULTS / f"{name}.md"
    path.write_text("\n".join(lines))
    print(path.read_text())
