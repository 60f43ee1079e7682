"""One program in a process of its own, timed on request.

    python -m peers.serve TOOLCHAIN PROGRAM THREADS SIDE

First line of output: load and first inference in ms, peak memory of both in bytes. Then, for each number that comes
in, the times in ms of so many forwards, as JSON. Input preparation is not timed.
"""

from __future__ import annotations

import json
import os
import sys
import time
from pathlib import Path

import numpy as np

from peers.table import find_peer
from quant.program.process_limits import peak_bytes, reset_peak


def main() -> None:
    """Serve until the input closes."""
    toolchain, path, threads, side = sys.argv[1:]
    # Libraries print to standard output too.
    replies = os.fdopen(os.dup(1), "w", buffering=1)
    os.dup2(2, 1)
    peer = find_peer("executorch" if toolchain.startswith("ours") else toolchain)
    x = np.random.default_rng(0).standard_normal((1, 3, int(side), int(side)), dtype=np.float32)
    Path(path).read_bytes()
    reset_peak()
    before = peak_bytes()
    started = time.perf_counter()
    forward = peer.forward(Path(path), int(threads), x)
    forward()
    print(json.dumps([1e3 * (time.perf_counter() - started), peak_bytes() - before]), file=replies)
    for line in sys.stdin:
        times = []
        for _ in range(int(line)):
            started = time.perf_counter()
            forward()
            times.append(1e3 * (time.perf_counter() - started))
        print(json.dumps(times), file=replies)


if __name__ == "__main__":
    main()
