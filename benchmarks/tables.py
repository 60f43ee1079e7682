"""Results as the Markdown files of `benchmarks/results`: the command, date, versions and machine above the table."""

from __future__ import annotations

import datetime
import json
import os
import sys
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path
from typing import Any

from quant.pipeline.manifest import processor_name

RESULTS = Path(__file__).parent / "results"


@dataclass(frozen=True, kw_only=True)
class Table:
    """A table of a results file."""

    columns: Sequence[str]
    """The first is text, the others figures."""
    rows: Sequence[Sequence[str]]
    caption: str = ""
    """Above it, where a file holds several: a sentence that says what was measured."""

    def lines(self) -> list[str]:
        """Return it as Markdown."""
        return [
            *([self.caption, ""] if self.caption else []),
            f"| {' | '.join(self.columns)} |",
            f"|---|{'---:|' * (len(self.columns) - 1)}",
            *(f"| {' | '.join(row)} |" for row in self.rows),
            "",
        ]


def write_results(
    name: str,
    title: str,
    columns: Sequence[str],
    rows: Sequence[Sequence[str]],
    setting: str,
    *,
    data: dict[str, Any] | None = None,
) -> None:
    """Write and print `results/NAME.md` with one table; other arguments as `write_tables`."""
    write_tables(name, title, [Table(columns=columns, rows=rows)], setting, data=data)


def write_tables(
    name: str, title: str, tables: Sequence[Table], setting: str, *, data: dict[str, Any] | None = None
) -> None:
    """Write and print `results/NAME.md`.

    Args:
        name: of the file.
        title: its heading.
        tables: one after the other.
        setting: what a reader has to know to repeat it, beside the command.
        data: the same for machines: `results/NAME.json`, where given.
    """
    versions = ", ".join(f"{package} {version(package)}" for package in ("torch", "torchao", "executorch"))
    lines = [
        f"# {title}",
        "",
        f"`python {' '.join(sys.argv)}`, {datetime.date.today().isoformat()}, {versions}, {machine()}, {setting}.",
        "",
        *(line for table in tables for line in table.lines()),
    ]
    path = RESULTS / f"{name}.md"
    path.write_text("\n".join(lines))
    print(path.read_text())
    if data is not None:
        heading = {
            "command": sys.argv,
            "date": datetime.date.today().isoformat(),
            "versions": versions,
            "machine": machine(),
            "setting": setting,
        }
        path.with_suffix(".json").write_text(json.dumps(heading | data, indent=1) + "\n")


def versions_of(found: Iterable[Mapping[str, str]]) -> str:
    """Packages with their versions, each once, as a setting names them."""
    return ", ".join(dict.fromkeys(f"{package} {number}" for one in found for package, number in one.items()))


def machine() -> str:
    """The processor and its cores that this process may use."""
    return f"{processor_name()}, {len(os.sched_getaffinity(0))} cores"
