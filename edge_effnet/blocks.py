"""The blocks of EfficientNet: convolution + BatchNorm + activation, squeeze-excite, DropConnect, MBConv and kin."""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial
from typing import ClassVar

import torch
from torch import nn

from edge_effnet.activations import make_activation
from edge_effnet.errors import InputError
from edge_effnet.padding import make_padding
from edge_effnet.stages import BlockSpec


@dataclass(frozen=True, kw_only=True, slots=True)
class LayerSettings:
    """What all layers of one network share."""

    activation: str
    """A key of `edge_effnet.activations.ACTIVATIONS`."""
    padding: str
    """One of `edge_effnet.padding.PADDINGS`."""
    bn_eps: float
    """Added to BatchNorm's variance."""
    bn_momentum: float
    """Weight of the newest batch in BatchNorm's running statistics (PyTorch's convention)."""


class ConvBNAct(nn.Module):
    """Padding, convolution, BatchNorm, activation; any but the convolution may be an Identity."""

    def __init__(
        self,
        in_channels: int,
        out_channels: int,
        *,
        settings: LayerSettings,
        input_size: int,
        kernel: int = 1,
        stride: int = 1,
        groups: int = 1,
        activated: bool = True,
    ) -> None:
        super().__init__()
        self.pad, padding = make_padding(settings.padding, kernel=kernel, stride=stride, size=input_size)
        self.conv = nn.Conv2d(
            in_channels, out_channels, kernel, stride=stride, padding=padding, groups=groups, bias=False
        )
        self.norm: nn.Module = nn.BatchNorm2d(out_channels, eps=settings.bn_eps, momentum=settings.bn_momentum)
        self.activation = make_activation(settings.activation) if activated else nn.Identity()

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """x: [N, C_in, H, W] -> [N, C_out, ceil(H / stride), ceil(W / stride)]."""
        y: torch.Tensor = self.activation(self.norm(self.conv(self.pad(x))))
        return y


class SqueezeExcite(nn.Module):
    """Scale each channel by a gate in 0..1 computed from all channels' means (Hu et al., 2018)."""

    def __init__(self, channels: int, squeezed_channels: int, *, activation: str) -> None:
        super().__init__()
        self.reduce = nn.Conv2d(channels, squeezed_channels, 1)
        self.activation = make_activation(activation)
        self.expand = nn.Conv2d(squeezed_channels, channels, 1)
        self.gate = nn.Sigmoid()

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """x: [N, C, H, W] -> [N, C, H, W]."""
        # A mean, not adaptive pooling: the backends lower it into the same delegate as the convolutions.
        squeezed = x.mean((2, 3), keepdim=True)
        gate: torch.Tensor = self.gate(self.expand(self.activation(self.reduce(squeezed))))
        return x * gate


class DropConnect(nn.Module):
    """In training, drop whole samples of a residual branch and scale up the rest (Huang et al., 2016)."""

    def __init__(self, rate: float) -> None:
        """Keep each sample with probability 1 - `rate`.

        Raises:
            InputError: `rate` outside [0, 1).
        """
        super().__init__()
        if not 0 <= rate < 1:
            raise InputError(f"drop_connect_rate {rate}: need a number from 0 to below 1.")
        self.rate = rate

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """x: [N, C, H, W] -> [N, C, H, W]; outside training, x itself."""
        if not self.training or self.rate == 0:
            return x
        keep = 1 - self.rate
        return x * x.new_empty((x.shape[0], 1, 1, 1)).bernoulli_(keep).div_(keep)

    def extra_repr(self) -> str:
        """Arguments, as `print(model)` shows them."""
        return f"rate={self.rate:.4f}"


class Block(nn.Module):
    """What stages are made of: layers in a row, and the block's input added to their output where shapes allow."""

    layers: ClassVar[tuple[str, ...]]
    """Names of its layers, from input to output."""

    def __init__(self, spec: BlockSpec, drop_connect: float) -> None:
        super().__init__()
        self.drop_connect = DropConnect(drop_connect)
        self.has_skip = spec.has_skip

    @property
    def last_layer(self) -> ConvBNAct:
        """The layer that gives the branch's output."""
        last: ConvBNAct = getattr(self, self.layers[-1])
        return last

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """x: [N, C_in, H, W] -> [N, C_out, ceil(H / stride), ceil(W / stride)]."""
        y = x
        for name in self.layers:
            y = getattr(self, name)(y)
        return self.drop_connect(y) + x if self.has_skip else y


class MBConv(Block):
    """Mobile inverted bottleneck: expand, filter each channel, squeeze-excite, project; skip if shapes allow.

    Sandler et al., "MobileNetV2" (2018), with squeeze-excite as in Tan et al., "MnasNet" (2019).
    """

    layers = ("expand", "depthwise", "squeeze_excite", "project")

    def __init__(self, spec: BlockSpec, *, drop_connect: float, settings: LayerSettings, input_size: int) -> None:
        super().__init__(spec, drop_connect)
        layer = partial(ConvBNAct, settings=settings, input_size=input_size)
        inner, squeezed = spec.inner_channels, spec.squeezed_channels
        self.expand: nn.Module = layer(spec.in_channels, inner) if spec.expands else nn.Identity()
        self.depthwise = layer(inner, inner, kernel=spec.kernel, stride=spec.stride, groups=inner)
        self.squeeze_excite: nn.Module = (
            SqueezeExcite(inner, squeezed, activation=settings.activation) if squeezed else nn.Identity()
        )
        # A kernel of one pixel has no padding, whatever the input's size.
        self.project = layer(inner, spec.out_channels, activated=False)


class FusedMBConv(Block):
    """MBConv whose expansion and depthwise convolution are one spatial convolution; no squeeze-excite.

    Gupta and Akin, "Accelerator-aware Neural Network Design using AutoML" (2020), there the edge residual block.
    """

    layers = ("expand", "project")

    def __init__(self, spec: BlockSpec, *, drop_connect: float, settings: LayerSettings, input_size: int) -> None:
        super().__init__(spec, drop_connect)
        layer = partial(ConvBNAct, settings=settings, input_size=input_size)
        self.expand = layer(spec.in_channels, spec.inner_channels, kernel=spec.kernel, stride=spec.stride)
        self.project = layer(spec.inner_channels, spec.out_channels, activated=False)


class ConvBlock(Block):
    """A spatial convolution with its activation: V2's first blocks."""

    layers = ("filter",)

    def __init__(self, spec: BlockSpec, *, drop_connect: float, settings: LayerSettings, input_size: int) -> None:
        super().__init__(spec, drop_connect)
        layer = partial(ConvBNAct, settings=settings, input_size=input_size)
        self.filter = layer(spec.in_channels, spec.out_channels, kernel=spec.kernel, stride=spec.stride)


BLOCKS: dict[str, type[MBConv | FusedMBConv | ConvBlock]] = {
    "mbconv": MBConv,
    "fused": FusedMBConv,
    "conv": ConvBlock,
}
"""By the kinds of `edge_effnet.stages.BLOCK_KINDS`."""
