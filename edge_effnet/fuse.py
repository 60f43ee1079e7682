"""Exact rewrites before quantization: BatchNorm folded into convolutions, SAME padding made part of them.

Each returns a rewritten copy in eval mode; outputs equal the original's up to float32 rounding.
"""

from __future__ import annotations

import copy
from collections.abc import Iterator

from torch import nn
from torch.nn import functional as F
from torch.nn.utils.fusion import fuse_conv_bn_eval

from edge_effnet.blocks import ConvBNAct
from edge_effnet.errors import InputError
from edge_effnet.head import folded_head
from edge_effnet.model import EfficientNet
from edge_effnet.padding import same_padding as same_padding_of
from edge_effnet.weights.origins import rescaled

DEFAULT_SAME_PADDING = "pad"
"""How asymmetric SAME padding is folded by default: a key of `SAME_PADDING_FOLDS`.

XNNPACK's convolutions pad each side on their own, and our lowering hands a pad in front of them over: B0 at 224
takes 6.9 ms so and 10.9 ms with the larger kernels (int8, one x86 thread, `benchmarks/same_padding.py`)."""


def fold_for_inference(
    model: EfficientNet, image_size: int | None = None, *, same_padding: str = DEFAULT_SAME_PADDING
) -> EfficientNet:
    """Fold BatchNorm, then SAME padding: the network that quantization and export start from.

    Args:
        model: the network; left as it is.
        image_size: side of the images that it will see, pixels; the model's own by default.
        same_padding: a key of `SAME_PADDING_FOLDS`.

    Raises:
        InputError: unknown fold, an image size below 1, or a model folded before for another size.
    """
    return fold_same_padding(fold_batchnorm(model), image_size, same_padding=same_padding)


def fold_batchnorm(model: EfficientNet) -> EfficientNet:
    """Multiply each BatchNorm's scale into its convolution's or Linear's weight, its shift into a bias."""
    folded = copy.deepcopy(model).eval()
    for layer in _conv_layers(folded):
        if isinstance(layer.norm, nn.BatchNorm2d):
            layer.conv = fuse_conv_bn_eval(layer.conv, layer.norm)
            layer.norm = nn.Identity()
    if folded.classifier is not None:
        folded.classifier = folded_head(folded.classifier)
    return folded


def fold_same_padding(
    model: EfficientNet, image_size: int | None = None, *, same_padding: str = DEFAULT_SAME_PADDING
) -> EfficientNet:
    """Make SAME padding constant for one image size; the result refuses other sizes.

    Even totals become the convolution's own symmetric padding. Odd ones, which stride-2 convolutions have at
    even sizes, are folded as `same_padding` says. A model with symmetric padding is copied with its image
    size set.

    Raises:
        InputError: as `fold_for_inference`.
    """
    fold = SAME_PADDING_FOLDS.get(same_padding)
    if fold is None:
        raise InputError(f"unknown same_padding {same_padding!r}; choose one of {', '.join(SAME_PADDING_FOLDS)}.")
    size = model.image_size if image_size is None else image_size
    if size < 1:
        raise InputError(f"image_size {size}: need at least 1 pixel.")
    folded = copy.deepcopy(model).eval()
    if any(layer.conv.kernel_size[0] % 2 == 0 for layer in _conv_layers(folded)):
        if size != model.image_size:
            raise InputError(
                f"SAME padding is already folded for {model.image_size} pixels; fold the original model for {size}."
            )
        return folded
    folded.image_size = size
    if folded.preprocess is not None:
        folded.preprocess = rescaled(folded.preprocess, size)
    if folded.padding == "symmetric":
        return folded
    for layer in _conv_layers(folded):
        (kernel, _), (stride, _) = layer.conv.kernel_size, layer.conv.stride
        before, after = same_padding_of(size, kernel, stride)
        if before == after:
            layer.pad, layer.conv.padding = nn.Identity(), (before, before)
        else:
            fold(layer, before, after)
        size = -(-size // stride)
    folded.padding = "same-static"
    return folded


def _fold_into_kernel(layer: ConvBNAct, before: int, after: int) -> None:
    """Grow the kernel by a zero first row and column: padded by `after`, it reads the same pixels."""
    assert after == before + 1
    conv = layer.conv
    conv.weight = nn.Parameter(F.pad(conv.weight.detach(), (1, 0, 1, 0)), requires_grad=conv.weight.requires_grad)
    conv.kernel_size = tuple(conv.weight.shape[2:])
    layer.pad, conv.padding = nn.Identity(), (after, after)


def _fold_into_pad(layer: ConvBNAct, before: int, after: int) -> None:
    layer.pad, layer.conv.padding = nn.ZeroPad2d((before, after, before, after)), (0, 0)


SAME_PADDING_FOLDS = {"kernel": _fold_into_kernel, "pad": _fold_into_pad}


def _conv_layers(model: EfficientNet) -> Iterator[ConvBNAct]:
    """Yield the layers in the order in which an image passes them."""
    return (module for module in model.modules() if isinstance(module, ConvBNAct))
