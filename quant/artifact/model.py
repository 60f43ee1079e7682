"""The artifact folder: the programs, what they need to be used rightly, and proof of what they are.

model.pte       the program for the phone
float.pte       the float network's own program: what model.pte is compared with, on any images
labels.txt      class names by index, one a line
manifest.json   everything else, versioned (`manifest.schema.json`, docs/manifest.md)
layers.json     the layer-by-layer analysis, from input to output (`edge-effnet analyze`)
report.html     the same for people
golden/         a few inputs and the outputs expected of them, raw little-endian float32
"""

from __future__ import annotations

import hashlib
import json
import os
import reprlib
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
import torch

from edge_effnet.class_names import is_line_of_text
from edge_effnet.errors import InputError
from edge_effnet.io.files import open_regular
from edge_effnet.preprocess import Preprocess
from quant.analysis.layers import LayerReport, reports_from_json, reports_json
from quant.artifact.recognise import MAX_MANIFEST_BYTES, SEAL, require_replaceable, seal_of
from quant.common.atomic_io import atomic_folder
from quant.common.json_io import read_json, schema_fault
from quant.lower.result import Delegation

MANIFEST_SCHEMA = 1

# Of all files: the largest network, L2 in float32 beside its int8 program, has 3 GB.
_MAX_BYTES = 8 * 1024**3

# Of a few hundred activations, some hundred bytes each.
_MAX_LAYERS_BYTES = 16 * 1024 * 1024


_RAW = {"float32": "<f4", "uint8": "|u1"}
_SUFFIXES = {torch.float32: "f32", torch.uint8: "u8"}
_GOLDEN_FILES = ("input", "output", "float_output")
_INPUT_SHAPES: dict[str, Callable[[int], list[int]]] = {
    "NCHW": lambda side: [1, 3, side, side],
    "NHWC": lambda side: [1, side, side, 3],
}


@dataclass(frozen=True, kw_only=True, slots=True)
class Golden:
    """One input and the output that the program gave for it."""

    image: str
    input: torch.Tensor
    """float32, or uint8 for a program that takes pixels; without the batch dimension."""
    output: torch.Tensor
    """float32, without the batch dimension."""
    float_output: torch.Tensor
    """What the float network's program gave, likewise."""


@dataclass(frozen=True, kw_only=True, slots=True)
class GoldenImage:
    """An image and what has to come of it on every platform (docs/preprocessing.md)."""

    name: str
    """Such as `landscape.png`."""
    png: bytes
    pixels: torch.Tensor
    """uint8, [side, side, 3]: resized and cropped."""
    input: torch.Tensor
    """What the program takes, without the batch dimension."""
    output: torch.Tensor
    """Its logits."""


@dataclass(frozen=True, kw_only=True)
class Artifact:
    """An artifact folder whose files were verified against its manifest."""

    folder: Path
    manifest: dict[str, Any]

    @property
    def program(self) -> Path:
        """The program for the phone."""
        return self.folder / "model.pte"

    @property
    def float_program(self) -> Path:
        """The float network's program."""
        return self.folder / "float.pte"

    @property
    def programs(self) -> dict[str, Path]:
        """Both, by name."""
        return {"float": self.float_program, "pte": self.program}

    @property
    def labels(self) -> tuple[str, ...]:
        """Class names by index."""
        return tuple(self.manifest["classes"])

    @property
    def labelled(self) -> bool:
        """Whether the class names are real ones rather than numbers."""
        return bool(self.manifest["labelled"])

    @cached_property
    def preprocess(self) -> Preprocess:
        """What images go through before the program."""
        return Preprocess.from_dict(self.manifest["preprocess"])

    @property
    def delegation(self) -> Delegation:
        """What of the program runs in the backend."""
        return Delegation(**self.manifest["delegation"])

    @property
    def calibrated_on(self) -> frozenset[str]:
        """SHA-256 of the images that the program was fitted on."""
        images = self.manifest["photographs"]
        return frozenset(p["sha256"] for key in ("calibration", "training") for p in images.get(key, ()))

    def layers(self) -> list[LayerReport]:
        """Read the layer-by-layer analysis.

        Raises:
            InputError: an artifact without one, or a file that does not hold one.
        """
        path = self.folder / "layers.json"
        if path.name not in self.manifest["files"]:
            raise InputError(
                f"{self.folder}: has no layers.json; it is of an earlier version: regenerate the artifact."
            )
        try:
            rows = read_json(path, limit=_MAX_LAYERS_BYTES)
        except (OSError, ValueError) as error:
            raise InputError(f"{path}: not an analysis ({error}); regenerate the artifact.") from error
        if (fault := schema_fault(rows, "layers", package="quant.artifact")) is not None:
            raise InputError(f"{path}: not an analysis ({fault}); regenerate the artifact.")
        return reports_from_json(rows)

    def golden(self) -> list[Golden]:
        """Read the golden inputs and outputs.

        Raises:
            InputError: a file's size does not fit the program's shapes.
        """
        tensors = {key: self.manifest[key] for key in ("input", "output")}
        tensors["float_output"] = tensors["output"]
        return [
            Golden(
                image=entry["photograph"],
                **{key: _read_raw(self.folder / entry[key], tensor) for key, tensor in tensors.items()},
            )
            for entry in self.manifest["golden"]
        ]

    def golden_images(self) -> list[GoldenImage]:
        """Read the images that apps are tested with, and what is expected of them.

        Raises:
            InputError: a file's size does not fit the program's shapes.
        """
        side = self.preprocess.crop
        tensors = {key: self.manifest[key] for key in ("input", "output")}
        tensors["pixels"] = {"dtype": "uint8", "shape": [1, side, side, 3]}
        return [
            GoldenImage(
                name=Path(entry["photograph"]).name,
                png=(self.folder / entry["photograph"]).read_bytes(),
                **{key: _read_raw(self.folder / entry[key], tensor) for key, tensor in tensors.items()},
            )
            for entry in self.manifest.get("golden_photographs", ())
        ]


