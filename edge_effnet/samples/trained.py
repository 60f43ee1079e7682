"""The sample weights: networks that `edge-effnet train --data sample` made, inside the package."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any, Final

from edge_effnet.errors import InputError
from edge_effnet.variants import resolve_variant

SAMPLE: Final = "sample"
"""What the commands take for their weights or their data to mean this set; `./sample` is a folder of that name."""

TRAINED: Final[tuple[str, ...]] = ("b0", "lite0")
"""Variants that have sample weights."""

_FOLDER = Path(__file__).parent


def sample_weights(variant: str | None) -> Path:
    """Return the sample weights of a variant, fp16 `.safetensors`.

    Raises:
        InputError: no or an unknown variant, or one without sample weights; the message names the ways on.
    """
    if variant is None:
        raise InputError(
            f"--variant missing: name one of the sample weights ({' or '.join(TRAINED)}), or give your own weights, "
            "which tell it: --weights FILE --data DIR."
        )
    name = resolve_variant(variant).name
    if name not in TRAINED:
        raise InputError(
            f"{name} has no sample weights (there are those of {' and '.join(TRAINED)}); pass your own with "
            f"--weights FILE --data DIR, published ones with --weights {name} --data DIR, or train some first: "
            f"edge-effnet train --variant {name} --data {SAMPLE}."
        )
    return _FOLDER / f"{name}.safetensors"


def sample_metadata(variant: str) -> dict[str, Any]:
    """Return how the sample weights of a variant were made: command, seed, steps, accuracy.

    Raises:
        InputError: as `sample_weights`.
    """
    metadata: dict[str, Any] = json.loads(sample_weights(variant).with_suffix(".json").read_text())
    return metadata
