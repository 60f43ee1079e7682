"""Whether the golden inputs are what this preprocessing, with this mean and std, makes of their images."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import torch

from edge_effnet.images import quiet_pillow
from edge_effnet.preprocess import Preprocess
from quant.artifact.model import Artifact
from quant.common.findings import Finding, finding
from quant.data.split import ImageRecord
from quant.thresholds import GOLDEN_INPUT_STEPS

# Float32 leaves 2e-5 of a level; another mean or std leaves up to half a level on some pixel.
_WHOLE = 0.02


def check_golden_values(artifact: Artifact) -> Finding | None:
    """Undo the normalisation of the golden inputs.

    Returns:
        A finding for the first whose pixels are no whole numbers of 0..255. A program that takes pixels has none.

    Raises:
        InputError: a golden file that cannot be read.
    """
    preprocess = artifact.preprocess
    std, mean = (torch.tensor(values).view(-1, 1, 1) for values in (preprocess.std, preprocess.mean))
    for golden in (each for each in artifact.golden() if each.input.dtype != torch.uint8):
        levels = (golden.input * std + mean) * 255
        off = (levels - levels.round().clamp(0, 255)).abs().max().item()
        if not off <= _WHOLE:
            return finding(
                "preprocessing",
                f"preprocessing: the golden input of {golden.image} was not made with the mean and std that "
                f"manifest.json gives: undone, its pixels are up to {off:.2f} off whole numbers of 0 to 255; one of "
                "the two was changed",
            )
    return None


def check_golden_inputs(artifact: Artifact, images: Sequence[ImageRecord]) -> Finding | None:
    """Preprocess again those golden images that are among `images`, and compare with the golden inputs.

    Returns:
        A finding for the first that differs by more than decoders do.

    Raises:
        InputError: an image or golden file that cannot be read.
    """
    known = {entry["name"]: entry["sha256"] for entry in artifact.manifest["photographs"]["evaluation"]}
    by_hash = {image.sha256: image for image in images}
    for golden in artifact.golden():
        image = by_hash.get(known.get(golden.image, ""))
        if image is None:
            continue
        off = _steps_off(artifact.preprocess, image.path, golden.input)
        if not off <= GOLDEN_INPUT_STEPS:
            return finding(
                "preprocessing",
                f"preprocessing: {image.path} does not become the golden input that `quantize` made of it ({off:.1f} "
                "of 255 steps off on average): size, mean and std, channel order or layout are others now",
            )
    return None


def _steps_off(preprocess: Preprocess, path: Path, expected: torch.Tensor) -> float:
    """Mean difference of an image's input from the one expected, steps of 1/255."""
    with quiet_pillow():
        pixels = preprocess.pixels(path)
    if expected.dtype == torch.uint8:  # the program normalises itself
        return (torch.from_numpy(pixels).float() - expected.float()).abs().mean().item()
    step = torch.tensor(preprocess.std).view(-1, 1, 1) * 255
    return ((preprocess.normalize(pixels) - expected) * step).abs().mean().item()
