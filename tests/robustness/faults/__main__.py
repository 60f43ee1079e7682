"""`python -m tests.robustness.faults --kills 200`: so many kills over all commands, figures as JSON."""

from __future__ import annotations

import argparse
import json
import sys
import tempfile
from pathlib import Path

import torch

from tests.robustness.faults.commands import COMMANDS
from tests.robustness.faults.kill import kill_loop
from tests.support.tiny import install, quantize_tiny, train_tiny


def main() -> int:
    """Parse, run, print."""
    parser = argparse.ArgumentParser(prog="python -m tests.robustness.faults", description=__doc__)
    parser.add_argument("--command", action="append", choices=list(COMMANDS), help="all, if left out")
    parser.add_argument("--kills", type=int, default=200, help="over all of them")
    parser.add_argument("--seed", type=int, default=0)
    arguments = parser.parse_args()
    torch.set_num_threads(1)
    install()
    broken = 0
    with tempfile.TemporaryDirectory() as temporary:
        root = Path(temporary)
        files = train_tiny(root)
        artifact = root / "artifact"
        quantize_tiny(files, artifact)
        chosen = arguments.command or list(COMMANDS)
        for name in chosen:
            kills = -(-arguments.kills // len(chosen))
            report = kill_loop(COMMANDS[name], files, artifact, root / name, kills=kills, seed=arguments.seed)
            broken += len(report.failures)
            row = {
                "command": name,
                "kills": report.kills,
                "finished first": report.finished,
                "outputs afterwards": dict(report.states),
                "moments of writing": report.events,
                "seconds": round(report.seconds, 1),
                "failures": report.failures,
            }
            print(json.dumps(row), flush=True)  # noqa: T201
    return 1 if broken else 0


if __name__ == "__main__":
    sys.exit(main())
