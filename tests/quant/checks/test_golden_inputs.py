"""Golden inputs that this preprocessing does not make."""

import numpy as np
import pytest

from quant.artifact.open import open_artifact
from quant.checks.golden_inputs import check_golden_inputs, check_golden_values
from quant.data.cleaning import sha256_of_image
from quant.data.split import ImageRecord
from tests.support.artifacts import edit_manifest, make_artifact, sign_again
from tests.support.images import draw_image


@pytest.fixture
def folder(tmp_path):
    """An artifact whose golden input is made of an image that was kept."""
    folder = make_artifact(tmp_path / "a").folder
    image = draw_image(tmp_path / "photos" / "0.jpg", size=(64, 48))
    judged = [{"name": "val/red/0.jpg", "sha256": sha256_of_image(image)}]
    edit_manifest(folder, lambda m: m["photographs"].update(evaluation=judged))
    sign_again(folder)
    write_input(folder, open_artifact(folder).preprocess(image).numpy())
    return folder


def write_input(folder, values):
    (entry,) = open_artifact(folder).manifest["golden"]
    (folder / entry["input"]).write_bytes(np.ascontiguousarray(values, dtype="<f4").tobytes())
    sign_again(folder)


def among(folder):
    path = folder.parent / "photos" / "0.jpg"
    return [ImageRecord(path=path, name="other/name.jpg", label=0, sha256=sha256_of_image(path))]


def given(folder):
    (golden,) = open_artifact(folder).golden()
    return golden.input.numpy()


def test_honest_ones_are_what_preprocessing_makes(folder):
    artifact = open_artifact(folder)
    assert check_golden_values(artifact) is None and check_golden_inputs(artifact, among(folder)) is None


def test_images_that_are_not_there_say_nothing(folder):
    write_input(folder, given(folder)[::-1])
    assert check_golden_inputs(open_artifact(folder), []) is None


@pytest.mark.parametrize(
    "change",
    [lambda x: x[::-1], lambda x: x * 1.1, lambda x: x + 0.2, lambda x: x.transpose(1, 2, 0).reshape(x.shape)],
    ids=["channels", "std", "mean", "layout"],
)
def test_one_made_otherwise_is_found_by_its_image(folder, change):
    write_input(folder, change(given(folder)))
    found = check_golden_inputs(open_artifact(folder), among(folder))
    assert found.code == "preprocessing" and "does not become the golden input" in found.message


def test_rounding_of_another_decoder_is_no_other_preprocessing(folder):
    write_input(folder, given(folder) + 1.0 / 255 / 0.225)
    assert check_golden_inputs(open_artifact(folder), among(folder)) is None


@pytest.mark.parametrize("mean", [0.5, 0.45])
def test_another_mean_leaves_no_whole_numbers(folder, mean):
    edit_manifest(folder, lambda m: m["preprocess"].update(mean=[mean] * 3))
    sign_again(folder)
    found = check_golden_values(open_artifact(folder))
    assert found.code == "preprocessing"
    assert "the golden input of val/red/0.jpg was not made with the mean and std" in found.message
