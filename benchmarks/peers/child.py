"""One peer in a process of its own: quantizes, then runs over the evaluation images.

    python -m peers.child NAME FOLDER VARIANT WEIGHTS

Writes `FOLDER/NAME/logits.npy` and `figures.json` beside the program.
"""

from __future__ import annotations

import json
import sys
import time
from importlib.metadata import version
from pathlib import Path

import numpy as np

from peers.peer import Material
from peers.table import find_peer


def main() -> None:
    """Do it."""
    name, folder, variant, weights = sys.argv[1:]
    peer = find_peer(name)
    material = Material(Path(folder), variant, weights)
    out = material.folder / name
    out.mkdir()
    # Reading the weights is not what a quantizer is measured by.
    assert material.network is not None
    started = time.perf_counter()
    peer.quantize(material, out)
    seconds = time.perf_counter() - started
    print(f"quantized in {seconds:.0f} s", flush=True)
    run = peer.load(out / peer.file, 1)
    np.save(out / "logits.npy", np.concatenate([run(x) for x in material.batches("judged")]))
    parts = [out / peer.file, (out / peer.file).with_suffix(".bin")]
    figures = {
        "title": peer.title,
        "versions": {package: version(package) for package in peer.packages},
        "file": peer.file,
        "seconds": seconds,
        "size_bytes": sum(part.stat().st_size for part in parts if part.exists()),
    }
    (out / "figures.json").write_text(json.dumps(figures))


if __name__ == "__main__":
    main()
