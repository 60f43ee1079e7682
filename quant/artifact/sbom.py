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

_NOT_A_PACKAGE = ("python",)


def bill_of_materials(artifact: Artifact) -> dict[str, Any]:
    """Return the document; the same artifact gives the same one.

    The images are named by one digest: their names and contents are the user's own matter, and the manifest that
    the document refers to lists them.

    Args:
        artifact: opened, so that every hash is that of the file.
    """
    manifest = artifact.manifest
    made = manifest["files"]["model.pte"]["sha256"]
    return {
        "bomFormat": "CycloneDX",
        "specVersion": "1.6",
        "serialNumber": f"urn:uuid:{uuid.uuid5(uuid.NAMESPACE_OID, made)}",
        "version": 1,
        "metadata": {
            "timestamp": manifest["created"],
            "component": {
                "type": "machine-learning-model",
                "bom-ref": "artifact",
                "name": f"{manifest['variant']}-{manifest['recipe']['name']}-{manifest['backend']}",
                "hashes": [_sha256(made)],
            },
            "tools": {"components": [_software(name, version) for name, version in manifest["versions"].items()]},
        },
        "components": [_weights(manifest), _images(manifest), *_files(manifest)],
        "dependencies": [{"ref": "artifact", "dependsOn": ["weights", "photographs"]}],
    }


def _software(name: str, version: str) -> dict[str, Any]:
    component: dict[str, Any] = {"type": "library", "name": name, "version": version}
    if name not in _NOT_A_PACKAGE:
        component["purl"] = f"pkg:pypi/{name}@{version}"
    if name in _LICENCES:
        component["licenses"] = [{"license": {"id": _LICENCES[name]}}]
    return component


def _weights(manifest: Mapping[str, Any]) -> dict[str, Any]:
    weights = manifest["weights"]
    return {
        "type": "machine-learning-model",
        "bom-ref": "weights",
        "name": weights["name"],
        "group": weights["origin"],
        "hashes": [_sha256(weights["sha256"])],
    }


def _images(manifest: Mapping[str, Any]) -> dict[str, Any]:
    found = sorted({p["sha256"] for images in manifest["photographs"].values() for p in images})
    digest = hashlib.sha256("\n".join(found).encode()).hexdigest()
    return {
        "type": "data",
        "bom-ref": "photographs",
        "name": f"{len(found)} images (listed in manifest.json)",
        "hashes": [_sha256(digest)],
    }


def _files(manifest: Mapping[str, Any]) -> list[dict[str, Any]]:
    return [
        {"type": "file", "name": name, "hashes": [_sha256(entry["sha256"])]}
        for name, entry in sorted(manifest["files"].items())
    ]


def _sha256(value: str) -> dict[str, str]:
    return {"alg": "SHA-256", "content": value}
