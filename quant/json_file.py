"""JSON files that others wrote: limited in size, and every failure a ValueError or OSError."""

from __future__ import annotations

import json
from importlib import resources
from pathlib import Path
from typing import Any, NoReturn

import jsonschema


def read_json(path: Path, *, limit: int) -> Any:
    """Read a JSON file.

    Args:
        path: the file.
        limit: bytes that it may have.

    Raises:
        OSError: it cannot be read.
        ValueError: it is larger, no regular file, no UTF-8 or no JSON (NaN is none either).
    """
    if not path.is_file() and path.exists():
        raise ValueError("not a regular file")
    with path.open("rb") as file:
        data = file.read(limit + 1)
    if len(data) > limit:
        raise ValueError(f"more than {limit} bytes")
    try:
        return json.loads(data.decode("utf-8"), parse_constant=_no_number)
    except RecursionError as error:
        raise ValueError("nested too deeply") from error


def schema_fault(value: Any, schema: str) -> str | None:
    """Say where a value first breaks one of the schemas beside this module; None where it does not.

    Args:
        value: as JSON gives it.
        schema: `manifest`, `layers` or `delegation`.
    """
    rules = json.loads(resources.files("quant").joinpath(f"{schema}.schema.json").read_text())
    error = jsonschema.exceptions.best_match(jsonschema.Draft202012Validator(rules).iter_errors(value))
    return None if error is None else f"{error.json_path}: {error.message[:200]}"


def _no_number(name: str) -> NoReturn:
    raise ValueError(f"{name} is no number of JSON")
