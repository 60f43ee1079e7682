"""Whether the golden inputs were made with the mean and std of the manifest: undone, they are whole pixels."""

from __future__ import annotations

import torch

from quant.artifact import Artifact

# Float32 leaves 2e-5 of a level; another mean or std leaves up to half a level on some pixel.
_WHOLE = 0.02


def golden_value_doubts(artifact: Artifact) -> tuple[str, ...]:
    """Undo the normalisation of the golden inputs.

    Returns:
        A sentence for the first whose pixels are no whole numbers of 0..255. A program that takes pixels has none.

    Raises:
        InputError: a golden file that cannot be read.
    """
    preprocess = artifact.preprocess
    std, mean = (torch.tensor(values).view(3, 1, 1) for values in (preprocess.std, preprocess.mean))
    for golden in artifact.golden():
        if golden.input.dtype == torch.uint8:
            continue
        levels = (golden.input * std + mean) * 255
        off = (levels - levels.round().clamp(0, 255)).abs().max().item()
        if not off <= _WHOLE:
            return (
                f"preprocessing: the golden input of {golden.photograph} was not made with the mean and std that "
                f"manifest.json gives: undone, its pixels are up to {off:.2f} off whole numbers of 0 to 255; one of "
                "the two was changed",
            )
    return ()