def verify_images(artifact: Artifact) -> None:
    """Prove that this machine makes the expected pixels of the golden images.

    Raises:
        InputError: it makes others: its image library decodes or resamples differently.
    """
    side = artifact.preprocess.crop
    for entry in artifact.manifest.get("golden_photographs", ()):
        expected = _read_raw(artifact.folder / entry["pixels"], {"dtype": "uint8", "shape": [1, side, side, 3]})
        path = artifact.folder / entry["photograph"]
        differing = int((torch.from_numpy(artifact.preprocess.pixels(path)) != expected).sum().item())
        if differing:
            raise InputError(
                f"{path}: {differing} of its {expected.numel()} pixel values come out otherwise here than where "
                "`quantize` ran; the figures would not compare: install the same Pillow, or regenerate the artifact."
            )


def write_artifact(
    folder: Path,
    *,
    model: bytes,
    float_model: bytes,
    classes: Sequence[str],
    golden: Sequence[Golden],
    layers: Sequence[LayerReport],
    manifest: dict[str, Any],
    images: Sequence[GoldenImage] = (),
    extra: Mapping[str, bytes] | None = None,
    report: Callable[[dict[str, Any]], bytes] | None = None,
) -> Artifact:
    """Write an artifact folder, whole or not at all; an artifact that stands there is replaced.

    Args:
        folder: where to.
        model: the program.
        float_model: the float network's program.
        classes: class names by index.
        golden: inputs and the outputs that the program gives for them.
        layers: the analysis, from input to output.
        manifest: the rest; `schema`, `classes`, `files` and `golden` are added here.
        images: that apps are tested with.
        extra: further files of the folder by name.
        report: makes report.html of the manifest, which lists every file but that one.

    Raises:
        InputError: something else stands at `folder` or in it, or a class name is not one line of text.
        MachineError: full or read-only disk, no permission.
    """
    require_replaceable(folder)
    for name in classes:
        if not is_line_of_text(name):
            raise InputError(f"class name {name!r} is not one line of text; rename it in the weights.")
    files: dict[str, bytes] = {
        "model.pte": model,
        "float.pte": float_model,
        "labels.txt": "".join(f"{name}\n" for name in classes).encode(),
        "layers.json": (json.dumps(reports_json(layers), indent=1) + "\n").encode(),
        **(extra or {}),
    }
    entries = []
    for index, item in enumerate(golden):
        entry = {"photograph": item.image}
        tensors = {"input": item.input, "output": item.output, "float_output": item.float_output}
        for key, tensor in tensors.items():
            entry[key] = f"golden/{index}.{key}.{_SUFFIXES[tensor.dtype]}"
            files[entry[key]] = raw_bytes(tensor)
        entries.append(entry)
    complete = {
        "schema": MANIFEST_SCHEMA,
        **manifest,
        "classes": list(classes),
        "golden": entries,
        "golden_photographs": _add_images(files, images),
        "files": {name: {"sha256": _sha256(data), "bytes": len(data)} for name, data in files.items()},
    }
    if report is not None:
        files["report.html"] = page = report(complete)
        complete["files"]["report.html"] = {"sha256": _sha256(page), "bytes": len(page)}
    complete[SEAL] = seal_of(complete)
    _validate(complete, folder / "manifest.json")
    with atomic_folder(folder) as temporary:
        (temporary / "golden").mkdir()
        for name, data in files.items():
            (temporary / name).write_bytes(data)
        (temporary / "manifest.json").write_text(json.dumps(complete, indent=2) + "\n")
    return Artifact(folder=folder, manifest=complete)


