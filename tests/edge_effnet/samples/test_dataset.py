import numpy as np
import pytest

from edge_effnet.errors import InputError
from edge_effnet.samples import CLASS_NAMES, SPLITS, draw
from edge_effnet.samples.classes import CLASSES, TIERS
from edge_effnet.samples.dataset import tier_of
from edge_effnet.samples.shapes import SHAPES
from edge_effnet.samples.streams import Stream, philox_key
from edge_effnet.samples.textures import TEXTURES

# Mean of each colour over the four quarters of two pictures at 96 pixels, 0..255. Statistics and not bytes:
# another Pillow release may round a filter or the JPEG codec differently; a real change moves them far more.
GOLDEN = {
    ("train", 5): ((157.7, 173.5, 100.0), (153.6, 171.2, 99.8), (98.4, 113.6, 95.8), (100.6, 117.4, 99.0)),
    ("val", 10): ((112.6, 123.8, 120.2), (89.5, 99.1, 97.0), (97.9, 101.5, 106.9), (66.0, 75.6, 71.7)),
}
REGENERATE = (
    'python -c "import tests.edge_effnet.samples.test_dataset as t; print({k: t.quarters(*k) for k in t.GOLDEN})"'
)


def quarters(split: str, index: int) -> tuple[tuple[float, ...], ...]:
    pixels, _ = draw(split, index, 96)
    means = pixels.reshape(2, 48, 2, 48, 3).mean(axis=(1, 3)).reshape(4, 3)
    return tuple(tuple(round(float(value), 1) for value in row) for row in means)


def test_the_classes_are_sixteen_in_the_order_of_their_folders():
    assert len(CLASS_NAMES) == 16
    assert list(CLASS_NAMES) == sorted(CLASS_NAMES)
    assert len({(spec.shape, spec.texture) for spec in CLASSES}) == 16


def test_neither_shape_nor_texture_alone_names_a_class():
    for shape in SHAPES:
        assert sum(spec.shape == shape for spec in CLASSES) == 2
    for texture in TEXTURES:
        assert sum(spec.texture == texture for spec in CLASSES) == 2


@pytest.mark.parametrize("size", [32, 96, 224, 300])
def test_a_picture_is_the_same_whenever_it_is_drawn(size):
    first, label = draw("train", 7, size)
    draw("val", 3, size)  # whatever is drawn in between leaves no trace
    again, same_label = draw("train", 7, size)
    assert first.shape == (size, size, 3)
    assert first.dtype == np.uint8
    assert label == same_label == 7
    np.testing.assert_array_equal(first, again)


@pytest.mark.parametrize("key", GOLDEN)
def test_the_set_does_not_change_unnoticed(key):
    # The sample weights were trained on exactly this set: a change of it needs new weights.
    found = quarters(*key)
    assert np.abs(np.subtract(found, GOLDEN[key])).max() <= 1.5, f"got {found}; to accept it: {REGENERATE}"


def test_a_scene_looks_the_same_at_every_size():
    for index in range(8):
        small, large = (draw("val", index, size)[0].astype(np.float64) for size in (96, 192))
        coarse = [
            picture.reshape(16, side, 16, side, 3).mean(axis=(1, 3)) for picture, side in ((small, 6), (large, 12))
        ]
        assert np.abs(coarse[0] - coarse[1]).mean() < 6, index


def test_every_class_and_every_tier_is_drawn():
    labels, spreads = set(), []
    for index in range(16):
        pixels, label = draw("calibration", index, 64)
        labels.add(label)
        spreads.append(float(pixels.std()))
    assert labels == set(range(16))
    assert min(spreads) > 3, "an empty picture"
    drawn = [tier_of("train", index).name for index in range(2000)]
    for tier in TIERS:
        assert abs(drawn.count(tier.name) / len(drawn) - tier.share) < 0.04
    assert sum(tier.share for tier in TIERS) == pytest.approx(1)


@pytest.mark.parametrize("start", [0, 5, 160])
def test_labels_are_balanced_in_every_run_of_sixteen(start):
    assert sorted(draw("train", start + k, 32)[1] for k in range(16)) == list(range(16))


def test_splits_and_seeds_share_no_stream():
    coordinates = [
        (seed, split_id, index, stage)
        for seed in (0, 1, 2**64 - 1)
        for split_id in range(len(SPLITS))
        for index in (0, 1, 255, 256, 2**40 - 1)
        for stage in range(3)
    ]
    keys = {
        philox_key(seed=seed, split_id=split_id, index=index, stage=stage)
        for seed, split_id, index, stage in coordinates
    }
    assert len(keys) == len(coordinates)
    assert max(keys) < 2**128


def test_splits_and_seeds_share_no_picture():
    drawn = [draw(split, index, 32, seed)[0].tobytes() for split in SPLITS for index in range(32) for seed in (0, 1)]
    assert len(set(drawn)) == len(drawn)


def test_noise_is_centred_with_unit_deviation():
    noise = Stream(1).noise(3, 101, 101)
    assert noise.shape == (3, 101, 101)
    assert abs(float(noise.mean())) < 0.02
    assert abs(float(noise.std()) - 1) < 0.02
    grid = Stream(2).grid(100, 100)
    assert 0 <= float(grid.min()) <= float(grid.max()) < 1


def test_the_random_words_are_philox():
    # The first words of Philox4x64-10 under key 0: numpy promises that a bit generator's raw stream stays.
    assert [Stream(0).uniform() for _ in range(2)] == [Stream(0).uniform()] * 2
    assert Stream(0).uniform() == (int(np.random.Philox(key=0).random_raw()) >> 11) * 2.0**-53


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("test", 0, 96), "choose one of train, calibration, val"),
        (("train", -1, 96), "index -1"),
        (("train", 2**40, 96), "index"),
        (("train", 0, 31), "size 31: need 32..4096"),
        (("train", 0, 5000), "size 5000"),
        (("train", 0, 96, -1), "seed -1"),
        (("train", 0, 96, 2**64), "seed"),
    ],
)
def test_bad_arguments_are_named(arguments, message):
    with pytest.raises(InputError, match=message):
        draw(*arguments)
