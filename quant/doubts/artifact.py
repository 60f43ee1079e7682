"""All doubts about an artifact that is checked on photographs."""

from __future__ import annotations

from collections.abc import Sequence

import torch

from quant.artifact import Artifact
from quant.data import Photo
from quant.doubts.find import Reference, find_doubts
from quant.doubts.golden import golden_input_doubts
from quant.doubts.programs import program_doubts
from quant.doubts.recorded import Recorded
from quant.evaluate import Model
from quant.pte_file import read_pte


def artifact_doubts(
    artifact: Artifact,
    run_float: Model,
    float_logits: torch.Tensor,
    pte_logits: torch.Tensor | None,
    photos: Sequence[Photo],
) -> tuple[str, ...]:
    """Return a sentence for each reason not to believe a verdict on an artifact.

    Args:
        artifact: opened.
        run_float: its float program.
        float_logits: of it, [photographs, classes].
        pte_logits: of its program on this host; None where this host does not run it.
        photos: that both are of.

    Raises:
        InputError: a broken program, one that reads its input in another order, or an unreadable photograph.
    """
    programs = {"float": artifact.float_program, "pte": artifact.program}
    reference = Reference(
        run=run_float,
        logits=float_logits,
        photos=photos,
        class_names=artifact.labels,
        preprocess=artifact.preprocess,
        pte_logits=pte_logits,
        recorded=Recorded.of(artifact.manifest),
    )
    return (
        *program_doubts({name: read_pte(path) for name, path in programs.items()}),
        *golden_input_doubts(artifact, photos),
        *find_doubts(reference),
    )
