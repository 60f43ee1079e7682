"""Random numbers that are the same everywhere: a keyed counter-based generator and exact arithmetic.

`numpy.random.Generator`'s distributions may change between numpy releases (NEP 19) and some of them call
the C library's logarithm; a bit generator's raw stream may not change. So everything here starts from
Philox's raw 64-bit words and uses only operations that IEEE 754 rounds in one way (+, -, *, /, sqrt,
comparisons).
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import TypeVar

import numpy as np
from numpy.typing import NDArray

from edge_effnet.errors import InputError

FloatArray = NDArray[np.float32]
"""Every picture plane of the sample set: float32, [H, W] or [H, W, 3]."""

T = TypeVar("T")

_INDEX_BITS = 40
_STAGE_BITS = 16


def philox_key(*, seed: int, split_id: int, index: int, stage: int) -> int:
    """Pack the four coordinates of a stream into Philox's 128-bit key, without loss.

    The packing is injective, so two different (seed, split, index, stage) are two different Philox keys: that
    is why no two splits can share a stream, whatever the counts.

    Raises:
        InputError: a coordinate does not fit its field.
    """
    fields = (("seed", seed, 64), ("split_id", split_id, 8), ("index", index, _INDEX_BITS))
    for name, value, bits in (*fields, ("stage", stage, _STAGE_BITS)):
        if not 0 <= value < 1 << bits:
            raise InputError(f"{name} {value} is outside 0..2^{bits}-1.")
    low = split_id << (_INDEX_BITS + _STAGE_BITS) | stage << _INDEX_BITS | index
    return seed << 64 | low


class Stream:
    """One independent sequence of random numbers, named by its Philox key."""

    def __init__(self, key: int) -> None:
        self._bits = np.random.Philox(key=key)

    def uniform(self, low: float = 0.0, high: float = 1.0) -> float:
        """One number in [low, high)."""
        word = int(self._bits.random_raw())
        return low + (high - low) * ((word >> 11) * 2.0**-53)

    def within(self, limits: tuple[float, float]) -> float:
        """One number in [limits[0], limits[1])."""
        return self.uniform(*limits)

    def signed(self, magnitude: float) -> float:
        """One number in [-magnitude, magnitude)."""
        return self.uniform(-magnitude, magnitude)

    def bell(self) -> float:
        """One number with mean 0 and standard deviation 1, within +-3.5: a sum of four uniforms."""
        return (sum(self.uniform() for _ in range(4)) - 2.0) * math.sqrt(3.0)

    def integer(self, low: int, high: int) -> int:
        """One integer in low..high, both included."""
        return low + int(self.uniform() * (high - low + 1))

    def chance(self, probability: float) -> bool:
        """Return True with this probability (0..1)."""
        return self.uniform() < probability

    def pick(self, choices: Sequence[T]) -> T:
        """One of the choices, all equally likely."""
        return choices[self.integer(0, len(choices) - 1)]

    def grid(self, *shape: int) -> FloatArray:
        """Independent uniform numbers in [0, 1): float32 of this shape."""
        count = int(np.prod(shape))
        words = np.asarray(self._bits.random_raw(count), dtype=np.uint64)
        # 24 bits: every value is exact in float32 and stays below 1.
        return ((words >> np.uint64(40)).astype(np.float32) * np.float32(2.0**-24)).reshape(shape)

    def noise(self, *shape: int) -> FloatArray:
        """Near-Gaussian numbers, mean 0 and standard deviation 1: float32 of this shape.

        Each is a sum of four bytes (within +-3.5): a thousand times cheaper than careful tails, which the
        8-bit image would not show.
        """
        count = int(np.prod(shape))
        words = np.asarray(self._bits.random_raw((count + 1) // 2), dtype="<u8")
        pairs = (words & np.uint64(0x00FF00FF00FF00FF)) + (words >> np.uint64(8) & np.uint64(0x00FF00FF00FF00FF))
        halves = pairs.view("<u4")[:count]
        total = (halves & np.uint32(0xFFFF)) + (halves >> np.uint32(16))
        # Four independent bytes: mean 510, variance 4 * (256^2 - 1) / 12.
        deviation = np.float32((4 * (256**2 - 1) / 12) ** 0.5)
        return ((total.astype(np.float32) - np.float32(510)) / deviation).reshape(shape)
