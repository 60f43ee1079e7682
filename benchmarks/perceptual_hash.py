"""How far apart images and their copies are, by the hashes that tell calibration images again.

python benchmarks/perceptual_hash.py --data IMAGES
"""

from __future__ import annotations

import argparse
import io
import json
import math
import tempfile
from pathlib import Path
from typing import Any

import torch
from PIL import Image

from edge_effnet.images import IMAGE_SUFFIXES
from edge_effnet.preprocess import Preprocess
from quant.data.perceptual_hash import hash_maker

SAVED: dict[str, tuple[str, dict[str, Any], float]] = {
    "JPEG, quality 95": ("JPEG", {"quality": 95}, 1.0),
    "JPEG, quality 50": ("JPEG", {"quality": 50}, 1.0),
    "JPEG, quality 20": ("JPEG", {"quality": 20}, 1.0),
    "PNG": ("PNG", {}, 1.0),
    "WebP": ("WEBP", {}, 1.0),
    "JPEG of half the size": ("JPEG", {"quality": 90}, 0.5),
    "JPEG of twice the size": ("JPEG", {"quality": 90}, 2.0),
}
"""Ways to save an image again: format, options, scale."""


def main() -> None:
    """Parse, measure, print mean differences in levels of 255."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--size", type=int, default=224)
    parser.add_argument("--every", type=int, default=5, help="image that is saved again")
    options = parser.parse_args()
    preprocess = Preprocess(crop=options.size, resize=round(options.size / 0.875))
    make = hash_maker(preprocess)
    paths = sorted(path for path in options.data.rglob("*") if path.suffix.lower() in IMAGE_SUFFIXES)
    known = torch.cat([make(preprocess(path)[None]) for path in paths])
    distances = torch.cdist(known, known, p=1) / known.shape[1]
    distances.fill_diagonal_(math.inf)
    print(json.dumps({"photographs": len(paths), "nearest two": round(distances.min().item(), 2)}))
    with tempfile.TemporaryDirectory() as folder:
        for name, how in SAVED.items():
            found = [
                (make(preprocess(_saved(path, Path(folder), *how))[None]) - known[index]).abs().mean().item()
                for index, path in enumerate(paths)
                if index % options.every == 0
            ]
            print(
                json.dumps({"saved again": name, "copies": len(found), "farthest": round(max(found), 2)}), flush=True
            )


def _saved(path: Path, folder: Path, form: str, settings: dict[str, Any], scale: float) -> Path:
    with Image.open(path) as image, io.BytesIO() as file:
        size = tuple(max(1, round(side * scale)) for side in image.size)
        image.convert("RGB").resize(size, Image.Resampling.BICUBIC).save(file, form, **settings)
        target = folder / f"copy.{form.lower()}"
        target.write_bytes(file.getvalue())
    return target


if __name__ == "__main__":
    main()
