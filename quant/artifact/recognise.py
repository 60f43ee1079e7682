"""How a folder of ours is told from any other, and its manifest from an edited one."""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Mapping, Sequence
from itertools import pairwise
from pathlib import Path
from typing import Any

from edge_effnet.samples import SAMPLE
from quant.common.json_io import read_json
from quant.common.overwrite import Kind
from quant.common.overwrite import require_replaceable as require_kinds

SEAL = "seal"

IN_MEMORY = " in memory"
"""What a command says behind the class of data that no path names."""


def seal_of(manifest: Mapping[str, Any]) -> str:
    """SHA-256 of a manifest without its seal: compact JSON in ASCII, keys sorted."""
    rest = {key: value for key, value in manifest.items() if key != SEAL}
    return hashlib.sha256(json.dumps(rest, sort_keys=True, separators=(",", ":")).encode()).hexdigest()


# A manifest names every image; a million of them stay below this, and so does a fleet's every class of every program.
MAX_MANIFEST_BYTES = 256 * 1024 * 1024

# `propertyNames` of the manifest's files.
_FILE = re.compile(r"(golden/)?[A-Za-z0-9_][A-Za-z0-9_.-]*")
_PROGRAM = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_.-]*")


def require_replaceable(folder: Path) -> None:
    """`quant.common.overwrite.require_replaceable` for what `quantize` writes."""
    require_kinds(folder, (ARTIFACT, FLEET))


def _artifact_files(folder: Path) -> set[str]:
    """Files that a manifest lists, of whichever version: damaged ones and those of earlier schemas may be replaced.

    Raises:
        OSError: unreadable.
        ValueError: not a manifest.
    """
    manifest = read_json(folder / "manifest.json", limit=MAX_MANIFEST_BYTES)
    # Web pages, packages and images have manifests too.
    files = manifest.get("files") if isinstance(manifest, dict) and type(manifest.get("schema")) is int else None
    if (
        not isinstance(files, dict)
        or "model.pte" not in files
        or not all(_FILE.fullmatch(name) for name in files)
        or not all(isinstance(entry, dict) and {"sha256", "bytes"} <= set(entry) for entry in files.values())
    ):
        raise ValueError("manifest.json: lists no files of an artifact")
    return set(files)


def _fleet_files(folder: Path) -> set[str]:
    """Files of all artifacts of a run over several backends.

    Raises:
        OSError: unreadable.
        ValueError: not the outcome of such a run, or an artifact of it is none.
    """
    outcome = read_json(folder / "fleet.json", limit=MAX_MANIFEST_BYTES)
    try:
        names = [row["name"] for row in outcome["programs"]]
        ours = bool(names) and "verdict" in outcome and all(_PROGRAM.fullmatch(name) for name in names)
    except (KeyError, TypeError) as error:
        raise ValueError("fleet.json: lists no programs") from error
    if not ours:
        raise ValueError("fleet.json: lists programs that no run makes")
    files = {"report.html"}
    for name in names:
        # What is missing on this machine has no folder.
        if (folder / name / "manifest.json").is_file():
            files |= {f"{name}/{file}" for file in (*_artifact_files(folder / name), "manifest.json")}
    return files


ARTIFACT = Kind(name="an artifact", index="manifest.json", files=_artifact_files)
FLEET = Kind(name="a run over several backends", index="fleet.json", files=_fleet_files)


def changed(command: Sequence[str], options: Mapping[str, str]) -> tuple[str, ...]:
    """Return a command with some of its options given otherwise.

    Args:
        command: of `quantize_command`.
        options: by name, with its dashes.
    """
    words = list(command)
    for name, value in options.items():
        place = words.index(name) if name in words else len(words)
        words[place : place + 2] = [name, value]
    return tuple(words)


def check_command(command: Sequence[str], *, folder: str) -> tuple[str, ...]:
    """Return the command that checks an artifact as it was judged.

    Args:
        command: of `quantize_command`, that made it.
        folder: the artifact.
    """
    given = dict(pairwise(command))
    options = ("--labels", "--image-column", "--label-column", "--max-unusable", "--max-drop", "--min-agreement")
    limits = (word for name in options if name in given for word in (name, given[name]))
    judged = given.get("--evaluation-data", given.get("--data", SAMPLE))
    return ("edge-effnet", "check", folder, "--data", judged, *limits)
