"""What sequential fitting solves at each layer: inputs as they are, outputs as they should be, better weights."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Sequence
from typing import Self, TypeVar

import torch
from torch import fx
from torch.nn import functional as F

from quant.graph.parallel import in_parallel
from quant.graph.qdq import geometry

Chunk = TypeVar("Chunk")

FREE = 0.05
"""Ridge that lets weights go where they have to: an activation was swapped."""

NEAR = 0.5
"""Ridge that keeps them near where they are: rounding moved them a little, and what looser ones learn of some images
is not true of others (docs/lab/accuracy.md)."""

# The same for a filter's taps, which only rounding reads; and at least so much, in steps squared, for dead inputs.
_TAPS_RIDGE, _LEAST_VARIANCE = 0.01, 1e-3

# Places, over all images, at which a filter's taps are looked at: tens of them, whose covariance alone is wanted.
_WINDOWS = 1024

# A gain outside would mean that the layer's inputs are lost, not shrunk; stay near the network that was trained.
_GAIN_LIMITS = (0.7, 1.1)


class _Sums(ABC):
    """Sums over samples, float64, that come chunk by chunk."""

    def __init__(self) -> None:
        self.count = 0
        self.sums: list[torch.Tensor] = []

    @abstractmethod
    def of(self, x: torch.Tensor, t: torch.Tensor) -> list[torch.Tensor]:
        """Sum up samples: [C, n] and their targets, [K, n]."""

    def add(self, chunks: Sequence[Chunk], read: Callable[[Chunk], tuple[torch.Tensor, torch.Tensor]]) -> Self:
        """Add the samples and targets that `read` finds in each chunk."""

        def part(chunk: Chunk) -> tuple[int, list[torch.Tensor]]:
            x, t = read(chunk)
            return x.shape[1], self.of(x, t)

        for count, sums in in_parallel(part, chunks):
            self.count += count
            if not self.sums:
                self.sums = [part.double() for part in sums]
            else:
                for whole, more in zip(self.sums, sums, strict=True):
                    whole.add_(more)
        return self


class Moments(_Sums):
    """First and second moments of a 1x1 layer's inputs, [C, n], and targets, [K, n]."""

    def of(self, x: torch.Tensor, t: torch.Tensor) -> list[torch.Tensor]:
        """Squares of inputs, products of targets with inputs, inputs, targets."""
        return [x @ x.T, t @ x.T, x.sum(dim=1), t.sum(dim=1)]

    @property
    def mean_input(self) -> torch.Tensor:
        """Mean of the inputs, [C]."""
        return self.sums[2] / self.count

    @property
    def mean_target(self) -> torch.Tensor:
        """Mean of the targets, [K]."""
        return self.sums[3] / self.count

    @property
    def variance(self) -> torch.Tensor:
        """Variance of the inputs, [C]."""
        return self.sums[0].diagonal() / self.count - self.mean_input.square()

    def reorder(self, order: torch.Tensor) -> None:
        """Take the inputs in another order, in place."""
        squares, cross, inputs, targets = self.sums
        self.sums = [squares[order][:, order], cross[:, order], inputs[order], targets]

    def centred(self) -> tuple[torch.Tensor, torch.Tensor]:
        """Covariance of the inputs, and of targets with inputs."""
        mean = self.mean_input
        return (
            self.sums[0] / self.count - torch.outer(mean, mean),
            self.sums[1] / self.count - torch.outer(self.mean_target, mean),
        )


def refit_weights(weight: torch.Tensor, moments: Moments, ridge: float) -> tuple[torch.Tensor, torch.Tensor]:
    """Move weights towards the least-squares solution: ridge regression around where they are.

    Args:
        weight: float64 [out, in].
        moments: of inputs and targets.
        ridge: as a share of the mean variance of the inputs; grows where positions are few.

    Returns:
        New weights (the old ones where samples are too few), and the upper triangular R for which R @ R.T is the
        inputs' covariance with the ridge.
    """
    covariance, cross = moments.centred()
    inputs = weight.shape[1]
    added = ridge * (1.0 + 4.0 * inputs / moments.count) * covariance.diagonal().mean().clamp_min(1e-12)
    residual = cross - weight @ covariance
    # Cholesky's factor of the mirrored matrix, mirrored, is upper triangular.
    factor = _factor(covariance.flip(0, 1), added).flip(0, 1)
    if moments.count > 4 * inputs:
        half = torch.linalg.solve_triangular(factor, residual.T, upper=True)
        weight = weight + torch.linalg.solve_triangular(factor.T, half, upper=False).T
    return weight, factor


