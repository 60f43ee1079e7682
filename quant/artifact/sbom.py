"""What an artifact was made of, as a CycloneDX 1.6 bill of materials: files, weights, images, software."""

from __future__ import annotations

import hashlib
import uuid
from collections.abc import Mapping
from typing import Any

from quant.artifact.model import Artifact

_LICENCES: Mapping[str, str] = {
    "python": "Python-2.0",
    "torch": "BSD-3-Clause",
    "torchao": "BSD-3-Clause",
    "executorch": "BSD-3-Clause",
    "edge-effnet": "Apache-2.0",
}
"""SPDX names for the software that a manifest lists."""

_MODEL = "machine-learning-model"


def bill_of_materials(artifact: Artifact) -> dict[str, Any]:
    """Return the document; the same artifact gives the same one.

    The images are named by one digest: their names and contents are the user's own matter, and the manifest that
    the document refers to lists them.

    Args:
        artifact: opened, so that every hash is that of the file.
    """
    manifest, weights = artifact.manifest, artifact.manifest["weights"]
    made = manifest["files"]["model.pte"]["sha256"]
    name = f"{manifest['variant']}-{manifest['recipe']['name']}-{manifest['backend']}"
    return {
        "bomFormat": "CycloneDX",
        "specVersion": "1.6",
        "serialNumber": f"urn:uuid:{uuid.uuid5(uuid.NAMESPACE_OID, made)}",
        "version": 1,
        "metadata": {
            "timestamp": manifest["created"],
            "component": _component(_MODEL, name, made, ref="artifact"),
            "tools": {"components": [_software(name, version) for name, version in manifest["versions"].items()]},
        },
        "components": [
            _component(_MODEL, weights["name"], weights["sha256"], ref="weights", group=weights["origin"]),
            _images(manifest),
            *(_component("file", name, entry["sha256"]) for name, entry in sorted(manifest["files"].items())),
        ],
        "dependencies": [{"ref": "artifact", "dependsOn": ["weights", "photographs"]}],
    }


def _component(kind: str, name: str, sha256: str, ref: str | None = None, **more: str) -> dict[str, Any]:
    named = {} if ref is None else {"bom-ref": ref}
    return {"type": kind, **named, "name": name, **more, "hashes": [{"alg": "SHA-256", "content": sha256}]}


def _software(name: str, version: str) -> dict[str, Any]:
    component: dict[str, Any] = {"type": "library", "name": name, "version": version}
    if name != "python":
        component["purl"] = f"pkg:pypi/{name}@{version}"
    if name in _LICENCES:
        component["licenses"] = [{"license": {"id": _LICENCES[name]}}]
    return component


def _images(manifest: Mapping[str, Any]) -> dict[str, Any]:
    found = sorted({p["sha256"] for images in manifest["photographs"].values() for p in images})
    digest = hashlib.sha256("\n".join(found).encode()).hexdigest()
    return _component("data", f"{len(found)} images (listed in manifest.json)", digest, ref="photographs")
