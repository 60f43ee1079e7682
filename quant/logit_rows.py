"""One model's logits, batch after batch, in one block."""

from __future__ import annotations

import torch


class LogitRows:
    """Grows by batches up to a number of photographs that is known from the start.

    One block for all: small ones, made between those of the batches, keep the batches' memory from being used again.
    """

    def __init__(self, photographs: int) -> None:
        """Take no memory yet: the number of classes comes with the first batch."""
        self._photographs = photographs
        self._done = 0
        self._rows = torch.empty(0)

    def add(self, found: torch.Tensor) -> None:
        """Append the logits of a batch, [n, classes]."""
        if self._done == 0:
            self._rows = torch.empty(self._photographs, *found.shape[1:])
        self._rows[self._done : self._done + len(found)] = found
        self._done += len(found)

    def whole(self) -> torch.Tensor:
        """Everything added, float32 [photographs, classes]."""
        assert self._done == self._photographs
        return self._rows