def _factor(covariance: torch.Tensor, ridge: torch.Tensor) -> torch.Tensor:
    """Cholesky's lower factor, in place of the covariance with a ridge added.

    Inputs that never change (a dead layer's) leave nothing but rounding: they take a larger ridge.
    """
    diagonal = covariance.diagonal()
    plain = diagonal.clone()
    while True:
        assert ridge.isfinite(), "inputs that are not finite are refused before"
        diagonal.copy_(plain + ridge)
        found = torch.linalg.cholesky_ex(covariance)
        if not found.info:
            factor: torch.Tensor = found.L
            return factor
        ridge = 10 * ridge


class ChannelMoments(_Sums):
    """First and second moments of each channel's outputs with its targets, both [C, n].

    Around means of a few samples, so that float32 holds them.
    """

    def __init__(self, x: torch.Tensor, t: torch.Tensor) -> None:
        """Take a few samples and their targets."""
        super().__init__()
        self._around = x.mean(dim=1, keepdim=True), t.mean(dim=1, keepdim=True)

    def of(self, x: torch.Tensor, t: torch.Tensor) -> list[torch.Tensor]:
        """Outputs, targets, their squares and products."""
        x, t = x - self._around[0], t - self._around[1]
        return [x.sum(dim=1), t.sum(dim=1), (x * x).sum(dim=1), (x * t).sum(dim=1)]

    @property
    def means(self) -> tuple[torch.Tensor, torch.Tensor]:
        """Of outputs and targets, float64 [C] each."""
        return (
            self._around[0].flatten() + self.sums[0] / self.count,
            self._around[1].flatten() + self.sums[1] / self.count,
        )

    def gain(self) -> torch.Tensor:
        """The factor for each channel that brings outputs closest to their targets but for a constant, [C]."""
        x, t, square, joint = (one / self.count for one in self.sums)
        variance, covariance = square - x * x, joint - x * t
        return torch.where(variance > 1e-12, covariance / variance.clamp_min(1e-12), 1.0).clamp(*_GAIN_LIMITS)


def first_image(
    sources: Sequence[torch.Tensor], targets: Sequence[torch.Tensor]
) -> tuple[torch.Tensor, torch.Tensor]:
    """The first image's part of chunks of images, and of what was sampled of each chunk, [C, samples]."""
    return sources[0][:1], targets[0][:, : targets[0].shape[1] // len(sources[0])]


def taps(
    convolution: fx.Node, kernel: tuple[int, int], x: torch.Tensor, zero_point: int, *, images: int
) -> torch.Tensor:
    """What a spatial convolution's filters see at some positions of its output, evenly thinned.

    Args:
        convolution: of any stride, padding and groups.
        kernel: its height and width.
        x: whole numbers, [N, C, H, W].
        zero_point: of `x`, taken from it.
        images: in all chunks: the fewer there are, the more is seen of each.

    Returns:
        float32 [groups, inputs of a filter, samples].
    """
    stride, padding, dilation, groups = geometry(convolution)
    padded = F.pad(x, (padding[1], padding[1], padding[0], padding[0]), value=zero_point)
    seen = padded
    for dim, (size, step, apart) in enumerate(zip(kernel, stride, dilation, strict=True), start=2):
        seen = seen.unfold(dim, apart * (size - 1) + 1, step)[..., ::apart]
    thin = max(1, int((seen.shape[2] * seen.shape[3] * images / _WINDOWS) ** 0.5))
    seen = seen[:, :, thin // 2 :: thin, thin // 2 :: thin]
    rows = seen.permute(1, 4, 5, 0, 2, 3).reshape(groups, -1, seen.shape[0] * seen.shape[2] * seen.shape[3])
    return rows.to(torch.float32, copy=True).sub_(zero_point)


def factor_of_taps(chunks: Sequence[Chunk], read: Callable[[Chunk], torch.Tensor]) -> torch.Tensor:
    """Factor the covariance of what filters see, as `refit_weights` does: R, float64 [groups, inputs, inputs]."""

    def part(chunk: Chunk) -> tuple[int, torch.Tensor, torch.Tensor]:
        # Around the chunk's own mean, so that float32 holds it: 16-bit inputs lie far from zero, and change little.
        seen = read(chunk)
        mean = seen.mean(dim=2, keepdim=True)
        seen.sub_(mean)
        return seen.shape[2], seen @ seen.mT, mean

    found = [(samples, squares.double(), mean.double()) for samples, squares, mean in in_parallel(part, chunks)]
    count = sum(samples for samples, _, _ in found)
    zero = torch.zeros((), dtype=torch.float64)
    whole = sum((samples * mean for samples, _, mean in found), zero) / count
    apart = [(samples, squares, mean - whole) for samples, squares, mean in found]
    covariance = sum((squares + samples * (mean @ mean.mT) for samples, squares, mean in apart), zero) / count
    diagonal = covariance.diagonal(dim1=1, dim2=2)
    diagonal += (_TAPS_RIDGE * diagonal.mean(dim=1, keepdim=True)).clamp_min(_LEAST_VARIANCE)
    factor: torch.Tensor = torch.linalg.cholesky(covariance.flip(1, 2)).flip(1, 2)
    return factor
