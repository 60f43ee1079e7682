"""The tiny network with heads for other tasks, and targets for its images by their colours."""

from __future__ import annotations

import shutil
from dataclasses import dataclass
from pathlib import Path

import torch
from torch import nn

from edge_effnet import load_checkpoint, save_checkpoint
from tests.support.tiny import TinyFiles

CENTRED = torch.eye(3) - 1 / 3
"""Of the logits of blue, green and red: above 0 for the colour that an image has."""

LABELS = ("blue", "green", "red", "warm")
TARGETS = {"blue": (1.0, 0.0, 0.0, 0.0), "green": (0.0, 1.0, 0.0, 1.0), "red": (0.0, 0.0, 1.0, 1.0)}


@dataclass(frozen=True, kw_only=True)
class Head:
    """What becomes of the tiny network's three logits, and of its images."""

    mix: torch.Tensor
    """[outputs, 3]."""
    shift: float = 0.0
    names: tuple[str, ...] | None = None
    targets: dict[str, tuple[float, ...]] | None = None
    """By colour."""


HEADS = {
    "multilabel": Head(mix=torch.cat([CENTRED, -CENTRED[:1]]), names=LABELS, targets=TARGETS),
    "binary": Head(mix=CENTRED[2:]),
    # A number that the colour tells: blue is -1, green 0, red 1, in steps of about its logits.
    "regression": Head(
        mix=torch.stack([CENTRED[2] - CENTRED[0], CENTRED[1]]),
        shift=30.0,
        targets={"blue": (22.0, 26.0), "green": (30.0, 38.0), "red": (38.0, 26.0)},
    ),
}


def make_network(tiny: TinyFiles, path: Path, head: Head) -> Path:
    """Write the tiny network with another head."""
    model = load_checkpoint(tiny.weights).model
    known = model.classifier
    assert isinstance(known, nn.Linear)
    linear = nn.Linear(known.in_features, len(head.mix))
    with torch.no_grad():
        linear.weight.copy_(head.mix @ known.weight)
        linear.bias.copy_(head.mix @ known.bias + head.shift)
    model.classifier, model.num_classes, model.class_names = linear, len(head.mix), head.names
    save_checkpoint(path, model)
    return path


def two_folders(tiny: TinyFiles, folder: Path) -> Path:
    """The tiny images as what is red and what is not."""
    for half in ("train", "val"):
        for colour in TARGETS:
            place = folder / half / ("red" if colour == "red" else "other")
            place.mkdir(parents=True, exist_ok=True)
            for image in (tiny.data / half / colour).iterdir():
                shutil.copy(image, place / f"{colour}-{image.name}")
    return folder


def labels_file(head: Head, data: Path, path: Path) -> Path | None:
    """Write the targets of images by their colours; nothing where the head has none."""
    if head.targets is None:
        return None
    rows = [["image", *(head.names or ("reddish", "greenish"))]]
    for image in sorted(data.glob("*/*/*")):
        rows.append(
            [image.relative_to(data).as_posix(), *(f"{value:g}" for value in head.targets[image.parent.name])]
        )
    path.write_text("".join(",".join(row) + "\n" for row in rows))
    return path
