"""What a training loop optimises: a network, its loss and how it is judged, by its accuracy on labelled images."""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial
from itertools import islice
from typing import Protocol

import numpy as np
import torch
import torch.nn.functional as F
from torch import nn

from edge_effnet.model import EfficientNet
from edge_effnet.preprocess import Preprocess
from quant.common.progress import Progress
from quant.data.batches import batch_size_for
from quant.data.readers.labelled import Item, LabelledImages
from quant.training.config import TrainConfig
from quant.training.input.loader import iterate, to_input
from quant.training.network import preprocess_at, set_training_mode
from quant.training.optim import parameter_groups


class Task(Protocol):
    """One way to train a network."""

    @property
    def model(self) -> nn.Module:
        """The network that is trained."""

    def preprocess(self, image_size: int) -> Preprocess:
        """Return the network's preprocessing at a resolution."""

    def groups(self, weight_decay: float) -> list[dict[str, object]]:
        """Return the optimiser's parameter groups."""

    def begin_step(self, done: float) -> tuple[float, ...]:
        """Bring the network into its training mode; returns what multiplies each group's learning rate.

        Args:
            done: share of the run that is over, 0..1.
        """

    def loss(self, forward: nn.Module, x: torch.Tensor, labels: torch.Tensor) -> torch.Tensor:
        """Loss of a batch; `forward` is the network, or what spreads it over processes."""

    def validate(self, model: nn.Module, image_size: int, progress: Progress) -> dict[str, float]:
        """Figures of the averaged network for the learning curve."""

    def score(self, figures: dict[str, float]) -> tuple[float, ...] | None:
        """Rank of a row of the curve, by which the best weights are kept; None keeps the last ones."""

    def suspect(self) -> str:
        """Name the part of the network that a divergence shows in, as the end of a sentence; may be empty."""


class Classification:
    """Cross entropy on labelled images."""

    def __init__(self, config: TrainConfig, model: EfficientNet, val: LabelledImages, device: torch.device) -> None:
        """Judge by the top-1 on `val`."""
        self.config, self.model, self.val, self.device = config, model, val, device

    def preprocess(self, image_size: int) -> Preprocess:
        """The network's own, rescaled."""
        return preprocess_at(self.model, image_size)

    def groups(self, weight_decay: float) -> list[dict[str, object]]:
        """Weights, and everything of one dimension."""
        return parameter_groups(self.model, weight_decay)

    def begin_step(self, done: float) -> tuple[float, ...]:  # noqa: ARG002
        """Training mode, but for what is frozen."""
        set_training_mode(self.model, self.config.freeze)
        return 1.0, 1.0

    def loss(self, forward: nn.Module, x: torch.Tensor, labels: torch.Tensor) -> torch.Tensor:
        """Cross entropy with smoothed labels."""
        return F.cross_entropy(forward(x), labels, label_smoothing=self.config.label_smoothing)

    def validate(self, model: nn.Module, image_size: int, progress: Progress) -> dict[str, float]:
        """Top-1 on the validation images."""
        assert isinstance(model, EfficientNet)
        model.eval()
        preprocess, correct = preprocess_at(model, image_size), 0
        with progress.stage(f"Validating at {preprocess.crop} px", len(self.val)) as advance, torch.no_grad():
            for x, labels in plain_batches(
                self.val, preprocess, self.val.items(), device=self.device, workers=self.config.workers
            ):
                correct += int((model(x).argmax(1) == labels).sum())
                advance(len(labels))
        return {"val_top1": round(correct / len(self.val), 5)}

    def score(self, figures: dict[str, float]) -> tuple[float, ...] | None:  # noqa: ARG002
        """The average at the end is what is saved."""
        return None

    def suspect(self) -> str:
        """Nothing to name: activations are not bounded here."""
        return ""


def read_plain(images: LabelledImages, preprocess: Preprocess, item: Item) -> tuple[np.ndarray, int]:
    """One picture as validation sees it, without augmentation: uint8 [crop, crop, 3], and its label."""
    return preprocess.centre(images.image(item), item.name), item.label


def plain_batches(
    images: LabelledImages, preprocess: Preprocess, items: Iterator[Item], *, device: torch.device, workers: int
) -> Iterator[tuple[torch.Tensor, torch.Tensor]]:
    """Yield some of the images as validation sees them: float32 [n, 3, crop, crop], and int64 [n].

    Raises:
        InputError: an image that cannot be read.
    """
    size = batch_size_for(preprocess.crop)
    batches = iter(lambda: list(islice(items, size)), [])
    for batch in iterate(batches, partial(read_plain, images, preprocess), workers=workers):
        yield to_input(batch, preprocess, device)
