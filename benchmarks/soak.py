"""Check an artifact on many images through one process: memory, open files and throughput over time.

    python benchmarks/soak.py --images 10000 > benchmarks/results/soak.json

Lite0 at 64 pixels, new weights, coloured noise: what could leak is the same for every network.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import shutil
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import torch
from PIL import Image
from process_tree import resident_bytes

from edge_effnet import EfficientNet, Preprocess, save_checkpoint
from quant import check, quantize
from quant.common.progress import Advance

_SIDE = 64
_COLOURS = {"blue": (60, 60, 200), "green": (60, 200, 60), "red": (200, 60, 60)}
_STEADY = 0.05
"""Throughput of the second half against the first, at most."""
_FLAT_MB = 20.0
"""Resident memory that may be added from a tenth of the way to the end: logits and names of the images."""


@dataclass
class Watch:
    """A progress display that looks at the process now and then."""

    stage_name: str = "Evaluating"
    every: int = 500
    rows: list[dict[str, float]] = field(default_factory=list)

    @contextmanager
    def stage(self, title: str, total: int) -> Iterator[Advance]:  # noqa: ARG002
        """Sample memory, open files and time at every `every` images of the one stage that matters."""
        done, start = 0, time.perf_counter()
        cpu = time.process_time()

        def advance(steps: int) -> None:
            nonlocal done
            done += steps
            if title == self.stage_name and done // self.every > (done - steps) // self.every:
                self.rows.append(
                    {
                        "photographs": done,
                        "seconds": round(time.perf_counter() - start, 2),
                        "cpu_seconds": round(time.process_time() - cpu, 2),
                        "rss_mb": round(resident_bytes(os.getpid()) / 1e6, 1),
                        "runtime_rss_mb": round(sum(map(resident_bytes, children())) / 1e6, 1),
                        "open_files": len(list(Path("/proc/self/fd").iterdir())),
                    }
                )

        yield advance


def children() -> list[int]:
    """Numbers of this process's children."""
    text = Path(f"/proc/self/task/{os.getpid()}/children").read_text()
    return [int(number) for number in text.split()]


def draw(folder: Path, per_class: int) -> None:
    """Write coloured noise as PNG, each picture different."""
    rng = np.random.default_rng(per_class)
    for name, colour in _COLOURS.items():
        (folder / name).mkdir(parents=True)
        for index in range(per_class):
            pixels = np.clip(np.array(colour) + rng.integers(-40, 41, (_SIDE, _SIDE, 3)), 0, 255)
            Image.fromarray(pixels.astype(np.uint8)).save(folder / name / f"{index:05}.png")


def write_weights(path: Path) -> Path:
    """Save a new network: what it answers does not matter here."""
    torch.manual_seed(0)
    model = EfficientNet.from_name("lite0", num_classes=len(_COLOURS), image_size=_SIDE)
    model.class_names, model.preprocess = tuple(_COLOURS), Preprocess(crop=_SIDE, resize=_SIDE)
    save_checkpoint(path, model)
    return path


def summary(rows: list[dict[str, float]]) -> dict[str, float]:
    """Figures of the whole run: the first tenth, in which buffers reach their size, is left out."""
    kept = rows[len(rows) // 10 :]
    middle = kept[len(kept) // 2]
    first = (middle["photographs"] - kept[0]["photographs"]) / (middle["seconds"] - kept[0]["seconds"])
    second = (kept[-1]["photographs"] - middle["photographs"]) / (kept[-1]["seconds"] - middle["seconds"])
    return {
        "rss_start_mb": kept[0]["rss_mb"],
        "rss_end_mb": kept[-1]["rss_mb"],
        "runtime_rss_start_mb": kept[0]["runtime_rss_mb"],
        "runtime_rss_end_mb": kept[-1]["runtime_rss_mb"],
        "open_files_start": kept[0]["open_files"],
        "open_files_end": kept[-1]["open_files"],
        "photographs_a_second_first_half": round(first, 1),
        "photographs_a_second_second_half": round(second, 1),
    }


def main() -> int:
    """Draw, quantize, check, print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--images", type=int, default=10_000)
    options = parser.parse_args()
    torch.set_num_threads(1)
    with tempfile.TemporaryDirectory() as temporary:
        root = Path(temporary)
        draw(root / "data" / "train", 16)
        draw(root / "data" / "val", 8)
        out = root / "a"
        weights = write_weights(root / "w.safetensors")
        quantize("lite0", weights=weights, data=root / "data", calibration=24, out=out, max_drop=100)
        shutil.rmtree(root / "data" / "val")
        draw(root / "data" / "val", -(-options.images // len(_COLOURS)))
        watch = Watch()
        outcome = check(out, data=root / "data", progress=watch, max_drop=100)
    found = summary(watch.rows)
    steady = abs(found["photographs_a_second_second_half"] / found["photographs_a_second_first_half"] - 1) <= _STEADY
    flat = all(found[f"{name}_end_mb"] - found[f"{name}_start_mb"] <= _FLAT_MB for name in ("rss", "runtime_rss"))
    closed = found["open_files_end"] <= found["open_files_start"]
    machine = {"machine": platform.machine(), "torch": torch.__version__, "date": time.strftime("%Y-%m-%d")}
    verdict = {"flat": flat, "steady": steady, "files closed": closed, "images": outcome.evaluation_images}
    print(json.dumps({**machine, **verdict, **found, "rows": watch.rows}, indent=1))
    return 0 if flat and steady and closed else 1


if __name__ == "__main__":
    sys.exit(main())
