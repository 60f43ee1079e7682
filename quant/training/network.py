"""The network that a run trains, its preprocessing, and which of its parts train."""

from __future__ import annotations

from pathlib import Path

import torch
from torch import nn

from edge_effnet.blocks import Block
from edge_effnet.head import linears_of
from edge_effnet.model import EfficientNet
from edge_effnet.preprocess import Preprocess
from edge_effnet.samples import SAMPLE
from edge_effnet.variants import resolve_variant
from edge_effnet.weights.load import load_checkpoint
from edge_effnet.weights.origins import rescaled
from quant.data.calibration_check import require_channels
from quant.data.readers.labelled import require_classes
from quant.training.config import TrainConfig


def make_network(config: TrainConfig, class_names: tuple[str, ...]) -> EfficientNet:
    """Build the network, or load `config.weights`, with preprocessing and class names set.

    Raises:
        InputError: weights of another variant, or whose classes are others than the data's (without
            `fresh_head`), or a network of something other than images.
    """
    torch.manual_seed(config.seed)
    if config.weights is None:
        model = EfficientNet.from_name(
            resolve_variant(config.variant),
            num_classes=len(class_names),
            image_size=config.image_size,
            dropout_rate=config.dropout,
            drop_connect_rate=config.drop_connect,
            padding=config.padding or "symmetric",
        )
        size = config.image_size
        # Drawn pictures are square and drawn at the network's size; images lose a border, as usual.
        model.preprocess = Preprocess(crop=size, resize=size if config.data == SAMPLE else round(size * 8 / 7))
        _start_undecided(model)
        _start_shallow(model)
    else:
        model = _loaded(config, config.weights, class_names)
    model.class_names = class_names
    for module in model.modules():
        if isinstance(module, nn.BatchNorm2d):
            module.momentum = config.bn_momentum
    if config.freeze == "backbone":
        model.requires_grad_(False)
        assert model.classifier is not None
        model.classifier.requires_grad_(True)
    model.to(memory_format=torch.channels_last)  # type: ignore[call-overload]  # in place
    return model


def _loaded(config: TrainConfig, weights: Path, class_names: tuple[str, ...]) -> EfficientNet:
    def load(num_classes: int | None) -> EfficientNet:
        return load_checkpoint(
            weights,
            config.variant,
            num_classes=num_classes,
            image_size=config.image_size,
            dropout_rate=config.dropout,
            drop_connect_rate=config.drop_connect,
            padding=config.padding,
            head=config.head,
        ).model

    model = load(None)
    require_channels(model, weights)
    fits = model.num_classes == len(class_names)
    if fits and not config.fresh_head:
        if model.class_names is not None:
            require_classes(weights, model.class_names, class_names)
        return model
    if not fits:
        model = load(len(class_names))
    _start_undecided(model)
    return model


def _start_undecided(model: EfficientNet) -> None:
    """Give the classifier weights so small that all classes start about equally likely.

    The TensorFlow reference's bound, 1 / sqrt(classes), is meant for 1,000: with 16 classes the first logits
    are so large that unlearning them takes hundreds of steps (a loss of 6.1 instead of 2.8, measured).
    """
    assert model.classifier is not None
    *_, last = linears_of(model.classifier)
    nn.init.normal_(last.weight, std=0.01)
    nn.init.zeros_(last.bias)


def _start_shallow(model: EfficientNet) -> None:
    """Let every residual branch start at zero, so that the network learns as its shortcuts first.

    Goyal et al., "Accurate, Large Minibatch SGD" (2017), section 5.1.
    """
    for block in model.modules():
        if isinstance(block, Block) and block.has_skip:
            norm = block.last_layer.norm
            assert isinstance(norm, nn.BatchNorm2d)
            nn.init.zeros_(norm.weight)


def preprocess_at(model: EfficientNet, image_size: int) -> Preprocess:
    """Return the network's preprocessing scaled to another resolution."""
    assert model.preprocess is not None
    return rescaled(model.preprocess, image_size)


def set_training_mode(model: EfficientNet, freeze: str) -> None:
    """Training mode, except for a frozen backbone: its BatchNorm keeps its statistics, DropConnect rests."""
    model.train()
    if freeze == "backbone":
        model.eval()
        model.dropout.train()
        assert model.classifier is not None
        model.classifier.train()
