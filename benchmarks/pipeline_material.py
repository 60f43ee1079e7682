"""Weights and images of one variant, for `quantize` and for the peers alike."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import islice
from pathlib import Path

import torch
from peers.peer import Material
from torch import nn

from edge_effnet.model import EfficientNet
from edge_effnet.preprocess import Preprocess
from edge_effnet.samples import CLASS_NAMES, write_folder
from edge_effnet.variants import resolve_variant
from edge_effnet.weights import load_pretrained
from edge_effnet.weights.save import save_checkpoint
from quant.data.batches import iterate_batches
from quant.data.collect import Source
from quant.data.split import split_images

EVALUATED = 32
"""Drawn pictures of the evaluation set."""

_SETTLING = 8
"""Pictures that the statistics of a random network are measured on."""


@dataclass(frozen=True, kw_only=True)
class Subject:
    """What one row group of the tables is about."""

    variant: str
    weights: str
    data: str
    material: Material
    side: int
    """Of the input, pixels."""
    calibration: tuple[Path, ...]
    """The images' files."""


def make_subject(variant: str, weights: str | None, data: str | None, calibration: int, folder: Path) -> Subject:
    """Lay out one variant's network and images.

    Args:
        variant: its short name.
        weights: a file; None: random weights with statistics measured on the pictures.
        data: a folder of images; None: pictures drawn by code.
        calibration: images to calibrate on; the peers get exactly those that `quantize` draws.
        folder: for everything made here.
    """
    folder.mkdir()
    side = resolve_variant(variant).resolution
    preprocess = (
        Preprocess(crop=side, resize=side)
        if weights is None
        else load_pretrained(weights, variant=variant).preprocess
    )
    if data is None:
        counts = {"calibration": max(calibration, len(CLASS_NAMES)), "val": EVALUATED}
        data = str(folder / "photographs")
        write_folder(Path(data), split_counts=counts, size=preprocess.resize, workers=2)
    if weights is None:
        model = EfficientNet.from_name(variant, num_classes=len(CLASS_NAMES))
        weights = _save_trained_looking(model, preprocess, Path(data), folder / "weights.safetensors")
    checkpoint = load_pretrained(weights, variant=variant)
    split = split_images(
        Source(data=Path(data), class_names=checkpoint.class_names, num_classes=checkpoint.num_classes),
        calibration=calibration,
        seed=0,
    )
    material = Material(folder, variant, weights)
    for name, listed in (("calibration", split.calibration), ("judged", split.evaluation[:1])):
        material.decode(name, [image.path for image in listed], preprocess)
    return Subject(
        variant=variant,
        weights=weights,
        data=data,
        material=material,
        side=preprocess.crop,
        calibration=tuple(image.path for image in split.calibration),
    )


def _save_trained_looking(model: EfficientNet, preprocess: Preprocess, images: Path, path: Path) -> str:
    """Give a random network the BatchNorm statistics of its own activations: signals neither die nor explode."""
    for module in model.modules():
        if isinstance(module, nn.BatchNorm2d):
            module.reset_running_stats()
            module.momentum = None  # the plain average over the batches
    torch.manual_seed(0)
    paths = list(islice(sorted(images.rglob("*.jpg")), _SETTLING))
    with torch.no_grad():
        for batch in iterate_batches(paths, preprocess, batch_size=2):
            model.train()(batch)
    model.class_names, model.preprocess = CLASS_NAMES, preprocess
    save_checkpoint(path, model.eval())
    return str(path)
