"""Whether a manifest is as `quantize` wrote it."""

from __future__ import annotations

from quant.artifact import Artifact
from quant.manifest_seal import SEAL, seal_of


def seal_doubts(artifact: Artifact) -> tuple[str, ...]:
    """Compare a manifest's seal with what it says now."""
    if artifact.manifest.get(SEAL) == seal_of(artifact.manifest):
        return ()
    return (
        "manifest.json: its seal does not fit what it says, it was edited after `quantize` wrote it: make the "
        "artifact anew",
    )
