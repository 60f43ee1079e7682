"""What images look like in 64 bytes: the same image is found again after it was saved again.

A hash of the file changes with every byte. The 8 x 8 mean brightness of what the network sees stays within a level or
so of 255 when a JPEG is compressed again, scaled or converted; the two likest of 850 images are four apart
(`benchmarks/perceptual_hash.py`, docs/security.md).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch.nn import functional as F

from edge_effnet.preprocess import Preprocess
from quant.data.batches import Model
from quant.data.split import ImageRecord

_SIDE = 8

# Mean difference of two hashes, in levels of 255, up to which they show one image.
_ALIKE = 2.0

# Levels by which a perceptual hash has to vary: evenly grey pictures are all alike.
_STRUCTURE = 4.0

# Rows that are compared at a time: all with all would take memory.
_AT_ONCE = 1024


def hash_maker(preprocess: Preprocess) -> Model:
    """Return a function from network inputs, [n, C, H, W], to their hashes, float32 [n, 64] of levels 0..255."""
    std, mean = (torch.tensor(values).view(-1, 1) for values in (preprocess.std, preprocess.mean))
    return lambda inputs: ((fields(inputs) * std + mean).mean(dim=1) * 255).round_().clamp_(0, 255)


def fields(inputs: torch.Tensor) -> torch.Tensor:
    """Means of 8 x 8 fields of network inputs, [n, C, H, W] -> [n, C, 64]; they overlap where sides do not divide."""
    return F.adaptive_avg_pool2d(inputs, _SIDE).flatten(2)


def nearest(seen: torch.Tensor, known: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
    """Find for each perceptual hash the known one that it is likest to.

    Args:
        seen: [n, 64].
        known: [m, 64], m > 0.

    Returns:
        Whether it shows the same image, bool [n]; which it is likest to, int64 [n].
    """
    distances, indices = zip(
        *(torch.cdist(rows, known, p=1).min(dim=1) for rows in seen.split(_AT_ONCE)), strict=True
    )
    alike = torch.cat(distances) <= _ALIKE * seen.shape[1]
    return alike & (seen.std(dim=1) >= _STRUCTURE), torch.cat(indices)


@dataclass(frozen=True, kw_only=True, slots=True)
class Calibrated:
    """Images that a program was fitted on, as they look."""

    names: tuple[str, ...]
    hashes: torch.Tensor
    """[m, 64]."""

    @classmethod
    def on(cls, images: Sequence[ImageRecord], inputs: Sequence[torch.Tensor], preprocess: Preprocess) -> Calibrated:
        """Look at calibration images; `inputs` are theirs, in batches."""
        make = hash_maker(preprocess)
        return cls(names=tuple(image.name for image in images), hashes=torch.cat([make(batch) for batch in inputs]))

    @classmethod
    def of(cls, manifest: Mapping[str, Any]) -> Calibrated | None:
        """Read what `to_hex` wrote; None where an earlier version wrote the manifest."""
        kept = [image for image in manifest["photographs"]["calibration"] if "thumbnail" in image]
        if not kept:
            return None
        rows = [list(bytes.fromhex(image["thumbnail"])) for image in kept]
        return cls(names=tuple(image["name"] for image in kept), hashes=torch.tensor(rows, dtype=torch.float32))

    def to_hex(self) -> list[str]:
        """Each perceptual hash as 128 hexadecimal digits."""
        return [bytes(row).hex() for row in self.hashes.to(torch.uint8).tolist()]
