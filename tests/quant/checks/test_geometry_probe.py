"""Another resizing that suits float better, by networks that know images in one geometry."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import numpy as np
import pytest
import torch
from PIL import Image

from edge_effnet import Preprocess
from quant.checks.preprocessing_probe import Probe, better_geometry, usual_geometries
from quant.common.findings import Severity
from quant.data.split import ImageRecord
from tests.support.outcomes import images

CROPPED = Preprocess(crop=16, resize=16)
SQUASHED = replace(CROPPED, resize_mode="squash")
CLASSES = 3


@pytest.fixture(scope="module")
def wide(tmp_path_factory: pytest.TempPathFactory) -> list[ImageRecord]:
    """Three times as wide as high: noise, of another brightness at both ends by the class."""
    folder, random = tmp_path_factory.mktemp("wide"), np.random.default_rng(0)
    records = images(36)
    for index, record in enumerate(records):
        pixels = random.integers(60, 130, (16, 48, 3))
        pixels[:, :16] += 40 * (index % CLASSES)
        pixels[:, 32:] += 40 * (index % CLASSES)
        path = folder / f"{index}.png"
        Image.fromarray(pixels.astype(np.uint8)).save(path)
        records[index] = replace(record, path=path, label=index % CLASSES)
    return records


def knower(records: list[ImageRecord], geometry: Preprocess) -> Callable[[torch.Tensor], torch.Tensor]:
    """A network that knows the brightness of each class in a geometry."""
    seen = torch.stack([geometry(record.path) for record in records]).mean(dim=(1, 2, 3))
    known = torch.stack([seen[label::CLASSES].mean() for label in range(CLASSES)])
    return lambda x: 9.0 - 9.0 * ((x.mean(dim=(1, 2, 3))[:, None] - known) / 0.2).square()


def probe(records: list[ImageRecord], preprocess: Preprocess, run: Callable[[torch.Tensor], torch.Tensor]) -> Probe:
    labels = torch.tensor([record.label for record in records])
    logits = run(torch.stack([preprocess(record.path) for record in records]))
    return Probe(images=records, labels=labels, logits=logits, preprocess=preprocess)


def test_squashing_is_named_where_float_knows_whole_images(wide: list[ImageRecord]) -> None:
    run = knower(wide, SQUASHED)
    found = better_geometry(run, probe(wide, CROPPED, run))
    assert found is not None
    assert found.code == "geometry" and found.severity is Severity.NOTE
    assert f"by --resize 16x16 the float network is right on {len(wide)} of {len(wide)} images" in found.message
    assert found.remedy == "Compare float's accuracy with --resize 16x16."


def test_a_network_that_sees_what_it_knows_is_left_alone(wide: list[ImageRecord]) -> None:
    run = knower(wide, SQUASHED)
    assert better_geometry(run, probe(wide, SQUASHED, run)) is None
    assert better_geometry(run, probe(wide[:5], CROPPED, run)) is None


def test_what_is_done_anyway_is_not_tried() -> None:
    tried = usual_geometries(Preprocess(crop=224, resize=256))
    assert list(tried) == [
        "--resize 224x224",
        "--resize 224 --resize-mode shorter",
        "--resize 224 --resize-mode pad-black",
    ]
