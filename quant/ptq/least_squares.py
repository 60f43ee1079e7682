"""What sequential fitting solves at each layer: inputs as they are, outputs as they should be, better weights."""

from __future__ import annotations

import torch

# Ridge, as a share of the mean variance of a layer's inputs; grows where positions are few.
_RIDGE = 0.05

# A gain outside would mean that the layer's inputs are lost, not shrunk; stay near the network that was trained.
_GAIN_LIMITS = (0.7, 1.1)

# Positions of a layer's output that the regression reads from one image; more change nothing.
_POSITIONS = 1024


class Moments:
    """First and second moments of a 1x1 layer's inputs and targets, float64."""

    def __init__(self, inputs: int, outputs: int) -> None:
        self.count = 0
        self._square = torch.zeros(inputs, inputs, dtype=torch.float64)
        self._cross = torch.zeros(outputs, inputs, dtype=torch.float64)
        self._input = torch.zeros(inputs, dtype=torch.float64)
        self._target = torch.zeros(outputs, dtype=torch.float64)

    def add(self, x: torch.Tensor, t: torch.Tensor) -> None:
        """Add samples: inputs [C, n], targets [K, n]."""
        self.count += x.shape[1]
        self._square += (x @ x.T).double()
        self._cross += (t @ x.T).double()
        self._input += x.sum(dim=1)
        self._target += t.sum(dim=1)

    @property
    def mean_input(self) -> torch.Tensor:
        """Mean of the inputs, [C]."""
        return self._input / self.count

    @property
    def mean_target(self) -> torch.Tensor:
        """Mean of the targets, [K]."""
        return self._target / self.count

    @property
    def variance(self) -> torch.Tensor:
        """Variance of the inputs, [C]."""
        return self._square.diagonal() / self.count - self.mean_input.square()

    def centred(self) -> tuple[torch.Tensor, torch.Tensor]:
        """Covariance of the inputs, and of targets with inputs."""
        mean = self.mean_input
        return (
            self._square / self.count - torch.outer(mean, mean),
            self._cross / self.count - torch.outer(self.mean_target, mean),
        )


def refit_weights(weight: torch.Tensor, moments: Moments) -> tuple[torch.Tensor, torch.Tensor]:
    """Move weights towards the least-squares solution: ridge regression around where they are.

    Args:
        weight: float64 [out, in].
        moments: of inputs and targets.

    Returns:
        New weights (the old ones where samples are too few), and the upper triangular R for which R @ R.T is the
        inputs' covariance with the ridge.
    """
    covariance, cross = moments.centred()
    inputs = weight.shape[1]
    ridge = _RIDGE * (1.0 + 4.0 * inputs / moments.count) * covariance.diagonal().mean().clamp_min(1e-12)
    residual = cross - weight @ covariance
    # Cholesky's factor of the mirrored matrix, mirrored, is upper triangular.
    factor = _factor(covariance.flip(0, 1), ridge).flip(0, 1)
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


class ChannelMoments:
    """First and second moments of each channel's outputs with its targets.

    Around the means of the first samples, so that float32 holds them, and summed in float64.
    """

    def __init__(self) -> None:
        self._count = 0
        self._around: tuple[torch.Tensor, torch.Tensor] | None = None
        self._sums = torch.zeros(4, 1, dtype=torch.float64)
        """Of y, t, y * y and y * t, [4, C]."""

    def add(self, y: torch.Tensor, t: torch.Tensor) -> None:
        """Add samples: outputs and targets, [C, n] each."""
        if self._around is None:
            self._around = y.mean(dim=1), t.mean(dim=1)
        y, t = (values - centre[:, None] for values, centre in zip((y, t), self._around, strict=True))
        self._count += y.shape[1]
        self._sums = self._sums + torch.stack([y.sum(dim=1), t.sum(dim=1), (y * y).sum(dim=1), (y * t).sum(dim=1)])

    @property
    def means(self) -> tuple[torch.Tensor, torch.Tensor]:
        """Of outputs and targets, float64 [C] each."""
        assert self._around is not None
        y, t, _, _ = self._sums / self._count
        return self._around[0] + y, self._around[1] + t

    def gain(self) -> torch.Tensor:
        """The factor for each channel that brings outputs closest to their targets but for a constant, [C]."""
        y, t, square, joint = self._sums / self._count
        variance, covariance = square - y * y, joint - y * t
        return torch.where(variance > 1e-12, covariance / variance.clamp_min(1e-12), 1.0).clamp(*_GAIN_LIMITS)


def sampled(x: torch.Tensor) -> torch.Tensor:
    """[N, C, ...] -> float32 [C, samples], evenly thinned to at most `_POSITIONS` positions an image."""
    flat = x.flatten(2) if x.dim() > 2 else x[:, :, None]
    step = max(1, flat.shape[2] // _POSITIONS)
    # In the order of memory where channels lie last.
    return flat[:, :, ::step].permute(0, 2, 1).reshape(-1, x.shape[1]).to(torch.float32).T
