"""A squeeze-excite gate [N, 1, 1, C] as wide as the image that it is multiplied with: the same numbers, fewer calls.

XNNPACK's product calls its kernel for every stretch in which both tensors lie one after the other. With a gate of one
pixel that is each pixel of the image: B0 makes 21,791 calls, most of them for 32 to 144 numbers, and a call costs as
much as the product of some twenty. With the gate once for each pixel of a row it is a call a row.
"""

from __future__ import annotations

from quant.graph.qdq import TensorScale
from quant.lower.xnnpack.delegate import MOST_PARTS, DelegateBuilder, concatenate

LEAST_CALLS = 400
"""Calls to be saved: those of 14 x 14 pixels are no more than what repeating takes."""


def widened(
    builder: DelegateBuilder, gate: int, shape: tuple[int, ...], image: tuple[int, ...], scale: TensorScale | None
) -> int:
    """Repeat a gate along the width of an image, where that saves calls.

    Args:
        builder: of the delegate.
        gate: id of the tensor.
        shape: of it, [N, H, W, C].
        image: of what it is multiplied with, likewise.
        scale: of the gate; None in float.

    Returns:
        Id of what to multiply with instead, [N, 1, W, C], or the gate's.
    """
    batch, height, width, channels = image if len(image) == 4 else (0, 0, 0, 0)
    if shape != (batch, 1, 1, channels) or batch * height * (width - 1) < LEAST_CALLS:
        return gate
    return _repeated(builder, gate, shape, width, scale)


def _repeated(
    builder: DelegateBuilder, gate: int, shape: tuple[int, ...], times: int, scale: TensorScale | None
) -> int:
    """Copies of copies: `parts` of them, each of `times // parts`, and what is left one by one."""
    if times == 1:
        return gate
    parts = next(k for k in range(min(times, MOST_PARTS), 1, -1) if k + times % k <= MOST_PARTS)
    part = _repeated(builder, gate, shape, times // parts, scale)
    copies = [*[part] * parts, *[gate] * (times % parts)]
    return concatenate(builder, copies, (shape[0], 1, times, shape[3]), 2, scale)
