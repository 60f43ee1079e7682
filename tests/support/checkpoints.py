"""Weight files of small networks that do tell the colours of our drawn images apart."""

from __future__ import annotations

from pathlib import Path

import torch

from edge_effnet import EfficientNet, Preprocess, save_checkpoint
from tests.support.images import COLOURS, draw_image
from tests.support.networks import trained_looking

_PER_CLASS = 32


def colour_checkpoint(path: Path, variant: str, size: int) -> Path:
    """Write an untrained network with trained-looking statistics and a classifier fitted to colours.

    The images that it is fitted on have seeds of their own, so that none is one of a test's.
    """
    with torch.random.fork_rng():
        torch.manual_seed(0)  # the same network whichever tests ran before
        model = EfficientNet.from_name(variant, num_classes=len(COLOURS), image_size=size)
    trained_looking(model, image_size=size)
    model.class_names, model.preprocess = COLOURS, Preprocess(crop=size, resize=size)
    folder = path.parent / f"{path.stem}-fitted-on"
    paths = [
        draw_image(folder / f"{colour}{i}.jpg", colour, seed=10**6 + i)
        for colour in COLOURS
        for i in range(_PER_CLASS)
    ]
    with torch.no_grad():
        features = model.extract_features(torch.stack([model.preprocess(p) for p in paths])).mean(dim=(2, 3))
        wanted = 10 * torch.eye(len(COLOURS)).repeat_interleave(_PER_CLASS, dim=0)
        # Ridge regression with an intercept, in its dual form: fewer images than features.
        mean, middle = features.mean(dim=0), wanted.mean(dim=0)
        centred = features - mean
        gram = centred @ centred.T
        ridge = 1.0 * gram.diagonal().mean() * torch.eye(len(gram))
        weight = (centred.T @ torch.linalg.solve(gram + ridge, wanted - middle)).T
        model.classifier.weight.copy_(weight)
        model.classifier.bias.copy_(middle - weight @ mean)
    save_checkpoint(path, model)
    return path