def _add_images(files: dict[str, bytes], images: Sequence[GoldenImage]) -> list[dict[str, str]]:
    """Add the files of golden images; their entries of the manifest."""
    entries = []
    for item in images:
        stem = f"golden/{item.name.removesuffix('.png')}"
        entry = {"photograph": f"{stem}.png"}
        files[entry["photograph"]] = item.png
        for key, tensor in (("pixels", item.pixels), ("input", item.input), ("output", item.output)):
            entry[key] = f"{stem}.{key}.{_SUFFIXES[tensor.dtype]}"
            files[entry[key]] = raw_bytes(tensor)
        entries.append(entry)
    return entries


def open_artifact(folder: Path) -> Artifact:
    """Read an artifact and verify every file against its manifest.

    Raises:
        InputError: no artifact, a manifest that breaks the schema, or a file that is missing or was changed.
    """
    path = folder / "manifest.json"
    if not path.is_file():
        raise InputError(f"{folder}: no artifact here (no manifest.json); make one with `quantize`.")
    try:
        manifest = read_json(path, limit=MAX_MANIFEST_BYTES)
    except (OSError, ValueError) as error:
        raise InputError(f"{path}: not readable as JSON ({error}); regenerate the artifact.") from error
    if isinstance(manifest, dict) and manifest.get("schema") != MANIFEST_SCHEMA:
        raise InputError(
            f"{path}: manifest schema {reprlib.repr(manifest.get('schema'))}; this version reads {MANIFEST_SCHEMA}; "
            "regenerate the artifact."
        )
    _validate(manifest, path)
    total = sum(entry["bytes"] for entry in manifest["files"].values())
    if total > _MAX_BYTES:
        raise InputError(f"{path}: its files have {total} bytes, more than any network has; regenerate the artifact.")
    for name, entry in manifest["files"].items():
        _verify(folder, name, entry)
    artifact = Artifact(folder=folder, manifest=manifest)
    _require_consistent(artifact)
    return artifact


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
        crop, layout = artifact.preprocess.crop, manifest["input"]["layout"]
    except InputError as error:
        raise InputError(f"{path}: {error}") from error
    labels = "".join(f"{name}\n" for name in artifact.labels).encode(errors="surrogatepass")
    listed = {entry[key] for entry in manifest["golden"] for key in _GOLDEN_FILES}
    listed |= {name for entry in manifest.get("golden_photographs", ()) for name in entry.values()}
    listed_labels = manifest["files"]["labels.txt"]
    contradictions = {
        "labels.txt does not hold its classes": (
            (listed_labels["bytes"], listed_labels["sha256"]) != (len(labels), _sha256(labels))
        ),
        "preprocess, input and image_size differ in size": (
            manifest["image_size"] != crop or manifest["input"]["shape"] != _INPUT_SHAPES[layout](crop)
        ),
        "output has another shape than one figure a class": (
            manifest["output"]["shape"] != [1, len(artifact.labels)]
        ),
        "golden names files that are not among its files": not listed <= set(manifest["files"]),
    }
    for fault, found in contradictions.items():
        if found:
            raise InputError(f"{path}: {fault}: it was changed after `quantize` wrote it; regenerate the artifact.")


def _validate(manifest: Any, path: Path) -> None:
    fault = schema_fault(manifest, "manifest", package="quant.artifact")
    if fault is not None:
        raise InputError(f"{path}: not a manifest ({fault}); regenerate it.")


def _sha256(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()


def raw_bytes(tensor: torch.Tensor) -> bytes:
    """Little-endian numbers without a header, as golden files keep them; float32 or uint8."""
    array = tensor.contiguous().numpy()
    return array.astype(_RAW[str(array.dtype)]).tobytes()


def _read_raw(path: Path, tensor: dict[str, Any]) -> torch.Tensor:
    """Read a golden file of a tensor that the manifest describes."""
    dtype, shape = np.dtype(_RAW[tensor["dtype"]]), tuple(tensor["shape"][1:])
    if path.stat().st_size != dtype.itemsize * int(np.prod(shape)):
        raise InputError(
            f"{path}: {path.stat().st_size} bytes, the program's shape is {shape} of {tensor['dtype']}; "
            "regenerate the artifact."
        )
    return torch.from_numpy(np.fromfile(path, dtype=dtype).reshape(shape))
