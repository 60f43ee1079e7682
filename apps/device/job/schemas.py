"""JSON that crosses the border to a device: read with a size limit and checked against its schema."""

from __future__ import annotations

import reprlib
from pathlib import Path
from typing import Any

from edge_effnet.errors import InputError
from quant.common.json_io import load_schema, parse_json, read_limited, schema_fault

# Logits of a million images of ten classes stay below this.
_MAX_BYTES = 256 * 1024 * 1024

_PACKAGE = "apps.device.job"


def read_checked(path: Path, *, schema: str, what: str) -> dict[str, Any]:
    """Read a JSON file that has to follow one of the schemas beside this module.

    Args:
        path: the file.
        schema: `job` or `results`.
        what: what the file should be, for the message.

    Raises:
        InputError: missing, no regular file, too large, no JSON (a truncated file), or against the schema.
    """
    try:
        text = read_limited(path, limit=_MAX_BYTES)
    except FileNotFoundError as error:
        raise InputError(f"{path}: no such file; {what} is wanted.") from error
    except OSError as error:
        raise InputError(f"{path}: cannot be read ({error.strerror}).") from error
    except ValueError as error:
        raise InputError(f"{path}: not {what} ({error}); take another file.") from error
    return parse_checked(text, schema=schema, what=what, where=str(path))


def parse_checked(text: bytes, *, schema: str, what: str, where: str) -> dict[str, Any]:
    """`read_checked` for content that is no file of this machine; `where` names its origin."""
    try:
        value = parse_json(text)
    except ValueError as error:
        raise InputError(f"{where}: not readable as JSON, truncated or damaged ({error}); regenerate it.") from error
    wanted = load_schema(schema, _PACKAGE)["properties"]["schema"]["const"]
    if isinstance(value, dict) and value.get("schema") != wanted:
        raise InputError(
            f"{where}: schema {reprlib.repr(value.get('schema'))}; this version reads {wanted}: use the same version "
            "on both sides."
        )
    if (fault := schema_fault(value, schema, _PACKAGE)) is not None:
        raise InputError(f"{where}: not {what} ({fault}); regenerate it.")
    assert isinstance(value, dict)
    return value
