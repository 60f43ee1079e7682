"""What a quantization-aware training run is decided by."""

from __future__ import annotations

from dataclasses import dataclass

from edge_effnet.errors import InputError

TEACHERS = ("float",)


@dataclass(frozen=True, kw_only=True, slots=True)
class QatOptions:
    """Settings of one run; those left alone are what B0 was measured with."""

    epochs: float = 6
    """Passes over the training photographs."""
    steps: int | None = None
    """Stop after so many steps instead; the schedule is as long as this then."""
    teacher: str = "float"
    """Whose logits the int8 network learns: one of `TEACHERS`."""
    label_share: float = 0.1
    """Part of the labels' cross entropy in the loss, 0..1; without labels it is 0."""
    batch_size: int = 32
    """Photographs a step, over all processes."""
    lr: float = 3e-3
    """Peak learning rate, in int8 steps an update: of weights, biases, zero points and the ends of ranges alike."""
    scale_lr_factor: float = 1.0
    """Learning rate of step sizes and zero points over that of weights; 0 freezes the ranges of calibration."""
    augment: float = 0.2
    """Strength of the augmentation, as in `TrainConfig`."""
    patience: int = 4
    """Stop after so many epochs without a better result."""
    resume: bool = False
    """Continue from the checkpoint beside the artifact folder."""
    workers: int = 2
    """Threads that decode and augment ahead."""

    def __post_init__(self) -> None:
        if self.teacher not in TEACHERS:
            raise InputError(f"unknown teacher {self.teacher!r}; choose one of: {', '.join(TEACHERS)}.")
        if not 0 < self.epochs < 10_000:
            raise InputError(f"--epochs {self.epochs:g}: need a number above 0.")
        if self.steps is not None and self.steps < 1:
            raise InputError(f"--steps {self.steps}: need at least 1.")
        if not 0 <= self.label_share <= 1:
            raise InputError(f"label_share {self.label_share}: need a number from 0 to 1.")
