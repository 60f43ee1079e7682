"""Whether this preprocessing makes of the golden photographs what it made of them then."""

from __future__ import annotations

from collections.abc import Sequence

import torch

from edge_effnet.images import quiet_pillow
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
    step = torch.tensor(artifact.preprocess.std).view(3, 1, 1) * 255
    for golden in artifact.golden():
        photo = by_hash.get(known.get(golden.photograph, ""))
        if photo is None:
            continue
        with quiet_pillow():
            found = artifact.preprocess(photo.path)
        off = ((found - golden.input) * step).abs().mean().item()
        if not off <= GOLDEN_INPUT_STEPS:
            return (
                f"preprocessing: {photo.path} does not become the golden input that `quantize` made of it ({off:.1f} "
                "of 255 steps off on average): size, mean and std, channel order or layout are others now",
            )
    return ()
