"""Everything that an artifact's own files, and images run through it, say against a verdict."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch

from quant.analysis.layers import LayerReport
from quant.artifact.model import Artifact
from quant.checks.dead_layers import program_doubts
from quant.checks.golden_inputs import golden_input_doubts, golden_value_doubts
from quant.checks.program_identity import bundle_doubts, other_ranges, seal_doubts
from quant.checks.recorded_figures import Recorded
from quant.checks.reference import Reference, find_doubts, reservations
from quant.data.batches import Model
from quant.data.perceptual_hash import Calibrated
from quant.data.split import ImageRecord
from quant.program.reader import read_pte


@dataclass(frozen=True, kw_only=True, slots=True)
class FileDoubts:
    """Reasons not to believe an artifact."""

    sentences: tuple[str, ...]
    analyzed: bool
    """Whether layers.json, where there is one, is of the program."""


def file_doubts(artifact: Artifact) -> FileDoubts:
    """Look into the files of an artifact.

    Raises:
        InputError: a broken program, or one that reads its input in another order.
    """
    programs = {name: read_pte(path) for name, path in artifact.programs.items()}
    other = other_ranges(programs["pte"], _analysis(artifact))
    return FileDoubts(
        sentences=(
            *seal_doubts(artifact),
            *program_doubts(programs),
            *(() if other is None else (other,)),
            *bundle_doubts(artifact),
            *golden_value_doubts(artifact),
        ),
        analyzed=other is None,
    )


def _analysis(artifact: Artifact) -> Sequence[LayerReport]:
    """What layers.json says of a program for XNNPACK, whose ranges can be read; empty for others."""
    if artifact.manifest["backend"] != "xnnpack" or "layers.json" not in artifact.manifest["files"]:
        return ()
    return artifact.layers()


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
    hashes: torch.Tensor,
    images: Sequence[ImageRecord],
) -> Findings:
    """Look for reasons not to believe a verdict on an artifact.

    Args:
        artifact: opened.
        files: what its own files give away.
        run_float: its float program.
        float_logits: of it, [images, classes].
        pte_logits: of its program on this host; None where this host does not run it.
        hashes: of the images, [images, 64].
        images: that all of these are of.

    Raises:
        InputError: an unreadable image.
    """
    reference = Reference(
        run=run_float,
        logits=float_logits,
        images=images,
        class_names=artifact.labels,
        preprocess=artifact.preprocess,
        pte_logits=pte_logits,
        recorded=Recorded.of(artifact.manifest),
        hashes=hashes,
        calibrated=Calibrated.of(artifact.manifest),
    )
    return Findings(
        doubts=(*files.sentences, *golden_input_doubts(artifact, images), *find_doubts(reference)),
        reservations=reservations(reference),
        analyzed=files.analyzed,
    )
