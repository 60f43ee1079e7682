"""What mutants are made of and shown to: a tiny artifact, its weights and photographs."""

from __future__ import annotations

import os
import shutil
import tarfile
from dataclasses import dataclass
from pathlib import Path

import torch

from quant import quantize
from quant.artifact.model import Artifact, open_artifact
from quant.data.split import Photo, evaluation_photos
from quant.program.host import HostRuntime
from tests.support.photos import pack_shards
from tests.support.tiny import TinyFiles, train_tiny

_JUDGED = 4
"""Photographs a class: a check of a mutant takes a tenth of a second."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Scene:
    """Everything honest; mutants are written into copies."""

    files: TinyFiles
    artifact: Artifact
    shards: Path
    """The photographs as tar files."""
    inputs: torch.Tensor
    """Of the photographs that judge, [n, 3, H, W]."""
    outputs: torch.Tensor
    """Logits of the program for them, [n, 3]."""
    photos: tuple[Photo, ...]

    @property
    def labels(self) -> torch.Tensor:
        """int64 [n]."""
        return torch.tensor([photo.label for photo in self.photos])


def make_scene(folder: Path) -> Scene:
    """Train, quantize and pack, or take what an earlier call left in `folder`."""
    artifact, data = folder / "artifact", folder / "data"
    if not artifact.exists():
        trained = train_tiny(folder)
        for path in data.rglob("val/*/*.jpg"):
            if int(path.stem) >= _JUDGED:
                path.unlink()
        quantize("lite0", weights=trained.weights, data=data, calibration=24, out=artifact)
    files = TinyFiles(weights=folder / "tiny0.safetensors", data=data)
    shards = folder / "shards"
    if not shards.exists():
        pack_shards(data, shards)
    opened = open_artifact(artifact)
    photos = evaluation_photos(
        data, class_names=opened.labels, num_classes=len(opened.labels), calibrated_on=frozenset()
    ).evaluation
    inputs = torch.stack([opened.preprocess(photo.path) for photo in photos])
    with HostRuntime() as runtime:
        outputs = runtime.run(runtime.load(opened.program, "honest"), inputs)
    return Scene(
        files=files,
        artifact=opened,
        shards=shards,
        inputs=inputs,
        outputs=outputs,
        photos=photos,
    )


def copy_tree(source: Path, target: Path) -> Path:
    """Copy a folder of few files, hard links instead of contents."""
    return Path(shutil.copytree(source, target, copy_function=os.link))


def replace_file(path: Path, data: bytes) -> None:
    """Write a file that may be a hard link to an honest one."""
    path.unlink(missing_ok=True)
    path.write_bytes(data)


def tar_of(folder: Path) -> Path:
    """The one shard of photographs that judge."""
    path = folder / "val" / "00.tar"
    assert tarfile.is_tarfile(path)
    return path
