"""One job on one device: send, start, wait, fetch, tidy up; through dropped connections and interruptions."""

from __future__ import annotations

import hashlib
import logging
import os
import time
from contextlib import suppress
from pathlib import Path

from apps.device.job.folder import Job
from apps.device.job.results import Results, parse_results
from apps.device.remote import ConnectionLostError, Remote
from edge_effnet.errors import InputError, MachineError
from quant.common.atomic_io import write_atomically
from quant.common.progress import Advance, Progress

RETRIES = 5
"""How often a lost device is looked for again before it is given up."""

FIRST_WAIT_S = 1.0
"""Before the first of them; each further wait is twice as long."""

POLL_S = 0.5

SAVE_S = 30.0
"""How often finished images are brought here: a device that never comes back keeps no more than this."""

SILENCE_S = 900.0
"""A runner that finishes no image in this time hangs: B7 takes about a minute on an emulated core."""

_DIED = (
    "its runner ended without a word: the program crashes the runtime there, or the system ended it for lack of "
    "memory; look at it with `edge-effnet inspect`, or free memory on the device."
)

_LOG = logging.getLogger(__name__)


class RunnerFailedError(MachineError):
    """The runner on a device gave up, or ended without a word."""

    def __init__(self, device: str, reason: str) -> None:
        super().__init__(f"{device}: {reason}")
        self.reason = reason


def run_job(remote: Remote, job: Job, progress: Progress, *, keep: bool = False) -> Results:
    """Run a job on a device and return what it computed.

    A device that drops out is looked for again, and resumes where it was. An interrupted or failed run keeps its
    finished images on this machine and removes the rest from the device, as far as it can be reached.

    Args:
        remote: the device.
        job: what to do.
        progress: told of files sent and images done.
        keep: leave the job's folder on the device.

    Raises:
        InputError: the device refuses the job, or sends results of something else.
        MachineError: the device cannot be reached, has no room, or its runner fails.
    """
    begun = _Begun(remote, job)
    try:
        results = _through_losses(remote, job, progress, begun)
    except BaseException:
        with suppress(MachineError):
            begun.save()
        raise
    finally:
        if not keep:
            with suppress(MachineError):
                remote.remove()
        remote.close()
    begun.partial.unlink(missing_ok=True)
    if results.values["job"] != job.id or results.values["program_sha256"] != job.values["program"]["sha256"]:
        raise InputError(f"{remote.name}: sent results of another job; run again without --keep's leftovers.")
    return results


def _through_losses(remote: Remote, job: Job, progress: Progress, begun: _Begun) -> Results:
    wait, left = FIRST_WAIT_S, RETRIES
    while True:
        before = begun.done
        try:
            return _attempt(remote, job, progress, begun)
        except ConnectionLostError as error:
            # A long run may lose its device often, as long as it gets on.
            if begun.done > before:
                wait, left = FIRST_WAIT_S, RETRIES
            if not left:
                raise MachineError(f"{error} Given up after {RETRIES + 1} attempts; rerun to resume.") from error
            _LOG.warning("%s Trying again in %.0f s.", error, wait)
            time.sleep(wait)
            wait *= 2
            left -= 1


def _attempt(remote: Remote, job: Job, progress: Progress, begun: _Begun) -> Results:
    remote.open(job)
    missing = remote.missing(job)
    if missing:
        sizes = {name: (job.folder / name).stat().st_size for name in missing}
        with progress.stage("Sending", sum(sizes.values())) as advance:
            for name in missing:
                remote.send(job.folder / name, name)
                advance(sizes[name])
    if remote.status().state == "absent" and begun.partial.is_file():
        remote.send(begun.partial, "partial.jsonl")
    remote.start(job)
    with progress.stage("Running", job.images) as advance:
        _wait(remote, begun, advance)
    text = remote.fetch("results.json")
    if text is None:
        raise MachineError(f"{remote.name}: its runner says it is done but wrote no results.json; run again.")
    return parse_results(text, where=remote.name)


def _wait(remote: Remote, begun: _Begun, advance: Advance) -> None:
    shown, since = 0, time.monotonic()
    while True:
        status = remote.status()
        if status.done > shown:
            advance(status.done - shown)
            shown, since = status.done, time.monotonic()
            begun.done = max(begun.done, shown)
            if time.monotonic() - begun.saved >= SAVE_S:
                begun.save()
        if status.state == "done":
            return
        if status.state in ("failed", "died"):
            raise RunnerFailedError(remote.name, str(status.error) if status.state == "failed" else _DIED)
        if time.monotonic() - since > SILENCE_S:
            raise MachineError(f"{remote.name}: no image finished in {SILENCE_S:.0f} s; its runner hangs.")
        time.sleep(POLL_S)


class _Begun:
    """Images that an unfinished run has done already, kept on this machine between runs."""

    def __init__(self, remote: Remote, job: Job) -> None:
        self._remote = remote
        self.done = 0
        self.saved = time.monotonic()
        """When they were brought here last."""
        device = hashlib.sha256(remote.name.encode()).hexdigest()[:16]
        self.partial = cache_folder() / f"{job.id}-{device}.jsonl"

    def save(self) -> None:
        """Bring the finished images here.

        Raises:
            ConnectionLostError: the device went away.
            MachineError: this machine's disk refuses.
        """
        if text := self._remote.fetch("partial.jsonl"):
            write_atomically(self.partial, text)
        self.saved = time.monotonic()


def cache_folder() -> Path:
    """Where unfinished work waits: `$XDG_CACHE_HOME/edge-effnet/device`, `~/.cache/...` without that."""
    root = os.environ.get("XDG_CACHE_HOME")
    return (Path(root) if root else Path.home() / ".cache") / "edge-effnet" / "device"
