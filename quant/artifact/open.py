"""Opening an artifact: nothing of it is believed before every file is what the manifest says."""

from __future__ import annotations

import hashlib
import os
import reprlib
from pathlib import Path
from typing import Any

import torch

from edge_effnet.errors import InputError
from edge_effnet.io.files import open_regular
from quant.artifact.model import GOLDEN_TENSORS, MANIFEST_SCHEMA, Artifact, sha256_of
from quant.artifact.recognise import MAX_MANIFEST_BYTES
from quant.common.json_io import read_json, schema_fault

# Of all files: the largest network, L2 in float32 beside its int8 program, has 3 GB.
_MAX_BYTES = 8 * 1024**3


def open_artifact(folder: Path) -> Artifact:
    """Read an artifact and verify every file against its manifest.

    Raises:
        InputError: no artifact, a manifest that breaks the schema, or a file that is missing or was changed.
    """
    path = folder / "manifest.json"
    if not path.is_file():
        raise InputError(_not_here(folder))
    try:
        manifest = read_json(path, limit=MAX_MANIFEST_BYTES)
    except (OSError, ValueError) as error:
        raise InputError(f"{path}: not readable as JSON ({error}); regenerate the artifact.") from error
    if isinstance(manifest, dict) and manifest.get("schema") != MANIFEST_SCHEMA:
        raise InputError(
            f"{path}: manifest schema {reprlib.repr(manifest.get('schema'))}; this version reads {MANIFEST_SCHEMA}; "
            "regenerate the artifact."
        )
    require_manifest(manifest, path)
    total = sum(entry["bytes"] for entry in manifest["files"].values())
    if total > _MAX_BYTES:
        raise InputError(f"{path}: its files have {total} bytes, more than any network has; regenerate the artifact.")
    for name, entry in manifest["files"].items():
        _verify(folder, name, entry)
    artifact = Artifact(folder=folder, manifest=manifest)
    _require_consistent(artifact)
    return artifact


def _not_here(folder: Path) -> str:
    """The sentence of a folder without a manifest; a run over several programs made a folder of each."""
    within = sorted(str(manifest.parent) for manifest in folder.glob("*/manifest.json"))
    if within and (folder / "fleet.json").is_file():
        return f"{folder}: each program of this run has a folder of its own; name {' or '.join(within)}."
    return f"{folder}: no artifact here (no manifest.json); make one with `quantize`."


def _verify(folder: Path, name: str, entry: dict[str, Any]) -> None:
    path = folder / name
    links = path.is_symlink() or (path.parent != folder and path.parent.is_symlink())
    if links or not path.is_file():
        raise InputError(f"{path}: no file of this folder, though the manifest lists it; regenerate the artifact.")
    try:
        with open_regular(path) as file:
            size = os.fstat(file.fileno()).st_size
            # A file that is mostly a hole may have any size: only one of the right size is read.
            digest = hashlib.file_digest(file, "sha256").hexdigest() if size == entry["bytes"] else ""
    except OSError as error:
        raise InputError(f"{path}: cannot be read ({error.strerror}).") from error
    except ValueError as error:
        raise InputError(f"{path}: {error}; regenerate the artifact.") from error
    if digest != entry["sha256"]:
        raise InputError(
            f"{path}: {size} bytes{f' of SHA-256 {digest[:12]}...' if digest else ''} are not the manifest's "
            f"{entry['bytes']} of SHA-256 {entry['sha256'][:12]}...: the file or the manifest was changed after "
            "`quantize` wrote them; regenerate the artifact."
        )


def _require_consistent(artifact: Artifact) -> None:
    """Refuse a manifest whose parts contradict each other or the files."""
    manifest, path = artifact.manifest, artifact.folder / "manifest.json"
    try:
        one_output = artifact.task.column_added
        crop, channels = artifact.preprocess.crop, artifact.preprocess.channels
    except InputError as error:
        raise InputError(f"{path}: {error}") from error
    shapes = {"NCHW": [1, channels, crop, crop], "NHWC": [1, crop, crop, channels]}
    labels = "".join(f"{name}\n" for name in artifact.labels).encode(errors="surrogatepass")
    listed = {entry[key] for entry in manifest["golden"] for key in GOLDEN_TENSORS}
    listed |= {name for entry in manifest.get("golden_photographs", ()) for name in entry.values()}
    listed_labels = manifest["files"]["labels.txt"]
    contradictions = {
        "labels.txt does not hold its classes": (
            (listed_labels["bytes"], listed_labels["sha256"]) != (len(labels), sha256_of(labels))
        ),
        "preprocess, input and image_size differ in size": (
            manifest["image_size"] != crop or manifest["input"]["shape"] != shapes.get(manifest["input"]["layout"])
        ),
        "output has another shape than one figure a class": (
            manifest["output"]["shape"] != [1, len(artifact.labels)]
        ),
        "a yes-or-no task without one output and the name of no": (
            one_output != ("negative" in manifest.get("task", {})) or (one_output and len(artifact.labels) != 1)
        ),
        "golden names files that are not among its files": not listed <= set(manifest["files"]),
    }
    for fault, found in contradictions.items():
        if found:
            raise InputError(f"{path}: {fault}: it was changed after `quantize` wrote it; regenerate the artifact.")


def require_manifest(manifest: Any, path: Path) -> None:
    """Make sure that a value is a manifest.

    Raises:
        InputError: it breaks the schema.
    """
    fault = schema_fault(manifest, "manifest", package="quant.artifact")
    if fault is not None:
        raise InputError(f"{path}: not a manifest ({fault}); regenerate it.")


def verify_images(artifact: Artifact) -> None:
    """Prove that this machine makes the expected pixels of the golden images.

    Raises:
        InputError: it makes others: its image library decodes or resamples differently.
    """
    for entry in artifact.manifest.get("golden_photographs", ()):
        expected = artifact.golden_tensors(entry, ["pixels"])["pixels"]
        path = artifact.folder / entry["photograph"]
        differing = int((torch.from_numpy(artifact.preprocess.pixels(path)) != expected).sum().item())
        if differing:
            raise InputError(
                f"{path}: {differing} of its {expected.numel()} pixel values come out otherwise here than where "
                "`quantize` ran; the figures would not compare: install the same Pillow, or regenerate the artifact."
            )
