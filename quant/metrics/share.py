"""Which batches of images this process runs among several (torchrun), and how their outputs come together."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
import torch.distributed as dist


@dataclass(frozen=True, kw_only=True, slots=True)
class Share:
    """One process among those that evaluate together: it takes whole batches, so that they are what one would run."""

    rank: int = 0
    world: int = 1

    def starts(self, images: int, batch: int) -> range:
        """Where this process's batches begin, in turn among the processes."""
        return range(self.rank * batch, images, self.world * batch)

    def together(self, rows: torch.Tensor, at: Sequence[int], images: int) -> torch.Tensor:
        """Every process's rows in the order of the images, on all of them.

        Args:
            rows: float32 [n, outputs] of this process; empty where it had no image.
            at: the image of each, among those seen.
            images: that all processes have seen.
        """
        if self.world == 1:
            return rows
        columns = torch.tensor(rows.shape[1] if len(at) else 0)
        dist.all_reduce(columns, op=dist.ReduceOp.MAX)
        whole = torch.zeros(images, int(columns), dtype=torch.int32)
        if len(at):
            whole[torch.tensor(at)] = rows.view(torch.int32)
        # Bits, not numbers: nothing is added to each, and -0.0 stays what it is.
        dist.all_reduce(whole)
        return whole.view(torch.float32)


ALONE = Share()
