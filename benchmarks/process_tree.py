"""Run a command and watch what its processes take together."""

from __future__ import annotations

import os
import subprocess
import threading
import time
from collections.abc import Mapping, Sequence
from contextlib import suppress
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
    """Largest sum of the resident memory of the process and its descendants; pages that they share count for each.

    A descendant counts from its second sighting on: between fork and exec it has its parent's pages, all of them.
    """


def run_watched(command: Sequence[str], environment: Mapping[str, str], log: Path) -> Finished:
    """Run a command to its end; its standard error goes to `log`."""
    start = time.perf_counter()
    with log.open("w") as errors:
        child = subprocess.Popen(command, env=environment, stdout=subprocess.PIPE, stderr=errors, text=True)
        peak, ended = [0], threading.Event()

        def watch() -> None:
            before = {child.pid}
            while not ended.wait(_INTERVAL_S):
                now = _family(child.pid)
                peak[0] = max(peak[0], sum(map(_resident, now & before)))
                before = now

        watcher = threading.Thread(target=watch)
        watcher.start()
        output, _ = child.communicate()
        ended.set()
        watcher.join()
    return Finished(
        returncode=child.returncode, output=output, seconds=time.perf_counter() - start, peak_bytes=peak[0]
    )


def resident_bytes(process: int) -> int:
    """Resident memory of a process."""
    return int(Path(f"/proc/{process}/statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE")


def _family(root: int) -> set[int]:
    """A process and all its descendants."""
    parents = {}
    for folder in Path("/proc").iterdir():
        if folder.name.isdigit():
            # A process may have ended meanwhile.
            with suppress(OSError):
                # The command's name is in brackets and may hold blanks.
                parents[int(folder.name)] = int((folder / "stat").read_text().rpartition(")")[2].split()[1])
    family, born = {root}, {root}
    while born:
        born = {pid for pid, parent in parents.items() if parent in born}
        family |= born
    return family


def _resident(process: int) -> int:
    """Its resident bytes; none of one that has ended."""
    try:
        return resident_bytes(process)
    except OSError:
        return 0
