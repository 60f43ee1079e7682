"""Arm's Ethos-U: whether Vela and the TOSA reference model are here, and what can be read of a delegate.

The payload is Vela's stream as `executorch/backends/arm/arm_vela.py` packs it: blocks of a name of 16 bytes, a length
of 4, 12 of nothing, and the data, padded to a multiple of 16. Imports nothing of Arm's.
"""

from __future__ import annotations

import struct
from collections.abc import Mapping
from importlib.metadata import PackageNotFoundError, version

BACKEND = "EthosUBackend"
"""The name that executorch's runtime registers it under, on a device that has one."""

TRIED: Mapping[str, str] = {"ethos-u-vela": "5.1.0", "tosa-tools": "2026.5.0"}
"""The releases that executorch 1.4.1 pins, and that were tried with it."""

TARGETS: Mapping[str, int] = {
    f"{core}-{macs}": macs
    for core, sizes in (("u85", (256, 128, 512, 1024, 2048)), ("u65", (256, 512)), ("u55", (32, 64, 128, 256)))
    for macs in sizes
}
"""Products that each takes in a cycle; the default first."""

_COMMAND = (
    "in a clone, python -m venv npu && npu/bin/pip install '.[ethos-u]' && npu/bin/quantize ..., an environment of "
    "its own, because they pin numpy, flatbuffers and others"
)


def missing() -> str | None:
    """Say what to install; None where nothing is missing."""
    for package, tried in TRIED.items():
        try:
            found = version(package)
        except PackageNotFoundError:
            return f"Vela and the TOSA reference model are needed, and {package} is not here: {_COMMAND}."
        if found != tried:
            return f"{package} {found} was not tried with executorch 1.4.1 (tried: {tried}): {_COMMAND}."
    return None


_HEAD = struct.Struct("<16sI12x")
_FIRST, _LAST = "vela_bin_stream", "vela_end_stream"
_WORDS = {"cmd_data": "commands", "weight_data": "weights, compressed"}


def read_settings(specs: Mapping[str, bytes], payload: memoryview) -> dict[str, str]:
    """The target, how Vela was called, and what its stream takes, as far as they can be read."""
    found = {
        words: specs[key].decode(errors="replace")
        for key, words in (("target", "target"), ("compile_flags", "vela"), ("tosa_spec", "tosa"))
        if key in specs
    }
    try:
        blocks = _blocks(payload)
    except (ValueError, struct.error) as error:
        return {**found, "stream": f"not readable ({error})"}
    found |= {words: f"{len(blocks[key])} bytes" for key, words in _WORDS.items() if key in blocks}
    if len(blocks.get("scratch_size", b"")) == 4:
        found["working memory"] = f"{int.from_bytes(blocks['scratch_size'], 'little')} bytes"
    return found


def _blocks(payload: memoryview) -> dict[str, memoryview]:
    found: dict[str, memoryview] = {}
    position = 0
    while _LAST not in found:
        name, length = _HEAD.unpack_from(payload, position)
        key = name.rstrip(b"\0").decode("ascii")
        start = position + _HEAD.size
        if start + length > len(payload) or (not found and key != _FIRST):
            raise ValueError(f"a block {key!r} of {length} bytes at {position}")
        found[key] = payload[start : start + length]
        position = start + -(-length // 16) * 16
    return found
