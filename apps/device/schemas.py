"""JSON that crosses the border to a device: read with a size limit and checked against its schema."""

from __future__ import annotations

import json
from importlib import resources
from pathlib import Path
from typing import Any

import jsonschema

from edge_effnet.errors import InputError

# Logits of a million photographs of ten classes stay below this.
_MAX_BYTES = 256 * 1024 * 1024


def read_checked(path: Path, *, schema: str, what: str) -> dict[str, Any]:
    """Read a JSON file that has to follow one of the schemas beside this module.

    Args:
        path: the file.
        schema: `job` or `results`.
        what: what the file should be, for the message.

    Raises:
        InputError: missing, too large, no JSON (a truncated file), or against the schema.
    """
    try:
        if path.stat().st_size > _MAX_BYTES:
            raise InputError(f"{path}: {path.stat().st_size} bytes is far too large for {what}; take another file.")
        text = path.read_bytes()
    except FileNotFoundError as error:
        raise InputError(f"{path}: no such file; {what} is wanted.") from error
    except OSError as error:
        raise InputError(f"{path}: cannot be read ({error.strerror}).") from error
    return parse_checked(text, schema=schema, what=what, where=str(path))


def parse_checked(text: bytes, *, schema: str, what: str, where: str) -> dict[str, Any]:
    """`read_checked` for content that is no file of this machine; `where` names its origin."""
    try:
        value = json.loads(text.decode("utf-8"))
    except (ValueError, RecursionError) as error:
        raise InputError(f"{where}: not readable as JSON, truncated or damaged ({error}); make it anew.") from error
    wanted = _schema(schema)["properties"]["schema"]["const"]
    if isinstance(value, dict) and value.get("schema") != wanted:
        raise InputError(
            f"{where}: schema {value.get('schema')!r}; this version reads {wanted}: use the same version on both "
            "sides."
        )
    validator = jsonschema.Draft202012Validator(_schema(schema))
    fault = jsonschema.exceptions.best_match(validator.iter_errors(value))
    if fault is not None:
        raise InputError(f"{where}: not {what} ({fault.json_path}: {fault.message[:200]}); make it anew.")
    assert isinstance(value, dict)
    return value


def _schema(name: str) -> dict[str, Any]:
    loaded = json.loads(resources.files("apps.device").joinpath(f"{name}.schema.json").read_text())
    assert isinstance(loaded, dict)
    return loaded
