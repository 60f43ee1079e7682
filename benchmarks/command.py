"""What scripts that quantize share: options that name a network and its images, and the command that users run."""

from __future__ import annotations

import argparse
import json
import subprocess
from pathlib import Path
from typing import Any


def network_parser(doc: str | None) -> argparse.ArgumentParser:
    """Options of a script with this docstring."""
    parser = argparse.ArgumentParser(description=doc, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--variant", default="b0")
    parser.add_argument("--weights", required=True)
    parser.add_argument("--data", required=True, type=Path)
    parser.add_argument("--name", default="b0", help="of the results' file")
    return parser


def run_quantize(recipe: str, arguments: argparse.Namespace, out: Path) -> dict[str, Any]:
    """What one `quantize --json` prints; a red verdict is a result like any other."""
    command = [
        "quantize", "--variant", arguments.variant, "--weights", arguments.weights, "--data", str(arguments.data),
        "--recipe", recipe, "--out", str(out), "--json",
    ]  # fmt: skip
    done = subprocess.run(command, stdout=subprocess.PIPE, text=True, check=False)
    if done.returncode not in (0, 1):
        raise SystemExit(f"{' '.join(command)}: exit code {done.returncode}")
    found: dict[str, Any] = json.loads(done.stdout)
    return found
