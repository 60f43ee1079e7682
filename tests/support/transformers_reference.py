"""transformers' EfficientNetForImageClassification, rebuilt: the same names of tensors, the same forward pass.

Derived from transformers 5.24.0, `models/efficientnet/modeling_efficientnet.py`, whose published configs differ from
variant to variant only in width, depth, image size and `depthwise_padding`. What matters: fixed zero padding before
convolutions of stride 2 (`correct_pad`), eps 1e-3 in every BatchNorm, swish, the first block of each stage without a
shortcut, and the mean over all pixels. Compared once with the package itself: equal logits for B0, B1 and B2.
"""

from __future__ import annotations

import math

import torch
from torch import nn
from torch.nn import functional as F

EPS = 1e-3
KERNELS, STRIDES, EXPANSIONS = (3, 3, 5, 3, 5, 5, 3), (1, 2, 2, 2, 1, 2, 1), (1, 6, 6, 6, 6, 6, 6)
INPUTS, OUTPUTS, REPEATS = (32, 16, 24, 40, 80, 112, 192), (16, 24, 40, 80, 112, 192, 320), (1, 2, 2, 3, 3, 4, 1)


def scaled(channels: int, width: float) -> int:
    wanted = channels * width
    made = max(8, int(wanted + 4) // 8 * 8)
    return int(made + 8 if made < 0.9 * wanted else made)


class Block(nn.Module):
    """`EfficientNetBlock`: its layers' modules are written out as attributes here."""

    def __init__(
        self, inputs: int, outputs: int, *, kernel: int, stride: int, expansion: int, first: bool, odd: bool
    ) -> None:
        super().__init__()
        inner, squeezed = inputs * expansion, max(1, inputs // 4)
        if expansion != 1:
            self.expansion = nn.Module()
            self.expansion.expand_conv = nn.Conv2d(inputs, inner, 1, bias=False)
            self.expansion.expand_bn = nn.BatchNorm2d(inner, eps=EPS)
        self.depthwise_conv = nn.Module()
        self.depthwise_conv.depthwise_conv = nn.Conv2d(
            inner, inner, kernel, stride=stride, padding=0 if stride == 2 else kernel // 2, groups=inner, bias=False
        )
        self.depthwise_conv.depthwise_norm = nn.BatchNorm2d(inner, eps=EPS)
        self.squeeze_excite = nn.Module()
        self.squeeze_excite.reduce = nn.Conv2d(inner, squeezed, 1)
        self.squeeze_excite.expand = nn.Conv2d(squeezed, inner, 1)
        self.projection = nn.Module()
        self.projection.project_conv = nn.Conv2d(inner, outputs, 1, bias=False)
        self.projection.project_bn = nn.BatchNorm2d(outputs, eps=EPS)
        self.stride, self.shortcut = stride, stride == 1 and not first
        before = kernel // 2 if odd else kernel // 2 - 1
        self.pad = (before, kernel // 2, before, kernel // 2)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        inputs = x
        if hasattr(self, "expansion"):
            x = F.silu(self.expansion.expand_bn(self.expansion.expand_conv(x)))
        if self.stride == 2:
            x = F.pad(x, self.pad)
        x = F.silu(self.depthwise_conv.depthwise_norm(self.depthwise_conv.depthwise_conv(x)))
        gate = F.silu(self.squeeze_excite.reduce(F.adaptive_avg_pool2d(x, 1)))
        x = x * torch.sigmoid(self.squeeze_excite.expand(gate))
        x = self.projection.project_bn(self.projection.project_conv(x))
        return x + inputs if self.shortcut else x


class EfficientNetForImageClassification(nn.Module):
    """x: [N, 3, H, W] -> logits [N, labels]."""

    def __init__(self, *, width: float, depth: float, depthwise_padding: tuple[int, ...], labels: int) -> None:
        super().__init__()
        self.efficientnet = nn.Module()
        self.efficientnet.embeddings = nn.Module()
        stem, last, head = (scaled(channels, width) for channels in (32, 320, 1280))
        self.efficientnet.embeddings.convolution = nn.Conv2d(3, stem, 3, stride=2, bias=False)
        self.efficientnet.embeddings.batchnorm = nn.BatchNorm2d(stem, eps=EPS)
        self.efficientnet.encoder = nn.Module()
        blocks = nn.ModuleList()
        for index, repeats in enumerate(REPEATS):
            inputs, outputs = scaled(INPUTS[index], width), scaled(OUTPUTS[index], width)
            for repeat in range(math.ceil(repeats * depth)):
                blocks.append(
                    Block(
                        outputs if repeat else inputs,
                        outputs,
                        kernel=KERNELS[index],
                        stride=1 if repeat else STRIDES[index],
                        expansion=EXPANSIONS[index],
                        first=repeat == 0,
                        odd=len(blocks) in depthwise_padding,
                    )
                )
        self.efficientnet.encoder.blocks = blocks
        self.efficientnet.encoder.top_conv = nn.Conv2d(last, head, 1, bias=False)
        self.efficientnet.encoder.top_bn = nn.BatchNorm2d(head, eps=EPS)
        self.classifier = nn.Linear(head, labels)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        base = self.efficientnet
        x = F.silu(base.embeddings.batchnorm(base.embeddings.convolution(F.pad(x, (0, 1, 0, 1)))))
        for block in base.encoder.blocks:
            x = block(x)
        x = F.silu(base.encoder.top_bn(base.encoder.top_conv(x)))
        return self.classifier(x.mean((2, 3)))
