"""Whether `model.bpte`, which boards are tested with, holds the very program that is judged."""

from __future__ import annotations

from quant.artifact import Artifact


def bundle_doubts(artifact: Artifact) -> tuple[str, ...]:
    """Look for the bytes of model.pte in model.bpte; artifacts without a bundle have nothing to say."""
    path = artifact.folder / "model.bpte"
    if path.name not in artifact.manifest["files"] or artifact.program.read_bytes() in path.read_bytes():
        return ()
    return ("another program: model.bpte does not hold model.pte: one of the two was exchanged",)
