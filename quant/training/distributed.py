"""Several processes as one: started by torchrun, or alone."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, TypeVar

import torch
import torch.distributed as dist
from torch import nn

from edge_effnet.errors import InputError, MachineError
from edge_effnet.io.text import brief
from quant.common.rank import environment_number, is_alone, require_torchrun
from quant.metrics.share import Share

ValueT = TypeVar("ValueT")


@dataclass(frozen=True, kw_only=True, slots=True)
class Group:
    """One process among those of the run."""

    rank: int
    world: int
    device: torch.device

    @property
    def leads(self) -> bool:
        """Whether this process validates and writes files."""
        return self.rank == 0

    @property
    def share(self) -> Share:
        """Its part of an evaluation."""
        return Share(rank=self.rank, world=self.world)


LONE = Group(rank=0, world=1, device=torch.device("cpu"))
"""A process that nobody helps."""


@contextmanager
def joined_group() -> Iterator[Group]:
    """Join the processes that torchrun started: nccl with a GPU each, gloo on CPUs; alone without it.

    Raises:
        InputError: an environment that torchrun did not make.
        MachineError: the processes do not find each other.
    """
    alone = is_alone()
    if not alone:
        require_torchrun()
    cuda = torch.cuda.is_available()
    local_rank = environment_number("LOCAL_RANK", default=0, least=0)
    device = torch.device("cuda", local_rank) if cuda else torch.device("cpu")
    if cuda:
        torch.cuda.set_device(device)
    if alone:
        yield Group(rank=0, world=1, device=device)
        return
    try:
        dist.init_process_group("cpu:gloo,cuda:nccl" if cuda else "gloo")
    except (RuntimeError, ValueError, OSError) as error:  # a bad port, no such host, nobody there
        raise MachineError(
            f"the processes of this run do not find each other at MASTER_ADDR {os.environ['MASTER_ADDR']}, "
            f"MASTER_PORT {os.environ['MASTER_PORT']} ({brief(error)}); start them with torchrun."
        ) from error
    try:
        yield Group(rank=dist.get_rank(), world=dist.get_world_size(), device=device)
    finally:
        dist.destroy_process_group()


def check_batch(batch_size: int, group: Group) -> None:
    """Make sure that every process gets an equal part, so that averaged gradients are the batch's.

    Raises:
        InputError: the batch does not divide.
    """
    if batch_size % group.world:
        raise InputError(
            f"--batch-size {batch_size} does not divide over {group.world} processes; choose a multiple."
        )


def wait_for_leader(group: Group) -> None:
    """Hold the others until the first process gets here."""
    if group.world > 1:
        dist.barrier()


def from_leader(value: ValueT | None, group: Group) -> ValueT:
    """Return the first process's value on all of them, whatever the others pass."""
    if group.world > 1:
        shared = [value]
        dist.broadcast_object_list(shared, src=0, device=group.device)
        value = shared[0]
    assert value is not None
    return value


@contextmanager
def in_turn(group: Group) -> Iterator[None]:
    """Run the block on the first process, then on the others: they find the files that it wrote."""
    if not group.leads:
        wait_for_leader(group)
    yield
    if group.leads:
        wait_for_leader(group)


class _SumOverProcesses(torch.autograd.Function):
    """Sum a tensor over the processes; the gradient of a sum is the sum of the gradients."""

    @staticmethod
    def forward(ctx: Any, x: torch.Tensor) -> torch.Tensor:  # noqa: ARG004
        total = x.clone()
        dist.all_reduce(total)
        return total

    @staticmethod
    def backward(ctx: Any, *gradients: torch.Tensor) -> torch.Tensor:
        return _SumOverProcesses.forward(ctx, gradients[0])


class GlobalBatchNorm(nn.BatchNorm2d):
    """BatchNorm whose batch is that of all processes; torch's SyncBatchNorm does it on GPUs only."""

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """x: [N, C, H, W] -> the same, normalised by the mean and variance over every process's N, H, W."""
        if not self.training:
            return super().forward(x)
        assert self.running_mean is not None and self.running_var is not None and self.num_batches_tracked is not None
        assert self.momentum is not None
        count = x.numel() // x.shape[1] * dist.get_world_size()
        mean = _SumOverProcesses.apply(x.sum((0, 2, 3))) / count
        centred = x - mean.view(1, -1, 1, 1)
        variance = _SumOverProcesses.apply(centred.square().sum((0, 2, 3))) / count
        with torch.no_grad():
            self.running_mean.lerp_(mean, self.momentum)
            self.running_var.lerp_(variance * (count / (count - 1)), self.momentum)
            self.num_batches_tracked += 1
        scale = self.weight * torch.rsqrt(variance + self.eps)
        y: torch.Tensor = centred * scale.view(1, -1, 1, 1) + self.bias.view(1, -1, 1, 1)
        return y


def share_statistics(model: nn.Module, group: Group) -> None:
    """Make BatchNorm layers in place see the global batch, so that N processes compute what one would."""
    if group.world == 1:
        return
    kind = nn.SyncBatchNorm if group.device.type == "cuda" else GlobalBatchNorm
    for module in model.modules():
        if isinstance(module, nn.BatchNorm2d):
            # In place: the optimiser's parameters and the names in a state dict stay what they are.
            module.__class__ = kind  # type: ignore[assignment]
