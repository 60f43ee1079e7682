"""What a peer is given, and what it has to do."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import numpy as np
import torch
from torch import nn

from edge_effnet.preprocess import Preprocess
from edge_effnet.weights import load_pretrained
from quant.data.batches import iterate_batches

Run = Callable[[np.ndarray], np.ndarray]
"""Float32 [1, 3, H, W] -> float32 [1, classes]."""

Forward = Callable[[], object]
"""One inference on an input that lies ready: what a latency is measured of."""


@dataclass(frozen=True)
class Material:
    """The network and images of a comparison, in a folder that every peer reads."""

    folder: Path
    variant: str
    weights: str

    def images(self, which: str) -> np.ndarray:
        """Preprocessed images, float32 [N, 3, H, W]: "calibration", "validation" or "judged"."""
        images: np.ndarray = np.load(self.folder / f"{which}.npy", mmap_mode="r")
        return images

    def labels(self, which: str) -> np.ndarray:
        """Class indices of these images, int64 [N]."""
        labels: np.ndarray = np.load(self.folder / f"{which}-labels.npy")
        return labels

    def decode(self, which: str, paths: Sequence[Path], preprocess: Preprocess) -> None:
        """Write what `images` reads."""
        np.save(self.folder / f"{which}.npy", torch.cat(list(iterate_batches(paths, preprocess))).numpy())

    def batches(self, which: str) -> list[np.ndarray]:
        """The images one by one, each [1, 3, H, W]."""
        images = self.images(which)
        # Copies: a view of a file is read-only, and a new axis has stride 0, which exporters refuse.
        return [np.array(images[i : i + 1]) for i in range(len(images))]

    @cached_property
    def network(self) -> nn.Module:
        """The float network as its users have it: BatchNorm not folded."""
        return load_pretrained(self.weights, variant=self.variant).model.eval()

    @property
    def example(self) -> torch.Tensor:
        """One input, [1, 3, H, W]."""
        return torch.from_numpy(self.batches("judged")[0])


@dataclass(frozen=True, kw_only=True)
class Peer:
    """One toolchain with one setting."""

    title: str
    packages: tuple[str, ...]
    """Whose versions the result names."""
    file: str
    """Name of the program that `quantize` writes into the folder it is given."""
    quantize: Callable[[Material, Path], None]
    """Writes the int8 program."""
    load: Callable[[Path, int], Run]
    """Loads a program, to run with so many threads."""
    forward: Callable[[Path, int, np.ndarray], Forward]
    """Loads a program, to run with so many threads on one float32 [1, 3, H, W]."""
