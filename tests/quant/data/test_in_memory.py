"""Images and labels in whatever Python keeps them, written down as files: the same pixels, the same order."""

from __future__ import annotations

import io
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image
from torch.utils.data import DataLoader, Dataset, TensorDataset

from edge_effnet import Preprocess
from quant.common.progress import NoProgress
from quant.data.readers.in_memory import Wanted, Written, write_images
from tests.support.refusals import refusal_of

SIDE = 16
PREPROCESS = Preprocess(crop=SIDE, resize=SIDE)
PIXELS = np.random.default_rng(0).integers(0, 256, (5, 20, 24, 3), dtype=np.uint8)
INPUTS = torch.randn(5, 3, SIDE, SIDE, generator=torch.Generator().manual_seed(0))
LABELS = [2, 0, 1, 1, 0]
ROWS = tuple((f"{i:06d}.png", (str(label),)) for i, label in enumerate(LABELS))


class Indexed(Dataset):
    """Map-style, and never out of range by itself."""

    def __init__(self, images: Any, labels: Any) -> None:
        self.images, self.labels = images, labels

    def __len__(self) -> int:
        return len(self.images)

    def __getitem__(self, index: int) -> tuple[Any, Any]:
        return self.images[index % len(self)], self.labels[index % len(self)]


def written(
    given: Any, folder: Path, *, kind: str = "class", names: tuple[str, ...] | None = None, labels: Any = None
) -> Written:
    wanted = Wanted(preprocess=PREPROCESS, kind=kind, names=names)
    return write_images(given, folder / "images", wanted, NoProgress(), labels=labels)


def generator() -> Iterator[tuple[Image.Image, int]]:
    for pixels, label in zip(PIXELS, LABELS, strict=True):
        yield Image.fromarray(pixels), label


AS_CHANNELS_FIRST = torch.from_numpy(PIXELS).permute(0, 3, 1, 2)

IMAGES: dict[str, Callable[[], Any]] = {
    "a generator": generator,
    "arrays": lambda: (PIXELS, LABELS),
    "a dict": lambda: {"images": PIXELS, "labels": np.array(LABELS)[:, None]},
    "pairs": lambda: list(zip(PIXELS, LABELS, strict=True)),
    "dicts": lambda: [{"image": image, "label": label, "id": 3} for image, label in zip(PIXELS, LABELS, strict=True)],
    "a data set": lambda: Indexed(PIXELS, LABELS),
    "a loader": lambda: DataLoader(TensorDataset(AS_CHANNELS_FIRST, torch.tensor(LABELS)), batch_size=2),
}


@pytest.mark.parametrize("name", IMAGES)
def test_images_keep_their_pixels_and_labels(name: str, tmp_path: Path) -> None:
    found = written(IMAGES[name](), tmp_path)
    assert (found.labels, found.tensors) == (ROWS, False)
    for (file, _), pixels in zip(ROWS, PIXELS, strict=True):
        assert np.array_equal(np.asarray(Image.open(tmp_path / "images" / file)), pixels)


@pytest.mark.parametrize(
    "given", [INPUTS, list(INPUTS), DataLoader(TensorDataset(INPUTS), batch_size=2), INPUTS.numpy(), INPUTS.double()]
)
def test_inputs_are_taken_as_they_are(given: Any, tmp_path: Path) -> None:
    found = written(given, tmp_path)
    assert (found.labels, found.tensors) == ((), True)
    preprocess = Preprocess(crop=SIDE, resize=SIDE, resize_mode="tensors")
    files = sorted((tmp_path / "images").iterdir())
    assert torch.equal(torch.stack([preprocess(file) for file in files]), INPUTS)
    assert preprocess.picture(files[0]).dtype == np.uint8


def test_paths_and_other_channels(tmp_path: Path) -> None:
    Image.fromarray(PIXELS[0]).save(tmp_path / "rose.jpg")
    assert written([str(tmp_path / "rose.jpg"), tmp_path / "rose.jpg"], tmp_path / "a").labels == ()
    assert sorted(p.name for p in (tmp_path / "a" / "images").iterdir()) == ["000000-rose.jpg", "000001-rose.jpg"]
    written(np.zeros((2, 20, 20, 5), np.uint8), tmp_path / "b")
    assert np.load(tmp_path / "b" / "images" / "000001.npy").shape == (20, 20, 5)


@pytest.mark.parametrize(
    ("kind", "names", "label", "words"),
    [
        ("class", None, np.int64(3), ("3",)),
        ("class", None, "rose", ("rose",)),
        ("labels", None, [1, 0, 1], ("0", "2")),
        ("labels", ("red", "green", "blue"), torch.tensor([0.0, 1.0, 1.0]), ("green", "blue")),
        ("numbers", None, [0.5, 2], ("0.5", "2")),
        ("numbers", None, 1e-7, ("1e-07",)),
    ],
)
def test_labels_in_words(kind: str, names: Any, label: Any, words: tuple[str, ...], tmp_path: Path) -> None:
    assert written([(PIXELS[0], label)], tmp_path, kind=kind, names=names).labels == (("000000.png", words),)


def cut_off() -> Image.Image:
    """Opened, which reads no further than the size."""
    file = io.BytesIO()
    Image.fromarray(PIXELS[0]).save(file, "JPEG")
    return Image.open(io.BytesIO(file.getvalue()[:-200]))


@pytest.mark.parametrize(
    ("given", "labels", "words"),
    [
        ([cut_off()], None, "image 0 cannot be decoded"),
        (iter(()), None, "yields no images; was the generator used up before?"),
        ([], None, "yields no images"),
        (7, None, "got a int; need a folder"),
        ([object()], None, "image 0 is a object; need a PIL image"),
        ([(PIXELS[0], 1), PIXELS[1]], None, "1 of 2 images have no label"),
        ([PIXELS[0], INPUTS[0]], None, "image 1 is a preprocessed tensor, others are not"),
        (
            torch.zeros(2, 3, 20, 20),
            None,
            "need uint8 pixels, or the network's input, preprocessed: float32 [3, 16, 16]",
        ),
        (torch.full((2, 3, SIDE, SIDE), torch.nan), None, "image 0 has values that are not finite"),
        (PIXELS[0], None, "one image [20, 24, 3]; need several"),
        (PIXELS, [1, 2], "2 for 5 images"),
        (PIXELS.astype(np.int64), None, "image 0 is int64 [20, 24, 3]"),
        ({"a": 1}, None, "the images go under 'images'"),
        ([(PIXELS[0], -1)], None, "the label of image 0 is -1; need a class's name, or its number from 0"),
        ([(PIXELS[0], [0, 1])], None, "the label of image 0 is [0, 1]"),
        (["nowhere.png"], None, "nowhere.png is no file"),
        (generator(), [1], "an iterable yields (image, label)"),
    ],
)
def test_refused_in_one_sentence(given: Any, labels: Any, words: str, tmp_path: Path) -> None:
    assert words in refusal_of(written, given, tmp_path, labels=labels)
