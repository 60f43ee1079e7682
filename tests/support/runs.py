"""A run of the real `quantize --json`, kept in a folder for the tests that look at it."""

from __future__ import annotations

import json
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tests.support.cli import environment
from tests.support.paths import ROOT
from tests.support.tiny import TinyFiles

SETTINGS = ("--variant", "lite0", "--calibration", "16", "--max-drop", "40", "--seed", "3")


@dataclass(frozen=True)
class QuantizeRun:
    """What it left and said; nothing writes here."""

    weights: Path
    data: Path
    folder: Path
    returncode: int
    stdout: str
    stderr: str

    @classmethod
    def of(cls, files: TinyFiles, folder: Path) -> QuantizeRun:
        """Read what `run_quantize` kept."""
        said = json.loads((folder / "process.json").read_text())
        return cls(weights=files.weights, data=files.data, folder=folder / "out" / "tiny", **said)

    @property
    def values(self) -> dict[str, Any]:
        """What `--json` printed."""
        assert self.returncode == 0, self.stderr
        values = json.loads(self.stdout)
        assert isinstance(values, dict)
        return values


def run_quantize(files: TinyFiles, folder: Path) -> None:
    """Run it into `folder`."""
    own = ("--weights", str(files.weights), "--data", str(files.data), "--out", str(folder / "out" / "tiny"))
    done = run_tiny("quantize", *SETTINGS, *own, "--json")
    said = {"returncode": done.returncode, "stdout": done.stdout, "stderr": done.stderr}
    (folder / "process.json").write_text(json.dumps(said))


def run_tiny(*words: object) -> subprocess.CompletedProcess[str]:
    """Run a command with the tiny network in its table, in a process of its own."""
    return subprocess.run(
        [sys.executable, "-m", "tests.support.tiny", *map(str, words)],
        cwd=ROOT,
        env=environment(),
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        check=False,
    )
