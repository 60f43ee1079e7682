"""Everything that an artifact's own files, and images run through it, say against a verdict."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch

from quant.analysis.layer_report import LayerReport
from quant.artifact.model import Artifact
from quant.checks.golden_inputs import check_golden_inputs, check_golden_values
from quant.checks.program_identity import check_bundle, check_programs, check_ranges, check_seal
from quant.checks.recorded_figures import Recorded
from quant.checks.reference import Reference, check_reference
from quant.common.findings import Finding
from quant.common.progress import Progress
from quant.data.batches import Model
from quant.data.perceptual_hash import Calibrated
from quant.data.split import ImageRecord
from quant.lower.table import BACKENDS
from quant.program.reader import read_pte


@dataclass(frozen=True, kw_only=True, slots=True)
class FileFindings:
    """What an artifact's own files say, before anything is run."""

    findings: tuple[Finding, ...]
    layers: tuple[LayerReport, ...]
    """The analysis of its program; empty where there is none, or where layers.json is of another program."""


def check_files(artifact: Artifact) -> FileFindings:
    """Look into the files of an artifact.

    Raises:
        InputError: a broken program, or one that reads its input in another order.
    """
    programs = {name: read_pte(path) for name, path in artifact.programs.items()}
    layers = artifact.layers() if "layers.json" in artifact.manifest["files"] else ()
    backend = BACKENDS.get(artifact.manifest["backend"])
    readable = backend is not None and backend.ranges_readable
    other = check_ranges(programs["pte"], layers) if readable and layers else None
    dead = check_programs(programs)
    found = (check_seal(artifact), *dead, other, check_bundle(artifact), check_golden_values(artifact))
    return FileFindings(
        findings=tuple(each for each in found if each is not None), layers=() if other is not None else tuple(layers)
    )


def check_artifact(
    artifact: Artifact,
    *,
    run_float: Model,
    float_logits: torch.Tensor,
    pte_logits: torch.Tensor | None,
    hashes: torch.Tensor,
    images: Sequence[ImageRecord],
    progress: Progress,
) -> tuple[Finding, ...]:
    """Look for reasons not to believe a verdict on an artifact over images; arguments are as in `Reference`.

    Raises:
        InputError: an unreadable image.
    """
    golden = check_golden_inputs(artifact, images)
    reference = Reference(
        task=artifact.task,
        run=run_float,
        logits=float_logits,
        images=images,
        class_names=artifact.class_names,
        preprocess=artifact.preprocess,
        pte_logits=pte_logits,
        recorded=Recorded.of(artifact.manifest, artifact.task.bounded[0]),
        hashes=hashes,
        calibrated=Calibrated.of(artifact.manifest),
    )
    return (*([] if golden is None else [golden]), *check_reference(reference, progress))
