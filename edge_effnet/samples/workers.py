"""Drawing in several processes that import numpy and Pillow only.

`multiprocessing` would import `edge_effnet` and the caller's main module in every worker, and torch with
them: seconds for each, where all the drawing takes ten; a script without a `__main__` guard would not run.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

import edge_effnet
from edge_effnet.errors import MachineError
from edge_effnet.io.interrupts import interrupts_held

# An empty package with the right path stands in for `edge_effnet`, whose own __init__ imports torch.
_BOOT = """
import json, sys, types
job = json.loads(sys.argv[1])
sys.path[:] = job["sys_path"]
package = types.ModuleType("edge_effnet")
package.__path__ = job["package_path"]
sys.modules["edge_effnet"] = package
from edge_effnet.samples.folder import write_share
write_share(**job["arguments"])
"""


def run_workers(shares: list[dict[str, object]]) -> Iterator[int]:
    """Run `folder.write_share` with each of these (JSON) arguments in a process; yield what they count.

    Raises:
        MachineError: a worker failed; the message ends with its last line.

    """
    package = {
        "sys_path": sys.path,
        "package_path": [str(Path(path).resolve()) for path in edge_effnet.__path__],
    }
    # One thread each: they share the cores already.
    environment = os.environ | {"OMP_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1"}
    reader, writer = os.pipe()
    workers: list[subprocess.Popen[bytes]] = []
    with tempfile.TemporaryFile() as complaints, os.fdopen(reader) as counts:
        try:
            for share in shares:
                job = json.dumps({**package, "arguments": share})
                # -P: a json.py in the user's current folder is none of the worker's modules.
                command = [sys.executable, "-P", "-c", _BOOT, job]
                with interrupts_held():
                    workers.append(
                        subprocess.Popen(
                            command, stdin=subprocess.DEVNULL, stdout=writer, stderr=complaints, env=environment
                        )
                    )
        except BaseException:
            _stop(workers)
            raise
        finally:
            os.close(writer)  # the reader ends when the last worker has
        try:
            for line in counts:
                yield int(line)
            codes = [worker.wait() for worker in workers]
        finally:
            _stop(workers)
        if any(codes):
            complaints.seek(0)
            said = complaints.read().decode(errors="replace").strip().splitlines() or ["no message"]
            raise MachineError(f"a drawing process ended with code {max(codes, key=abs)}: {said[-1]}")


def _stop(workers: list[subprocess.Popen[bytes]]) -> None:
    for worker in workers:
        if worker.poll() is None:
            worker.kill()
            worker.wait()
