"""What a quantization-aware training run is decided by."""

from __future__ import annotations

from dataclasses import dataclass

import torch

from edge_effnet.errors import InputError

TEACHERS = ("float",)
BATCHNORMS = ("folded", "batch")
PRECISIONS = ("auto", "fp32", "bf16")


@dataclass(frozen=True, kw_only=True, slots=True)
class QatOptions:
    """Settings of one run; those left alone are what B0 was measured with."""

    epochs: float = 6
    """Passes over the training images."""
    steps: int | None = None
    """Stop after so many steps instead; the schedule is as long as this then."""
    teacher: str = "float"
    """Whose logits the int8 network learns: one of `TEACHERS`."""
    label_share: float = 0.1
    """Part of the labels' cross entropy in the loss, 0..1; without labels it is 0."""
    batch_size: int = 32
    """Images a step, over all processes."""
    lr: float = 3e-3
    """Peak learning rate, in int8 steps an update: of weights, biases, zero points and the ends of ranges alike."""
    scale_lr_factor: float = 1.0
    """Learning rate of step sizes and zero points over that of weights; 0 freezes the ranges of calibration."""
    ranges_until: float = 1.0
    """Share of the run after which step sizes and zero points stay as they are, 0..1."""
    batchnorm: str = "folded"
    """One of `BATCHNORMS`: folded and frozen, or normalising each batch until `statistics_until`."""
    statistics_until: float = 0.5
    """Share of the run after which "batch" continues as "folded", 0..1: the program has no batches."""
    precision: str = "auto"
    """Of the convolutions' gradients, one of `PRECISIONS`; the forward pass is exact in any case."""
    augment: float = 0.2
    """Strength of the augmentation, as in `TrainConfig`."""
    patience: int = 4
    """Stop after so many epochs without a better result."""
    resume: bool = False
    """Continue from the checkpoint beside the artifact folder."""
    workers: int = 2
    """Threads that decode and augment ahead."""

    def __post_init__(self) -> None:
        for name, choices in (("teacher", TEACHERS), ("batchnorm", BATCHNORMS), ("precision", PRECISIONS)):
            value = getattr(self, name)
            if value not in choices:
                raise InputError(f"unknown {name} {value!r}; choose one of: {', '.join(choices)}.")
        if not 0 < self.epochs < 10_000:
            raise InputError(f"--epochs {self.epochs:g}: need a number above 0.")
        if self.steps is not None and self.steps < 1:
            raise InputError(f"--steps {self.steps}: need at least 1.")
        for name in ("label_share", "ranges_until", "statistics_until"):
            if not 0 <= getattr(self, name) <= 1:
                raise InputError(f"{name} {getattr(self, name)}: need a number from 0 to 1.")

    def gradient_dtype(self) -> torch.dtype:
        """What `precision` means on this machine."""
        fast = torch.cuda.is_available() or torch.cpu._is_avx512_bf16_supported()
        return torch.bfloat16 if self.precision == "bf16" or (self.precision == "auto" and fast) else torch.float32
