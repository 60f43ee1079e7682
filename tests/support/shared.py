"""What takes long to make is made once a session, for all of xdist's workers; tests read it and never write there."""

from __future__ import annotations

import fcntl
import os
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest


class Shared:
    """Folders that the first test to ask for one makes."""

    def __init__(self, factory: pytest.TempPathFactory) -> None:
        base = factory.getbasetemp()
        # Each worker has a folder of its own in that of the session.
        self.root = base.parent if "PYTEST_XDIST_WORKER" in os.environ else base

    def folder(self, name: str, make: Callable[[Path], object]) -> Path:
        """Return the folder `name`; `make` fills it unless a test of any worker has had it made already."""
        folder, done = self.root / f"shared-{name}", self.root / f"shared-{name}.done"
        with (self.root / f"shared-{name}.lock").open("w") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)
            if not done.exists():
                shutil.rmtree(folder, ignore_errors=True)
                folder.mkdir()
                make(folder)
                done.touch()
        return folder


def linked_copy(source: Path, target: Path) -> Path:
    """Copy a folder, hard links instead of contents: for tests that replace files and never write into one."""
    return Path(shutil.copytree(source, target, copy_function=os.link, dirs_exist_ok=True))
