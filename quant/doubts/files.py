"""What an artifact's own files give away, before anything is run."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from quant.analysis import LayerReport
from quant.artifact import Artifact
from quant.doubts.analyzed import other_ranges
from quant.doubts.bundle import bundle_doubts
from quant.doubts.golden_values import golden_value_doubts
from quant.doubts.programs import program_doubts
from quant.doubts.seal import seal_doubts
from quant.pte_file import read_pte


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
