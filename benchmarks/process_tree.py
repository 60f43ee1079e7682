"""Run a command and watch what its processes take together."""

from __future__ import annotations

import os
import subprocess
import threading
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

_INTERVAL_S = 0.05


@dataclass(frozen=True, kw_only=True)
class Finished:
    """A command that ended."""

    returncode: int
    output: str
    """Standard output."""
    seconds: float
    peak_bytes: int
    """Largest sum of the resident memory of the process and its descendants; pages that they share count for each."""


def run_watched(command: Sequence[str], environment: Mapping[str, str], log: Path) -> Finished:
    """Run a command to its end; its standard error goes to `log`."""
    start = time.perf_counter()
    with log.open("w") as errors:
        child = subprocess.Popen(command, env=environment, stdout=subprocess.PIPE, stderr=errors, text=True)
        peak, ended = [0], threading.Event()

        def watch() -> None:
            while not ended.wait(_INTERVAL_S):
                peak[0] = max(peak[0], _resident(child.pid))

        watcher = threading.Thread(target=watch)
        watcher.start()
        output, _ = child.communicate()
        ended.set()
        watcher.join()
    return Finished(
        returncode=child.returncode, output=output, seconds=time.perf_counter() - start, peak_bytes=peak[0]
    )


def _resident(root: int) -> int:
    """Bytes of a process and all its descendants."""
    parents, pages = {}, {}
    for folder in Path("/proc").iterdir():
        if not folder.name.isdigit():
            continue
        try:
            # The command's name is in brackets and may hold blanks.
            fields = (folder / "stat").read_text().rpartition(")")[2].split()
        except OSError:
            continue  # it ended meanwhile
        parents[int(folder.name)], pages[int(folder.name)] = int(fields[1]), int(fields[21])
    family, grown = {root}, True
    while grown:
        born = {pid for pid, parent in parents.items() if parent in family} - family
        family |= born
        grown = bool(born)
    return sum(pages.get(pid, 0) for pid in family) * os.sysconf("SC_PAGE_SIZE")
