"""What quantization-aware training did."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, kw_only=True, slots=True)
class QatReport:
    """How the training went."""

    steps: int
    """Steps done."""
    epochs: int
    """Epochs finished."""
    best_epoch: int
    """Whose weights were kept, from 1; 0: the post-training quantized network, which no epoch beat."""
    training_images: int
    selection_images: int
    rows: tuple[dict[str, float], ...]
    """The learning curve; the first row is step 0."""
