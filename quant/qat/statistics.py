"""BatchNorm that keeps normalising while the network trains in int8, though it is folded in the program.

With one weight scale a channel, folding a BatchNorm changes the scales and the bias and no int8 weight. So its part
in training can stand between the accumulator and the requantization: the batch's mean and deviation are replaced by
the running ones, which the folded scale and bias stand for. In eval mode nothing is done: that is the program.

Source: Jacob et al., "Quantization and Training of Neural Networks for Efficient Integer-Arithmetic-Only Inference"
(2018), section 3.2; Krishnamoorthi, "Quantizing deep convolutional networks for efficient inference" (2018), 3.2.2.
"""

from __future__ import annotations

import torch
from torch import nn
from torch.nn import functional as F

_EPS = 1e-3
"""In accumulator steps, squared: only a channel that is constant is this narrow."""


class ChannelStatistics(nn.Module):
    """Running mean and variance of a convolution's accumulators."""

    mean: torch.Tensor
    var: torch.Tensor
    batches: torch.Tensor

    def __init__(self, channels: int, momentum: float = 0.1) -> None:
        """Start from the first batch: at step 0 the network is the program."""
        super().__init__()
        self.momentum = momentum
        self.register_buffer("mean", torch.zeros(channels))
        self.register_buffer("var", torch.ones(channels))
        self.register_buffer("batches", torch.zeros((), dtype=torch.int64))

    def forward(self, accumulator: torch.Tensor) -> torch.Tensor:
        """[N, C, H, W] -> the same, with the running statistics instead of the batch's."""
        with torch.no_grad():
            if self.batches == 0:
                self.mean.copy_(accumulator.mean((0, 2, 3)))
                self.var.copy_(accumulator.var((0, 2, 3), correction=0))
            self.batches += 1
            deviation, centre = (self.var + _EPS).sqrt(), self.mean.clone()
        return F.batch_norm(
            accumulator, self.mean, self.var, deviation, centre, training=True, momentum=self.momentum, eps=_EPS
        )
