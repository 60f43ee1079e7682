"""What mutants are made of and shown to: a tiny artifact, its weights and images."""

from __future__ import annotations

import tarfile
from dataclasses import dataclass
from pathlib import Path

import torch

from quant.artifact.model import Artifact
from quant.artifact.open import open_artifact
from quant.data.collect import Source
from quant.data.split import ImageRecord, evaluation_images
from tests.support.images import pack_shards
from tests.support.tiny import TinyFiles, quantize_tiny, train_tiny
from tests.support.warm import WarmRuntime

_JUDGED = 4
"""Images a class: a check of a mutant takes a tenth of a second."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Scene:
    """Everything honest; mutants are written into copies."""

    files: TinyFiles
    artifact: Artifact
    shards: Path
    """The images as tar files."""
    inputs: torch.Tensor
    """Of the evaluation images, [n, 3, H, W]."""
    outputs: torch.Tensor
    """Logits of the program for them, [n, 3]."""
    images: tuple[ImageRecord, ...]

    @property
    def labels(self) -> torch.Tensor:
        """int64 [n]."""
        return torch.tensor([image.label for image in self.images])


def make_scene(folder: Path) -> Scene:
    """Train, quantize and pack, or take what an earlier call left in `folder`."""
    files, artifact = TinyFiles.of(folder), folder / "artifact"
    if not artifact.exists():
        if not files.weights.exists():
            train_tiny(folder)
        for path in files.data.rglob("val/*/*.jpg"):
            if int(path.stem) >= _JUDGED:
                path.unlink()
        quantize_tiny(files, artifact)
    shards = folder / "shards"
    if not shards.exists():
        pack_shards(files.data, shards)
    opened = open_artifact(artifact)
    source = Source(data=files.data, class_names=opened.labels, num_classes=len(opened.labels))
    images = evaluation_images(source, calibrated_on=frozenset()).evaluation
    inputs = torch.stack([opened.preprocess(image.path) for image in images])
    with WarmRuntime() as runtime:
        outputs = runtime.run(runtime.load(opened.program, "honest"), inputs)
    return Scene(files=files, artifact=opened, shards=shards, inputs=inputs, outputs=outputs, images=images)


def replace_file(path: Path, data: bytes) -> None:
    """Write a file that may be a hard link to an honest one."""
    path.unlink(missing_ok=True)
    path.write_bytes(data)


def tar_of(folder: Path) -> Path:
    """The one shard of evaluation images."""
    path = folder / "val" / "00.tar"
    assert tarfile.is_tarfile(path)
    return path
