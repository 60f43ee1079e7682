"""The results file: what a device computed, one versioned format for all (docs/device.md, results.schema.json)."""

from __future__ import annotations

import base64
import binascii
import json
import reprlib
import statistics
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
import torch

from edge_effnet.errors import InputError
from quant.common.atomic_io import require_writable, write_atomically
from quant.common.json_io import load_schema, parse_json, read_limited, schema_fault
from quant.pipeline.bench import p90

_WHAT = "a results file of a device"
_SCHEMA, _PACKAGE = "results", "apps.device.job"

# Logits of a million images of ten classes stay below this.
_MAX_BYTES = 256 * 1024 * 1024


@dataclass(frozen=True, kw_only=True)
class Results:
    """A results file whose form was checked."""

    values: dict[str, Any]
    where: str
    """Path, or the device that it came from."""

    @cached_property
    def logits(self) -> torch.Tensor:
        """float32, [images, classes]."""
        return _decoded(self.values["photographs"], self.where)

    @cached_property
    def reruns(self) -> list[tuple[str, torch.Tensor]]:
        """SHA-256 and float32 logits, [classes], of each image that ran again, in their order."""
        entries = self.values["reruns"]
        rows = _decoded(entries, self.where) if entries else ()
        return [(entry["sha256"], row) for entry, row in zip(entries, rows, strict=True)]

    @property
    def images(self) -> list[tuple[str, str]]:
        """Name and SHA-256 of each."""
        return [(p["name"], p["sha256"]) for p in self.values["photographs"]]

    @cached_property
    def row(self) -> dict[str, int]:
        """SHA-256 of each image -> its row of the logits."""
        return {sha256: index for index, (_, sha256) in enumerate(self.images)}

    @property
    def latency_p50_ms(self) -> float:
        """Median forward."""
        return float(statistics.median(self.values["latency"]["times_ms"]))

    @property
    def latency_p90_ms(self) -> float:
        """90th percentile of the forwards; of a single one, that one."""
        return p90(self.values["latency"]["times_ms"])

    @property
    def load_ms(self) -> float:
        """Median load."""
        return float(statistics.median(self.values["load_ms"]))

    def to_json(self) -> dict[str, Any]:
        """The device, and what it measured."""
        return {
            **self.values["device"],
            "runtime": self.values["runtime"]["version"],
            "threads": self.values["runtime"]["threads"],
            "latency_p50_ms": round(self.latency_p50_ms, 4),
            "latency_p90_ms": round(self.latency_p90_ms, 4),
            "load_ms": round(self.load_ms, 4),
            "peak_memory_bytes": self.values["peak_memory_bytes"],
        }


def read_results(path: Path) -> Results:
    """Read a results file.

    Raises:
        InputError: missing, truncated, against the schema, or logits that are not the same count of finite numbers
            for each image.
    """
    return _complete(_read(path))


def parse_results(text: bytes, *, where: str) -> Results:
    """`read_results` for what a device sent; `where` names its origin."""
    return _complete(_parsed(text, where))


def _read(path: Path) -> Results:
    try:
        text = read_limited(path, limit=_MAX_BYTES)
    except FileNotFoundError as error:
        raise InputError(f"{path}: no such file; {_WHAT} is wanted.") from error
    except OSError as error:
        raise InputError(f"{path}: cannot be read ({error.strerror}).") from error
    except ValueError as error:
        raise InputError(f"{path}: not {_WHAT} ({error}); take another file.") from error
    return _parsed(text, str(path))


def _parsed(text: bytes, where: str) -> Results:
    try:
        value = parse_json(text)
    except ValueError as error:
        raise InputError(f"{where}: not readable as JSON, truncated or damaged ({error}); regenerate it.") from error
    if isinstance(value, dict):
        value.setdefault("reruns", [])  # files of before there were such
    wanted = load_schema(_SCHEMA, _PACKAGE)["properties"]["schema"]["const"]
    if isinstance(value, dict) and value.get("schema") != wanted:
        raise InputError(
            f"{where}: schema {reprlib.repr(value.get('schema'))}; this version reads {wanted}: use the same version "
            "on both sides."
        )
    if (fault := schema_fault(value, _SCHEMA, _PACKAGE)) is not None:
        raise InputError(f"{where}: not {_WHAT} ({fault}); regenerate it.")
    return Results(values=value, where=where)


def write_results(path: Path, results: Results) -> None:
    """Write a results file, whole or not at all.

    Raises:
        MachineError: the disk refuses.
    """
    write_atomically(path, (json.dumps(results.values, indent=1) + "\n").encode())


def require_results_file(path: Path) -> None:
    """Refuse to overwrite anything but a results file, and places that cannot be written.

    Raises:
        InputError: something else stands at `path`.
        MachineError: no permission to write there, or a name that is too long.
    """
    require_writable(path)
    if path.exists() or path.is_symlink():
        try:
            _read(path)
        except InputError as error:
            raise InputError(f"--results {path}: is something other than {_WHAT}; choose another name.") from error


def require_same_program(results: Results, sha256: str, artifact: Path) -> None:
    """Refuse results of another program.

    Raises:
        InputError: they are.
    """
    found = results.values["program_sha256"]
    if found != sha256:
        raise InputError(
            f"{results.where}: results of another program (SHA-256 {found[:12]}..., {artifact} has "
            f"{sha256[:12]}...); run this artifact on the device, or name the artifact that ran."
        )


def _complete(results: Results) -> Results:
    logits = results.logits
    broken = (~logits.isfinite().all(dim=1)).nonzero().flatten().tolist()
    if broken:
        name = results.images[broken[0]][0]
        raise InputError(
            f"{results.where}: the output for {name} is not finite ({len(broken)} images in all); the program "
            "or the device's runtime is broken."
        )
    if len(results.row) < len(results.images):
        raise InputError(f"{results.where}: names an image twice; regenerate it.")
    if any(sha256 not in results.row or len(row) != logits.shape[1] for sha256, row in results.reruns):
        raise InputError(f"{results.where}: ran an image again that it has no logits of, or others; regenerate it.")
    return results


def _decoded(entries: list[dict[str, Any]], where: str) -> torch.Tensor:
    rows: list[np.ndarray] = []
    for image in entries:
        said = f"{where}: the logits of {image['name']} are"
        try:
            raw = base64.b64decode(image["logits"], validate=True)
        except binascii.Error as error:
            raise InputError(f"{said} not base64 ({error}); regenerate it.") from error
        if not raw or len(raw) % 4 or (rows and len(raw) != rows[0].nbytes):
            counted = f"{len(raw)} bytes; need 4 a class, the same count for each image"
            raise InputError(f"{said} {counted}; regenerate it.")
        rows.append(np.frombuffer(raw, dtype="<f4"))
    return torch.from_numpy(np.stack(rows).astype(np.float32))
