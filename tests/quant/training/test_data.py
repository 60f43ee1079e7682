from __future__ import annotations

import io
import tarfile
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from edge_effnet import Preprocess
from edge_effnet.errors import InputError
from quant.common.progress import NoProgress
from quant.data.readers.label_file import ImageOptions
from quant.data.readers.labelled import FolderImages
from quant.data.readers.shards import ShardImages, find_shards
from quant.training.distributed import Group
from quant.training.input.sets import SampleImages, open_sets
from tests.support.images import COLOURS, draw_classes, draw_image
from tests.support.training import tiny_config

ALONE = Group(rank=0, world=1, device=torch.device("cpu"))


def test_folders_are_classes_in_sorted_order(tmp_path: Path) -> None:
    images = FolderImages(draw_classes(tmp_path / "train", 2))
    assert images.class_names == ("blue", "green", "red")
    assert [item.label for item in images.items()] == [0, 0, 1, 1, 2, 2]
    shuffled = [item.number for item in images.items(seed=1, epoch=0)]
    assert sorted(shuffled) == list(range(6))
    assert shuffled == [item.number for item in images.items(seed=1, epoch=0)]
    assert shuffled != [item.number for item in images.items(seed=1, epoch=1)]


def test_images_without_classes_are_refused(tmp_path: Path) -> None:
    draw_image(tmp_path / "train" / "1.jpg")
    with pytest.raises(InputError, match="without class folders"):
        FolderImages(tmp_path / "train")


@pytest.mark.parametrize("size", [(60, 40), (40, 60), (50, 50), (40, 130)])
def test_a_decoded_picture_is_cut_as_its_file_is(size: tuple[int, int], tmp_path: Path) -> None:
    path = draw_image(tmp_path / "a.jpg", size=size)
    preprocess = Preprocess(crop=28, resize=32)
    with Image.open(path) as image:
        assert np.array_equal(preprocess.centre(image.convert("RGB"), "a.jpg"), preprocess.pixels(path))


def test_drawn_pictures_are_kept_and_the_same_again(tmp_path: Path) -> None:
    images = SampleImages("train", 20, image_size=32, seed=0, cache=tmp_path / "cache")
    images.draw(NoProgress())
    items = list(images.items())
    assert [item.label for item in items] == [i % 16 for i in range(20)]
    assert len(images) == 20
    (kept,) = (tmp_path / "cache").iterdir()
    written = kept.stat().st_mtime_ns
    again = SampleImages("train", 20, image_size=32, seed=0, cache=tmp_path / "cache")
    again.draw(NoProgress())
    assert kept.stat().st_mtime_ns == written
    assert np.array_equal(np.asarray(images.image(items[7])), np.asarray(again.image(items[7])))
    assert images.image(items[7]).size == (32, 32)


