"""What a training step changes weights with: optimiser, schedule, averages, number formats."""

from __future__ import annotations

import copy
import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import torch
from torch import nn

from edge_effnet.errors import InputError
from quant.training.config import Stage


def parameter_groups(model: nn.Module, weight_decay: float) -> list[dict[str, object]]:
    """Split what trains into decayed weights and everything of one dimension: BatchNorm and biases.

    Decaying a BatchNorm scale only rescales its channel; decaying a bias shifts it to no use.
    """
    trained = [p for p in model.parameters() if p.requires_grad]
    return [
        {"params": [p for p in trained if p.ndim > 1], "weight_decay": weight_decay},
        {"params": [p for p in trained if p.ndim <= 1], "weight_decay": 0.0},
    ]


def make_optimizer(name: str, groups: list[dict[str, object]], *, lr: float) -> torch.optim.Optimizer:
    """`adamw`, or `rmsprop` with the TensorFlow reference's smoothing, momentum and eps."""
    if name == "adamw":
        return torch.optim.AdamW(groups, lr=lr, fused=True)
    # fused AdamW has no counterpart here; foreach keeps the Python overhead away.
    return torch.optim.RMSprop(groups, lr=lr, alpha=0.9, momentum=0.9, eps=1e-3, foreach=True)


def set_learning_rate(optimizer: torch.optim.Optimizer, lr: float, factors: Sequence[float]) -> None:
    """Use `lr`, times each group's factor, from the next step on."""
    for group, factor in zip(optimizer.param_groups, factors, strict=True):
        group["lr"] = lr * factor


def choose_precision(name: str, device: torch.device) -> torch.dtype:
    """Number format of a forward pass and its loss; weights and optimiser stay fp32.

    `auto` takes bf16 on a GPU that has it, else fp16; bf16 on a CPU with AMX, else fp32.

    AVX512-BF16 alone does not pay for this network (its time goes into depthwise convolutions and BatchNorm):
    B0 at 96 px measured 54 images/s in fp32 against 35 in bf16 (EPYC, one core). `bf16` asks for it.

    Raises:
        InputError: fp16 on a CPU.
    """
    if name == "fp16" and device.type == "cpu":
        raise InputError("--precision fp16 needs a GPU; use bf16 or fp32 on a CPU.")
    if name == "auto":
        if device.type == "cuda":
            name = "bf16" if torch.cuda.is_bf16_supported() else "fp16"
        else:
            name = "bf16" if torch.cpu._is_amx_tile_supported() else "fp32"
    return {"fp32": torch.float32, "bf16": torch.bfloat16, "fp16": torch.float16}[name]


FLOOR = 0.01
"""The last learning rate, as a fraction of the peak."""


def learning_rate(progress: float, *, peak: float, warmup: float) -> float:
    """Linear warm-up, then half a cosine from `peak` down to `FLOOR * peak`.

    Args:
        progress: of the run, 0..1.
        peak: the highest learning rate.
        warmup: share of the run that warms up.
    """
    if progress < warmup:
        return peak * max(progress / warmup, FLOOR)
    decayed = (progress - warmup) / (1 - warmup)
    return peak * (FLOOR + (1 - FLOOR) * 0.5 * (1 + math.cos(math.pi * min(1.0, decayed))))


@dataclass(frozen=True, kw_only=True, slots=True)
class Epoch:
    """One pass over the training images."""

    number: int
    """From 0, over all stages."""
    image_size: int
    """Side of the crops, pixels."""
    first_step: int
    steps: int


def plan_epochs(stages: tuple[Stage, ...], *, images: int, batch_size: int, max_steps: int | None) -> list[Epoch]:
    """Lay out the steps; the images that fill no batch are left out of an epoch, others in each.

    With `max_steps`, what lies beyond it is cut, or the last stage continues until it is reached.

    Raises:
        InputError: fewer images than one batch.
    """
    per_epoch = images // batch_size
    if per_epoch == 0:
        raise InputError(f"{images} training images fill no batch of {batch_size}; lower --batch-size.")
    lengths = [max(1, round(stage.epochs * per_epoch)) for stage in stages]
    if max_steps is not None:
        lengths[-1] = max(lengths[-1], max_steps - sum(lengths[:-1]))
    total = sum(lengths) if max_steps is None else max_steps
    epochs: list[Epoch] = []
    first = 0
    for stage, length in zip(stages, lengths, strict=True):
        end = min(first + length, total)
        while first < end:
            steps = min(per_epoch, end - first)
            epochs.append(Epoch(number=len(epochs), image_size=stage.image_size, first_step=first, steps=steps))
            first += steps
    return epochs


def progress_at(epochs: list[Epoch], step: int) -> float:
    """Share of all pixels that were seen before a step, 0..1.

    Pixels, not steps: a short last stage at full resolution is a large part of the work, and needs a learning
    rate that still moves the weights.
    """
    seen = sum(min(max(step - e.first_step, 0), e.steps) * e.image_size**2 for e in epochs)
    return seen / sum(e.steps * e.image_size**2 for e in epochs)


class WeightAverage:
    """A second network that trails the trained one, BatchNorm's statistics included."""

    def __init__(self, model: nn.Module, decay: float) -> None:
        """Start from a copy; `decay` 0 follows the network exactly."""
        self.model = copy.deepcopy(model).eval().requires_grad_(False)
        self.decay = decay

    @torch.no_grad()
    def update(self, model: nn.Module, step: int) -> None:
        """Move towards `model`, after step `step` (from 0).

        Early on the decay is lower, min(decay, (1 + step) / (10 + step)): the first weights mean little.
        """
        decay = min(self.decay, (1 + step) / (10 + step)) if self.decay else 0.0
        ours, theirs = self.model.state_dict(), model.state_dict()
        moving = [name for name, tensor in ours.items() if tensor.is_floating_point()]
        torch._foreach_lerp_([ours[n] for n in moving], [theirs[n] for n in moving], 1 - decay)
        for name in ours.keys() - set(moving):
            ours[name].copy_(theirs[name])


@torch.no_grad()
def recompute_statistics(model: nn.Module, inputs: Iterable[torch.Tensor]) -> None:
    """Replace running means and variances by their averages over `inputs`, for fixed weights.

    Running statistics trail weights that move, mix resolutions and describe augmented crops; averaged
    weights have none of their own. Only BatchNorm is put in training mode: no dropout, no DropConnect.

    Args:
        model: with averaged weights; left in eval mode.
        inputs: batches [n, 3, H, W] as at validation.
    """
    model.eval()
    norms = [m for m in model.modules() if isinstance(m, nn.BatchNorm2d)]
    momenta = [norm.momentum for norm in norms]
    for norm in norms:
        norm.reset_running_stats()
        norm.momentum = None  # a plain average over the batches
        norm.train()
    for x in inputs:
        model(x)
    for norm, momentum in zip(norms, momenta, strict=True):
        norm.momentum = momentum
    model.eval()
