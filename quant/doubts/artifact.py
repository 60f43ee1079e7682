"""All doubts about an artifact that is checked on photographs."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch

from quant.artifact import Artifact
from quant.data import Photo
from quant.doubts.files import FileDoubts
from quant.doubts.find import Reference, find_doubts, reservations
from quant.doubts.golden import golden_input_doubts
from quant.doubts.recorded import Recorded
from quant.evaluate import Model
from quant.thumbnails import Calibrated


@dataclass(frozen=True, kw_only=True, slots=True)
class Findings:
    """What speaks against a verdict."""

    doubts: tuple[str, ...]
    """A sentence for each reason not to believe it."""
    reservations: tuple[str, ...]
    """Sentences for what a pass is to be taken with caution for."""
    analyzed: bool
    """Whether layers.json, where there is one, is of the program."""


def artifact_doubts(
    artifact: Artifact,
    files: FileDoubts,
    run_float: Model,
    float_logits: torch.Tensor,
    pte_logits: torch.Tensor | None,
    thumbnails: torch.Tensor,
    photos: Sequence[Photo],
) -> Findings:
    """Look for reasons not to believe a verdict on an artifact.

    Args:
        artifact: opened.
        files: what its own files give away.
        run_float: its float program.
        float_logits: of it, [photographs, classes].
        pte_logits: of its program on this host; None where this host does not run it.
        thumbnails: of the photographs, [photographs, 64].
        photos: that all of these are of.

    Raises:
        InputError: an unreadable photograph.
    """
    reference = Reference(
        run=run_float,
        logits=float_logits,
        photos=photos,
        class_names=artifact.labels,
        preprocess=artifact.preprocess,
        pte_logits=pte_logits,
        recorded=Recorded.of(artifact.manifest),
        thumbnails=thumbnails,
        calibrated=Calibrated.of(artifact.manifest),
    )
    return Findings(
        doubts=(*files.sentences, *golden_input_doubts(artifact, photos), *find_doubts(reference)),
        reservations=reservations(reference),
        analyzed=files.analyzed,
    )
