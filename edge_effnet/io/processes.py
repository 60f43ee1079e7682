"""Child processes in Python that find the modules which this one finds."""

from __future__ import annotations

import os
import sys
from pathlib import Path


def child_environment(**changes: str) -> dict[str, str]:
    """Return this process's environment with its module path as PYTHONPATH, absolute, and with some changes."""
    paths = os.pathsep.join(path or str(Path.cwd()) for path in sys.path)
    return {**os.environ, "PYTHONPATH": paths, **changes}