def _shard(path: Path, samples: list[tuple[str, str, str]]) -> Path:
    """Write (key, colour, text of .cls) as a tar file."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with tarfile.open(path, "w") as tar:
        for number, (key, colour, cls) in enumerate(samples):
            picture = draw_image(path.parent / "one.jpg", colour, seed=number)
            for suffix, data in (("jpg", picture.read_bytes()), ("cls", cls.encode())):
                if data:
                    info = tarfile.TarInfo(f"{key}.{suffix}")
                    info.size = len(data)
                    tar.addfile(info, io.BytesIO(data))
            picture.unlink()
    return path


def _shards(folder: Path, *, named: bool = True) -> list[Path]:
    colours = ("blue", "green", "red")
    samples = [(f"{i:03}", colours[i % 3], colours[i % 3] if named else str(i % 3)) for i in range(12)]
    for part in range(3):
        _shard(folder / f"{part:02}.tar", samples[part::3] if not named else samples[4 * part : 4 * part + 4])
    return find_shards(folder)


def test_shards_are_streamed_once_each_in_a_shuffled_order(tmp_path: Path) -> None:
    pytest.importorskip("webdataset")
    images = ShardImages(_shards(tmp_path), class_names=None, progress=NoProgress(), buffer=4)
    assert images.class_names == ("blue", "green", "red")
    assert len(images) == 12
    plain = list(images.items())
    assert [item.label for item in plain] == [i % 3 for i in range(12)]
    shuffled = [item.number for item in images.items(seed=0, epoch=0)]
    assert sorted(shuffled) == sorted(item.number for item in plain)
    assert len(set(shuffled)) == 12
    assert shuffled != [item.number for item in plain]
    assert shuffled == [item.number for item in images.items(seed=0, epoch=0)]
    assert shuffled != [item.number for item in images.items(seed=0, epoch=1)]
    picture = np.asarray(images.image(plain[0])).mean((0, 1))
    assert picture.argmax() == 2  # blue


def test_shards_with_indices_take_names_from_the_list(tmp_path: Path) -> None:
    pytest.importorskip("webdataset")
    shards = _shards(tmp_path, named=False)
    assert ShardImages(shards, class_names=None, progress=NoProgress()).class_names == ("0", "1", "2")
    named = ShardImages(shards, class_names=("b", "g", "r"), progress=NoProgress())
    assert named.class_names == ("b", "g", "r")
    assert {item.label for item in named.items()} == {0, 1, 2}


@pytest.mark.parametrize(
    ("samples", "message"),
    [
        ([("a", "red", "")], r"a\.tar:a: has no \.cls entry"),
        ([], "hold no samples"),
        ([("a", "red", "0"), ("b", "red", "2")], r"not 0\.\.1"),
    ],
)
def test_shards_without_usable_classes_are_refused(
    samples: list[tuple[str, str, str]], message: str, tmp_path: Path
) -> None:
    pytest.importorskip("webdataset")
    shard = _shard(tmp_path / "a.tar", samples)
    with pytest.raises(InputError, match=message):
        ShardImages([shard], class_names=None, progress=NoProgress())


def test_a_truncated_shard_is_named(tmp_path: Path) -> None:
    pytest.importorskip("webdataset")
    shard = _shard(tmp_path / "a.tar", [(str(i), "red", "red") for i in range(4)])
    shard.write_bytes(shard.read_bytes()[:3000])
    with pytest.raises(InputError, match=r"a\.tar: not a complete tar file"):
        ShardImages([shard], class_names=None, progress=NoProgress())


def test_a_name_that_is_in_a_shard_twice_is_named(tmp_path: Path) -> None:
    pytest.importorskip("webdataset")
    shard = _shard(tmp_path / "a.tar", [("x1", "red", "red"), ("x1", "red", "blue")])
    with pytest.raises(InputError, match=r"a\.tar:x1\.jpg: is in it twice"):
        ShardImages([shard], class_names=None, progress=NoProgress())


def test_an_unreadable_sample_is_named(tmp_path: Path) -> None:
    pytest.importorskip("webdataset")
    shard = _shard(tmp_path / "a.tar", [("x1", "red", "red")])
    shard.write_bytes(shard.read_bytes().replace(b"\xff\xd8\xff", b"\x00\x00\x00", 1))
    images = ShardImages([shard], class_names=None, progress=NoProgress())
    with pytest.raises(InputError, match=r"a\.tar:x1: not"):
        images.image(next(images.items()))


def test_a_folder_of_shards_is_opened_as_shards(tmp_path: Path) -> None:
    pytest.importorskip("webdataset")
    _shards(tmp_path / "train")
    _shards(tmp_path / "val")
    sets = open_sets(tiny_config(tmp_path, data=tmp_path), ALONE, NoProgress())
    assert isinstance(sets.train, ShardImages)
    assert len(sets.val) == 12


@pytest.mark.parametrize("halves", [True, False])
@pytest.mark.parametrize("numbered", [True, False])
def test_a_label_file_is_read_as_quantize_reads_it(halves: bool, numbered: bool, tmp_path: Path) -> None:
    folders = [tmp_path / "images" / half for half in (("train", "val") if halves else ("all",))]
    rows = []
    for folder in folders:
        for number in range(30):
            path = draw_image(
                folder / f"{folder.name}{number}.jpg", COLOURS[number % 3], seed=number + 100 * (folder.name == "val")
            )
            label = str(number % 3) if numbered else COLOURS[number % 3]
            rows.append(f"{path.name},{label}")
    draw_image(folders[-1] / "unlisted.jpg")
    (tmp_path / "labels.csv").write_text("\n".join(["image,label", *rows]))
    sets = open_sets(
        tiny_config(tmp_path, data=tmp_path / "images", images=ImageOptions(labels=tmp_path / "labels.csv")),
        ALONE,
        NoProgress(),
    )
    names = ("0", "1", "2") if numbered else tuple(sorted(COLOURS))
    assert sets.train.class_names == sets.val.class_names == names
    assert (len(sets.train), len(sets.val)) == ((30, 30) if halves else (24, 6))
    trained, judged = ({(Path(i.name).name, i.label) for i in side.items()} for side in (sets.train, sets.val))
    assert len(trained) + len(judged) == len(trained | judged) == len(rows)
    labels = dict(row.split(",") for row in rows)
    assert all(labels[name] == names[label] for name, label in trained | judged)
    assert [sum(label == i for _, label in judged) for i in range(3)] == [len(judged) // 3] * 3


def test_article_numbers_are_no_indices_of_outputs(tmp_path: Path) -> None:
    draw_image(tmp_path / "images" / "a.jpg")
    (tmp_path / "labels.csv").write_text("image,label\na.jpg,4006381333931\n")
    config = tiny_config(tmp_path, data=tmp_path / "images", images=ImageOptions(labels=tmp_path / "labels.csv"))
    with pytest.raises(
        InputError, match=r"labels\.csv: label 4006381333931 would be the index.+number the 1 classes"
    ):
        open_sets(config, ALONE, NoProgress())


def test_a_label_file_that_lists_no_other_half_is_refused(tmp_path: Path) -> None:
    draw_image(tmp_path / "images" / "a.jpg")
    (tmp_path / "labels.csv").write_text("image,label\na.jpg,red\n")
    config = tiny_config(tmp_path, data=tmp_path / "images", images=ImageOptions(labels=tmp_path / "labels.csv"))
    with pytest.raises(InputError, match=r"labels\.csv: lists no image to validate on"):
        open_sets(config, ALONE, NoProgress())
