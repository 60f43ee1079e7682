"""`python -m tests.robustness.fuzz --mutants 2000`: every format, figures as JSON, exit code 1 on a failure."""

from __future__ import annotations

import argparse
import json
import sys
import tempfile
from pathlib import Path

import torch

from tests.robustness.fuzz.formats import FORMATS
from tests.robustness.fuzz.run import fuzz
from tests.robustness.fuzz.scene import make_scene
from tests.support.tiny import install
from tests.support.warm import warm_runtime


def main() -> int:
    """Parse, run, print."""
    parser = argparse.ArgumentParser(prog="python -m tests.robustness.fuzz", description=__doc__)
    parser.add_argument("--format", action="append", choices=list(FORMATS), help="all, if left out")
    parser.add_argument("--mutants", type=int, default=2000)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--scene", type=Path, help="folder that keeps the tiny network")
    parser.add_argument("--keep", type=Path, help="folder for mutants that broke something")
    arguments = parser.parse_args()
    torch.set_num_threads(1)
    install()
    broken = 0
    with tempfile.TemporaryDirectory() as temporary, warm_runtime():
        scene = make_scene(arguments.scene or Path(temporary))
        for name in arguments.format or FORMATS:
            report = fuzz(name, scene, mutants=arguments.mutants, seed=arguments.seed, keep=arguments.keep)
            broken += len(report.failures)
            row = {
                "format": name,
                "mutants": report.mutants,
                "exit codes": {str(code): count for code, count in sorted(report.codes.items())},
                "slowest, s": round(report.slowest_s, 2),
                "seconds": round(report.seconds, 1),
                "failures": report.failures,
            }
            print(json.dumps(row), flush=True)  # noqa: T201
    return 1 if broken else 0


if __name__ == "__main__":
    sys.exit(main())
