"""Whether this preprocessing makes of the golden photographs what it made of them then."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import torch

from edge_effnet.images import quiet_pillow
from edge_effnet.preprocess import Preprocess
from quant.artifact import Artifact
from quant.data import Photo
from quant.tolerances import GOLDEN_INPUT_STEPS


def golden_input_doubts(artifact: Artifact, photos: Sequence[Photo]) -> tuple[str, ...]:
    """Preprocess anew those golden photographs that are among `photos`, and compare with the golden inputs.

    Returns:
        A sentence for the first that differs by more than decoders do.

    Raises:
        InputError: a photograph or golden file that cannot be read.
    """
    known = {entry["name"]: entry["sha256"] for entry in artifact.manifest["photographs"]["evaluation"]}
    by_hash = {photo.sha256: photo for photo in photos}
    for golden in artifact.golden():
        photo = by_hash.get(known.get(golden.photograph, ""))
        if photo is None:
            continue
        off = _steps_off(artifact.preprocess, photo.path, golden.input)
        if not off <= GOLDEN_INPUT_STEPS:
            return (
                f"preprocessing: {photo.path} does not become the golden input that `quantize` made of it ({off:.1f} "
                "of 255 steps off on average): size, mean and std, channel order or layout are others now",
            )
    return ()


def _steps_off(preprocess: Preprocess, path: Path, expected: torch.Tensor) -> float:
    """Mean difference of a photograph's input from the one expected, steps of 1/255."""
    with quiet_pillow():
        pixels = preprocess.pixels(path)
    if expected.dtype == torch.uint8:  # the program normalises itself
        return (torch.from_numpy(pixels).float() - expected.float()).abs().mean().item()
    step = torch.tensor(preprocess.std).view(3, 1, 1) * 255
    return ((preprocess.normalize(pixels) - expected) * step).abs().mean().item()
