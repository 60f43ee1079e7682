"""Images that others made to do harm or that nobody meant to be read: a defined picture, or one sentence."""

import os
import time
import tracemalloc
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest
from PIL import Image

from edge_effnet import InputError, Preprocess, images
from edge_effnet.images import MAX_FILE_BYTES, open_rgb
from quant.data.cleaning import sha256_of_image
from quant.data.readers.labelled import FolderImages
from quant.training.task import read_plain
from tests.support.deadline import deadline
from tests.support.images import draw_image


def trained_on(path):
    """What `train` decodes of the folder that an image lies in."""
    found = FolderImages(path.parents[1])
    return [found.image(item) for item in found.items()]


@pytest.mark.parametrize("read", [open_rgb, sha256_of_image, trained_on])
def test_a_pipe_is_refused_and_not_waited_for(tmp_path, read):
    path = tmp_path / "train" / "red" / "0.jpg"
    path.parent.mkdir(parents=True)
    os.mkfifo(path)
    with deadline(5), pytest.raises(InputError, match=r"0\.jpg: not a regular file"):
        read(path)


@pytest.mark.parametrize("read", [open_rgb, sha256_of_image, trained_on])
def test_a_file_that_is_mostly_a_hole_is_refused_by_its_size(tmp_path, read):
    path = draw_image(tmp_path / "train" / "red" / "0.jpg")
    os.truncate(path, MAX_FILE_BYTES + 1)
    with deadline(1), pytest.raises(InputError, match=r"0\.jpg: has 1073741825 bytes, more than the 1073741824"):
        read(path)


@pytest.mark.parametrize("dtype", [np.uint16, np.int32])
def test_sixteen_bits_take_no_memory_besides_the_picture(tmp_path, dtype):
    values = np.arange(2000 * 4000, dtype=np.uint32).reshape(2000, 4000) % 65536
    path = tmp_path / "deep.tif"
    Image.fromarray(values.astype(dtype)).save(path)
    tracemalloc.start()
    try:
        decoded = open_rgb(path)
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert (np.asarray(decoded) == (values // 256).astype(np.uint8)[..., None]).all()
    assert peak < 3 * values.size


@pytest.mark.parametrize(("large", "expected"), [(100, 1), (1 << 20, 6)])
def test_large_images_are_decoded_in_turn_and_small_ones_at_once(tmp_path, monkeypatch, large, expected):
    path, held, together = draw_image(tmp_path / "0.jpg"), [], []

    def decode(image):
        held.append(image)
        together.append(len(held))
        time.sleep(0.1)
        held.pop()
        return image

    monkeypatch.setattr(images, "_LARGE_PIXELS", large)
    monkeypatch.setattr(images, "_as_rgb", decode)
    with ThreadPoolExecutor(6) as pool:
        list(pool.map(open_rgb, [path] * 6))
    assert max(together) == expected


def test_an_elongated_picture_is_refused_where_training_validates_too(tmp_path):
    Image.new("RGB", (8, 20_000)).save(tmp_path / "strip.png")
    (tmp_path / "val" / "red").mkdir(parents=True)
    (tmp_path / "strip.png").rename(tmp_path / "val" / "red" / "strip.png")
    found = FolderImages(tmp_path / "val")
    with pytest.raises(InputError, match=r"strip\.png: 8x20000 pixels is too elongated"):
        read_plain(found, Preprocess(crop=224, resize=1024), next(found.items()))
