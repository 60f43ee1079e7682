"""Writing an artifact: whole or not at all."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

from edge_effnet.class_names import is_line_of_text
from edge_effnet.errors import InputError
from quant.analysis.layer_report import LayerReport, reports_json
from quant.artifact.model import (
    GOLDEN_TENSORS,
    IMAGE_TENSORS,
    MANIFEST_SCHEMA,
    RAW_SUFFIXES,
    Artifact,
    Golden,
    GoldenImage,
    raw_bytes,
    sha256_of,
)
from quant.artifact.open import require_manifest
from quant.artifact.recognise import SEAL, require_replaceable, seal_of
from quant.common.atomic_io import atomic_folder


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
    complete = {
        "schema": MANIFEST_SCHEMA,
        **manifest,
        "classes": list(classes),
        "golden": [
            {"photograph": item.image, **_add_tensors(files, f"golden/{index}", item, GOLDEN_TENSORS)}
            for index, item in enumerate(golden)
        ],
        "golden_photographs": [_add_image(files, item) for item in images],
        "files": {name: _described(data) for name, data in files.items()},
    }
    if report is not None:
        files["report.html"] = page = report(complete)
        complete["files"]["report.html"] = _described(page)
    complete[SEAL] = seal_of(complete)
    require_manifest(complete, folder / "manifest.json")
    with atomic_folder(folder) as temporary:
        (temporary / "golden").mkdir()
        for name, data in files.items():
            (temporary / name).write_bytes(data)
        (temporary / "manifest.json").write_text(json.dumps(complete, indent=2) + "\n")
    return Artifact(folder=folder, manifest=complete)


def _described(data: bytes) -> dict[str, Any]:
    return {"sha256": sha256_of(data), "bytes": len(data)}


def _add_image(files: dict[str, bytes], item: GoldenImage) -> dict[str, str]:
    """Add the files of a golden image; its entry of the manifest."""
    path = f"golden/{item.name}"
    files[path] = item.png
    return {"photograph": path, **_add_tensors(files, path.removesuffix(".png"), item, IMAGE_TENSORS)}


def _add_tensors(files: dict[str, bytes], stem: str, item: object, names: Sequence[str]) -> dict[str, str]:
    """Add the files of an item's tensors; their names by the tensors' own."""
    added = {}
    for name in names:
        tensor = getattr(item, name)
        added[name] = f"{stem}.{name}.{RAW_SUFFIXES[tensor.dtype]}"
        files[added[name]] = raw_bytes(tensor)
    return added
