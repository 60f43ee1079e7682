"""Take the model out of a Core ML delegate's payload without writing any of it to the disk.

executorch's `inmemoryfs` lays the files of an mlpackage one after the other and puts a JSON table of them behind, its
bytes in reverse order. Its own reader writes them out under whatever names the table holds.
"""

from __future__ import annotations

import json
from typing import Any

_MAX_TABLE_BYTES = 1024 * 1024
_SUFFIX = ".mlmodel"


def model_of(payload: bytes) -> bytes:
    """Return the content of the one `.mlmodel` file.

    Raises:
        ValueError: no such payload, or not one such file in it.
    """
    text = payload[: -_MAX_TABLE_BYTES - 1 : -1].decode("utf-8", errors="replace")
    try:
        table, _ = json.JSONDecoder().raw_decode(text)
    except RecursionError as error:
        raise ValueError("a table nested too deeply") from error
    regions = [
        (region["offset"], region["size"])
        for node in table["nodes"]
        for name, region in [(str(node["name"]), node["dataRegion"])]
        if name.endswith(_SUFFIX)
    ]
    if len(regions) != 1:
        raise ValueError(f"{len(regions)} files that end in {_SUFFIX}, need one")
    offset, size = map(_whole, regions[0])
    if offset + size > len(payload):
        raise ValueError(f"a file ends at {offset + size}, the payload at {len(payload)}")
    return payload[offset : offset + size]


def _whole(value: Any) -> int:
    if not isinstance(value, int) or isinstance(value, bool) or value < 0:
        raise ValueError(f"{value!r} is no number of bytes")
    return value
