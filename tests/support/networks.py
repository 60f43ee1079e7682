"""Networks and images for tests that compare outputs: with statistics as training leaves them."""

from __future__ import annotations

import torch
from torch import nn
from torch.nn import functional as F


def norms_as_trained(head: nn.Module) -> None:
    """Give the norms of a head scales, shifts and statistics as training leaves them, of torch's generator."""
    for module in head.modules():
        if isinstance(module, (nn.BatchNorm1d, nn.LayerNorm)):
            nn.init.uniform_(module.weight, 0.5, 1.5)
            nn.init.normal_(module.bias, std=0.3)
        if isinstance(module, nn.BatchNorm1d):
            nn.init.normal_(module.running_mean, std=0.3)
            nn.init.uniform_(module.running_var, 0.5, 2)


def trained_looking(model: nn.Module, *, seed: int = 0, image_size: int = 160) -> nn.Module:
    """Give `model` (ours or a peer's) the BatchNorm statistics and biases of a trained network, in eval mode.

    New networks have mean 0, variance 1, scale 1 and shift 0: a folding that forgets one of them would go
    unseen, and so would a wrong eps. Scale and shift are drawn; the statistics are measured on images,
    layer after layer, each moved at random before the next is measured: values stay finite at any depth.
    """
    generator = torch.Generator().manual_seed(seed)
    hooks = []
    with torch.no_grad():
        for module in model.modules():
            if isinstance(module, nn.BatchNorm2d):
                module.weight.uniform_(0.5, 1.5, generator=generator)
                module.bias.normal_(0, 0.3, generator=generator)
                hooks.append(module.register_forward_pre_hook(_Measure(generator)))
            elif isinstance(module, nn.Linear):
                module.weight.normal_(0, 3 / module.in_features**0.5, generator=generator)
                module.bias.normal_(0, 0.3, generator=generator)
            elif isinstance(module, nn.Conv2d) and module.bias is not None:  # squeeze-excite
                # Small enough that gates stay away from 0 and 1: one that is shut here and open on the next
                # image would multiply what the following statistics were measured on.
                module.weight.normal_(0, 0.5 / module.in_channels**0.5, generator=generator)
                module.bias.normal_(0, 0.5, generator=generator)
        channels = next(module for module in model.modules() if isinstance(module, nn.Conv2d)).in_channels
        model.eval()(images(4, image_size, seed=seed, channels=channels))
    for hook in hooks:
        hook.remove()
    return model


class _Measure:
    """Before a BatchNorm runs, set its statistics to those of its input, moved at random."""

    def __init__(self, generator: torch.Generator) -> None:
        self.generator = generator

    def __call__(self, norm: nn.BatchNorm2d, inputs: tuple[torch.Tensor]) -> None:
        variance, mean = torch.var_mean(inputs[0], dim=(0, 2, 3))
        # A channel that is quiet on these few images would be amplified without end on others.
        variance = variance.clamp(min=0.1 * variance.mean().item())
        shift = torch.randn(norm.num_features, generator=self.generator)
        norm.running_mean.copy_(mean + 0.2 * shift * variance.sqrt())
        norm.running_var.copy_(variance * torch.empty_like(shift).uniform_(0.7, 1.4, generator=self.generator))


def images(count: int, size: int, *, seed: int = 0, channels: int = 3) -> torch.Tensor:
    """Normalised images that differ from each other: smooth areas 16 pixels wide, some grain."""
    generator = torch.Generator().manual_seed(seed)
    cells = size // 16 + 1
    coarse = torch.randn(count, channels, cells, cells, generator=generator)
    contrast = torch.linspace(0.5, 2.0, count).view(count, 1, 1, 1)
    grain = torch.randn(count, channels, size, size, generator=generator)
    return F.interpolate(coarse, size=(size, size), mode="bilinear") * contrast + 0.2 * grain


def assert_same_outputs(ours: torch.Tensor, theirs: torch.Tensor, *, rtol: float = 1e-4) -> None:
    """Equal within rounding, on outputs that depend on the images: equal constants would prove nothing."""
    assert torch.isfinite(theirs).all()
    scale = theirs.abs().max().item()
    assert theirs.std(dim=0).mean() > 0.02 * scale, "the reference hardly depends on its input"
    torch.testing.assert_close(ours, theirs, rtol=rtol, atol=0.1 * rtol * scale)
