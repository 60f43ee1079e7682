"""Damage: of bytes, as disks, networks and attackers do it, and of JSON, as hands and attackers do."""

from __future__ import annotations

import json
import random
from collections.abc import Callable
from typing import Any

_NUMBERS = (0, 1, 0x7F, 0x80, 0xFF, 0x7FFF, 0x8000, 0xFFFF, 0x7FFFFFFF, 0x80000000, 0xFFFFFFFF, 0xFFFFFFFFFFFFFFFF)
"""Where lengths, offsets and signs go wrong."""

_VALUES: tuple[Any, ...] = (
    *(None, True, -1, 0, 1e308, 10**30, 0.5, "", "x", "../../../tmp/escaped", "/etc/passwd", "a" * 5000),
    *("\u0000", "\ud800", "<script>alert(1)</script>", "%s%n{0}", "$(touch escaped)", [], {}, [[]], {"a": {}}),
    *(32.0, 10**400, float("nan"), float("inf"), "x\nPASS", "\u202e", [[[[[[[[]]]]]]]]),
)
"""What stands in JSON where something else should."""


def damaged(data: bytes, rng: random.Random) -> bytes:
    """Return a copy with one to four faults."""
    for _ in range(rng.randint(1, 4)):
        data = rng.choice(_FAULTS)(data, rng)
    return data


def _flip_bits(data: bytes, rng: random.Random) -> bytes:
    found = bytearray(data)
    for _ in range(rng.randint(1, 8) if found else 0):
        found[rng.randrange(len(found))] ^= 1 << rng.randrange(8)
    return bytes(found)


def _near_the_head(data: bytes, rng: random.Random) -> bytes:
    """Headers and tables are small beside the payload, and decide most."""
    found = bytearray(data)
    for _ in range(rng.randint(1, 8) if found else 0):
        found[rng.randrange(min(len(found), 4096))] = rng.randrange(256)
    return bytes(found)


def _set_number(data: bytes, rng: random.Random) -> bytes:
    size = rng.choice((1, 2, 4, 8))
    if len(data) < size:
        return data
    at = rng.randrange(len(data) - size + 1)
    value = rng.choice(_NUMBERS) & ((1 << (8 * size)) - 1)
    return data[:at] + value.to_bytes(size, rng.choice(("little", "big"))) + data[at + size :]


def _cut(data: bytes, rng: random.Random) -> bytes:
    return data[: rng.randrange(len(data) + 1)]


def _remove(data: bytes, rng: random.Random) -> bytes:
    at = rng.randrange(len(data) + 1)
    return data[:at] + data[at + rng.choice((1, 4, 64, 1024)) :]


def _repeat(data: bytes, rng: random.Random) -> bytes:
    at, size = rng.randrange(len(data) + 1), rng.choice((1, 4, 64, 1024))
    return data[:at] + data[at : at + size] * rng.randint(2, 4) + data[at + size :]


def _insert(data: bytes, rng: random.Random) -> bytes:
    at = rng.randrange(len(data) + 1)
    return data[:at] + rng.randbytes(rng.choice((1, 4, 64))) + data[at:]


def _move(data: bytes, rng: random.Random) -> bytes:
    size = rng.choice((4, 8, 64))
    if len(data) < size:
        return data
    here, there = (rng.randrange(len(data) - size + 1) for _ in range(2))
    return data[:there] + data[here : here + size] + data[there + size :]


_FAULTS: tuple[Callable[[bytes, random.Random], bytes], ...] = (
    *(_flip_bits, _flip_bits, _near_the_head, _near_the_head, _near_the_head, _set_number, _set_number),
    *(_cut, _remove, _repeat, _insert, _move),
)


def damaged_json(data: bytes, rng: random.Random) -> bytes:
    """Return a document with one to three of its values, keys or elements changed; now and then damaged as bytes."""
    if rng.random() < 0.2:
        return damaged(data, rng)
    document = json.loads(data)
    for _ in range(rng.randint(1, 3)):
        holder, key = rng.choice(_places(document))
        _change(holder, key, rng)
    return json.dumps(document).encode()


def _places(value: Any) -> list[tuple[Any, Any]]:
    keys = list(value) if isinstance(value, dict) else range(len(value)) if isinstance(value, list) else ()
    found = [(value, key) for key in keys]
    for key in keys:
        found += _places(value[key])
    return found or [([None], 0)]


def _change(holder: Any, key: Any, rng: random.Random) -> None:
    kind = rng.randrange(6)
    if kind == 0:
        del holder[key]
    elif kind == 1 and isinstance(holder, dict):
        holder[str(rng.choice(_VALUES))] = holder[key]
    elif kind == 2 and type(holder[key]) in (int, float) and abs(holder[key]) < 1e300:
        holder[key] = holder[key] * rng.choice((-1, 2, 0.5, 1e6)) + rng.choice((0, 1, -1))
    elif kind == 3 and isinstance(holder[key], list):
        holder[key] = holder[key] * rng.randint(2, 5)
    elif kind == 4 and isinstance(holder[key], str):
        holder[key] = damaged(holder[key].encode(errors="replace"), rng).decode("utf-8", errors="replace")
    else:
        holder[key] = rng.choice(_VALUES)
