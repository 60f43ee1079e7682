"""JSON that others wrote: limited in size, depth and numbers, and every failure a ValueError or OSError."""

from __future__ import annotations

import json
import math
from importlib import resources
from itertools import islice
from pathlib import Path
from typing import Any, NoReturn

import jsonschema

from edge_effnet.io.files import open_regular

# Brackets and commas; each can become an object of 60 bytes. A manifest of a million images has 3 million.
_MAX_ELEMENTS = 20_000_000

# Ours are eight deep at most; what is deeper than Python's stack crashes whoever prints or compares it.
_MAX_DEPTH = 32

_MAX_WHOLE = 2**63

# Faults among which the most telling is looked for: a hostile file may have one in each of its elements.
_FAULTS_WEIGHED = 100

_SHOWN = 200


def _is_whole(_checker: Any, value: object) -> bool:
    """JSON Schema calls 32.0 an integer; Pillow, torch and `range` do not."""
    return isinstance(value, int) and not isinstance(value, bool)


_Validator = jsonschema.validators.extend(
    jsonschema.Draft202012Validator,
    type_checker=jsonschema.Draft202012Validator.TYPE_CHECKER.redefine("integer", _is_whole),
)


def read_json(path: Path, *, limit: int) -> Any:
    """Read a JSON file of at most `limit` bytes.

    Raises:
        OSError: it cannot be read.
        ValueError: it is larger, no regular file, or as `parse_json`.
    """
    return parse_json(read_limited(path, limit=limit))


def read_limited(path: Path, *, limit: int) -> bytes:
    """Read a regular file of at most `limit` bytes.

    Raises:
        OSError: it cannot be read.
        ValueError: it is larger, or no regular file.
    """
    with open_regular(path) as file:
        data = file.read(limit + 1)
    if len(data) > limit:
        raise ValueError(f"more than {limit} bytes")
    return data


def parse_json(data: bytes) -> Any:
    """Parse JSON whose size was limited.

    Raises:
        ValueError: no UTF-8 or no JSON (NaN is none either), too many elements, nested too deeply, or a number that
            neither 64 bits nor a float hold.
    """
    if sum(map(data.count, (b"[", b"{", b","))) > _MAX_ELEMENTS:
        raise ValueError(f"more than {_MAX_ELEMENTS} elements")
    try:
        value = json.loads(data.decode("utf-8"), parse_constant=_no_number, parse_float=_real, parse_int=_whole)
    except RecursionError as error:
        raise ValueError("nested too deeply") from error
    level: list[Any] = [[value]]
    for _ in range(_MAX_DEPTH + 1):
        children = (child for parent in level for child in (parent.values() if isinstance(parent, dict) else parent))
        level = [child for child in children if isinstance(child, dict | list)]
    if level:
        raise ValueError("nested too deeply")
    return value


def load_schema(name: str, package: str) -> dict[str, Any]:
    """Read the schema `NAME.schema.json` of a package."""
    loaded: dict[str, Any] = json.loads(resources.files(package).joinpath(f"{name}.schema.json").read_text())
    return loaded


def schema_fault(value: Any, schema: str, package: str) -> str | None:
    """Say where a JSON value first breaks a schema, such as `manifest` of `quant.artifact`; None if it fits."""
    errors = _Validator(load_schema(schema, package)).iter_errors(value)
    error = jsonschema.exceptions.best_match(islice(errors, _FAULTS_WEIGHED))
    return None if error is None else f"{error.json_path[:_SHOWN]}: {error.message[:_SHOWN]}"


def _no_number(name: str) -> NoReturn:
    raise ValueError(f"{name} is no number of JSON")


def _real(text: str) -> float:
    value = float(text)
    if math.isinf(value):
        raise ValueError(f"{text[:40]} is larger than any number here")
    return value


def _whole(text: str) -> int:
    # Counted first: Python refuses to read thousands of digits with a message about its own settings.
    if len(text) > len(str(_MAX_WHOLE)) + 1 or abs(value := int(text)) >= _MAX_WHOLE:
        raise ValueError(f"{text[:40]} is larger than any number here")
    return value
