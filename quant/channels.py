"""Whether a network sees photographs: red, green and blue."""

from __future__ import annotations

from pathlib import Path

from edge_effnet.errors import InputError
from edge_effnet.model import EfficientNet

RGB = 3


def require_rgb(model: EfficientNet, weights: str | Path) -> None:
    """Refuse a network that was trained on something other than photographs.

    Raises:
        InputError: its first convolution takes another number of channels.
    """
    if model.in_channels != RGB:
        raise InputError(
            f"{weights}: the first convolution takes {model.in_channels} channel{'s' * (model.in_channels != 1)}, a "
            f"photograph has {RGB}; take weights that were trained on photographs in colour."
        )
