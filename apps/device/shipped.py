"""What of an artifact goes into an app: the program, its labels, what an app reads of the manifest, a self-test.

An app is published: the command with its paths, names, hashes and perceptual hashes of images, the verdict and the
golden inputs made of the evaluation set stay in the artifact. Golden images that code draws are nobody's.
"""

from __future__ import annotations

import json
import shutil
from pathlib import Path

from quant.artifact.model import Artifact
from quant.artifact.recognise import SEAL, seal_of

KEYS = (
    *("schema", "created", "variant", "head", "task", "activation", "image_size", "classes", "labelled"),
    *("sample_model", "preprocess", "input", "output", "backend", "precision", "npu", "versions"),
)
"""Of the manifest, as they are; `golden_photographs` and `files` list what is there."""

_FILES = ("model.pte", "labels.txt")


def ship(artifact: Artifact, folder: Path, *, self_test: bool) -> tuple[str, ...]:
    """Write an app's part of an artifact into an empty folder; the names of its files.

    Args:
        artifact: opened, so that its files are those of its manifest.
        folder: the app's.
        self_test: with the drawn golden images and what is expected of them.
    """
    images = artifact.manifest.get("golden_photographs", []) if self_test else []
    names = (*_FILES, *dict.fromkeys(name for entry in images for name in entry.values()))
    for name in names:
        (folder / name).parent.mkdir(exist_ok=True)
        shutil.copyfile(artifact.folder / name, folder / name)
    manifest = {
        **{key: artifact.manifest[key] for key in KEYS if key in artifact.manifest},
        "golden_photographs": images,
        "files": {name: artifact.manifest["files"][name] for name in names},
    }
    manifest[SEAL] = seal_of(manifest)
    (folder / "manifest.json").write_text(json.dumps(manifest, indent=2) + "\n")
    return (*names, "manifest.json")
