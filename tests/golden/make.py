"""Write the vectors that Python, Kotlin and Swift share: `python tests/golden/make.py`.

preprocess/   images, and what each step of docs/preprocessing.md makes of them: decoded, pixels, input
results/      results files (docs/device.md): good ones, and broken ones with the sentence that names what is wrong
"""

from __future__ import annotations

import base64
import json
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from PIL import Image

from edge_effnet.images import open_rgb
from edge_effnet.preprocess import Preprocess
from edge_effnet.samples import draw

HERE = Path(__file__).parent


@dataclass(frozen=True, kw_only=True, slots=True)
class Case:
    """One image and what it goes through."""

    name: str
    size: tuple[int, int]
    """Width and height."""
    mode: str
    preprocess: Preprocess


CASES = (
    Case(name="landscape", size=(97, 61), mode="RGB", preprocess=Preprocess(crop=40, resize=46)),
    Case(
        name="portrait",
        size=(31, 52),
        mode="RGB",
        preprocess=Preprocess(crop=40, resize=45, interpolation="bilinear", mean=(0.5,) * 3, std=(0.5,) * 3),
    ),
    Case(name="alpha", size=(53, 53), mode="RGBA", preprocess=Preprocess(crop=33, resize=40)),
    Case(name="gray", size=(46, 71), mode="L", preprocess=Preprocess(crop=39, resize=46)),
    Case(name="tall", size=(41, 103), mode="RGB", preprocess=Preprocess(crop=24, resize=28)),
    Case(
        name="luma", size=(60, 44), mode="RGB", preprocess=Preprocess(crop=32, resize=36, mean=(0.449,), std=(0.226,))
    ),
    Case(name="squash", size=(57, 34), mode="RGB", preprocess=Preprocess(crop=25, resize=28, resize_mode="squash")),
    Case(name="pad", size=(35, 62), mode="RGB", preprocess=Preprocess(crop=28, resize=31, resize_mode="pad")),
    Case(name="none", size=(20, 20), mode="RGB", preprocess=Preprocess(crop=20, resize=20, resize_mode="none")),
)
"""Shrinking and growing, both kernels, odd margins (halves to even), a side that stays, alpha, gray, rows first,
one channel of a colour image, every resize mode (a border that is half a pixel off, and cut)."""


def picture(case: Case, index: int) -> Image.Image:
    """Draw an image whose alpha channel, where it has one, is no constant."""
    drawn, _ = draw("val", index, 128)
    image = Image.fromarray(drawn).resize((128, 128)).crop((5, 3, 5 + case.size[0], 3 + case.size[1]))
    if case.mode == "RGBA":
        ramp = np.linspace(0, 255, case.size[0]).astype(np.uint8)[None].repeat(case.size[1], axis=0)
        image.putalpha(Image.fromarray(ramp))
        return image
    return image.convert(case.mode)


def write_preprocess(folder: Path) -> None:
    """Write images, pixels, tensors and `cases.json`."""
    folder.mkdir(parents=True, exist_ok=True)
    entries = []
    for index, case in enumerate(CASES):
        files = {
            key: f"{case.name}.{suffix}"
            for key, suffix in (("photograph", "png"), ("decoded", "rgb"), ("pixels", "u8"), ("input", "f32"))
        }
        picture(case, index).save(folder / files["photograph"], optimize=True)
        decoded = open_rgb(folder / files["photograph"])
        (folder / files["decoded"]).write_bytes(decoded.tobytes())
        pixels = case.preprocess.pixels(folder / files["photograph"])
        (folder / files["pixels"]).write_bytes(pixels.tobytes())
        (folder / files["input"]).write_bytes(case.preprocess.normalize(pixels).numpy().astype("<f4").tobytes())
        entries.append({**files, "size": list(decoded.size), "preprocess": case.preprocess.to_dict()})
    (folder / "cases.json").write_text(json.dumps(entries, indent=1) + "\n")


LOGITS = (1.5, -0.25, 3.4028234663852886e38, 1e-45)
"""What a float32 can hold at its ends, so that a detour through text or float64 shows."""

RAN = {
    "name": "val/é/1.jpg",
    "sha256": "cd" * 32,
    "logits": base64.b64encode(np.array(LOGITS, dtype="<f4").tobytes()).decode(),
}

GOOD = {
    "schema": 1,
    "created": "2026-01-02T03:04:05+00:00",
    "job": "0123456789abcdef",
    "program_sha256": "ab" * 32,
    "complete": True,
    "device": {
        "transport": "adb",
        "name": "Pixel 8",
        "os": "Android 15",
        "soc": "Tensor G3",
        "abi": "arm64-v8a",
        "emulated": False,
    },
    "runtime": {"version": "1.4.1", "threads": 1},
    "photographs": [RAN],
    "reruns": [RAN],
    "load_ms": [12.5, 11.0, 13.25],
    "latency": {"warmup": 10, "times_ms": [4.5, 4.25], "pauses": 0},
    "peak_memory_bytes": 33554432,
    "thermal": {"before_c": 31.5, "after_c": 33.0, "status": "none"},
}

BROKEN = {
    "schema-2": {**GOOD, "schema": 2},
    "no-photographs": {**GOOD, "photographs": []},
    "no-latency": {key: value for key, value in GOOD.items() if key != "latency"},
    "logits-not-base64": {**GOOD, "photographs": [{**RAN, "logits": "not base64!"}]},
    "unknown-key": {**GOOD, "more": 1},
}


def write_results(folder: Path) -> None:
    """Write a good results file, the numbers in it, and broken ones."""
    folder.mkdir(parents=True, exist_ok=True)
    for name, content in {"good": GOOD, **BROKEN}.items():
        (folder / f"{name}.json").write_text(json.dumps(content, indent=1, ensure_ascii=False) + "\n")
    (folder / "good.logits.f32").write_bytes(np.array(LOGITS, dtype="<f4").tobytes())
    text = (folder / "good.json").read_bytes()
    (folder / "truncated.json").write_bytes(text[: len(text) // 2])


if __name__ == "__main__":
    write_preprocess(HERE / "preprocess")
    write_results(HERE / "results")
