"""Results as the Markdown files of `benchmarks/results`: the command, date, versions and machine above the table."""

from __future__ import annotations

import datetime
import json
import os
import platform
import sys
from collections.abc import Sequence
from importlib.metadata import version
from pathlib import Path
from typing import Any

RESULTS = Path(__file__).parent / "results"


def write_results(
    name: str,
    title: str,
    columns: Sequence[str],
    rows: Sequence[Sequence[str]],
    setting: str,
    *,
    data: dict[str, Any] | None = None,
) -> None:
    """Write and print `results/NAME.md`.

    Args:
        name: of the file.
        title: its heading.
        columns: of the table; the first is text, the others figures.
        rows: cells.
        setting: what a reader has to know to repeat it, beside the command.
        data: the same for machines: `results/NAME.json`, where given.
    """
    versions = ", ".join(f"{package} {version(package)}" for package in ("torch", "torchao", "executorch"))
    lines = [
        f"# {title}",
        "",
        f"`python {' '.join(sys.argv)}`, {datetime.date.today().isoformat()}, {versions}, {machine()}, {setting}.",
        "",
        f"| {' | '.join(columns)} |",
        f"|---|{'---:|' * (len(columns) - 1)}",
        *(f"| {' | '.join(row)} |" for row in rows),
        "",
    ]
    path = RESULTS / f"{name}.md"
    path.write_text("\n".join(lines))
    print(path.read_text())
    if data is not None:
        heading = {
            "command": sys.argv,
            "date": datetime.date.today().isoformat(),
            "machine": machine(),
            "setting": setting,
        }
        path.with_suffix(".json").write_text(json.dumps(heading | data, indent=1) + "\n")


def machine() -> str:
    """The processor and its cores that this process may use."""
    info = Path("/proc/cpuinfo")
    names = (
        [line.split(":")[1].strip() for line in info.read_text().splitlines() if line.startswith("model name")]
        if info.exists()
        else []
    )
    return f"{names[0] if names else platform.machine()}, {len(os.sched_getaffinity(0))} cores"
