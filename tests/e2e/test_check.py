"""`quant.check` over small programs whose verdict is known; the command line is in test_check_cli.py."""

import json
import shutil

import pytest
from PIL import Image

from edge_effnet.errors import MachineError
from quant import check
from quant.common.atomic_io import write_atomically
from quant.verdict.outcome import Outcome
from tests.support.artifacts import edit_manifest, make_artifact, sign_again, snapshot
from tests.support.images import COLOURS, draw_classes, draw_halves, draw_image
from tests.support.programs import RIGHT, SIZE, SWAPPED, colour_program
from tests.support.refusals import refusal_of


@pytest.fixture(scope="module")
def data(tmp_path_factory):
    return draw_halves(tmp_path_factory.mktemp("data"), train=1, val=2)


@pytest.fixture(scope="module")
def right(tmp_path_factory):
    return make_artifact(tmp_path_factory.mktemp("right") / "a").folder


@pytest.fixture(scope="module")
def swapped(tmp_path_factory):
    return make_artifact(tmp_path_factory.mktemp("swapped") / "a", channels=SWAPPED).folder


@pytest.fixture(scope="module")
def passed(right, data) -> Outcome:
    return check(right, data=data)


@pytest.fixture(scope="module")
def failed(swapped, data) -> Outcome:
    return check(swapped, data=data)


def refusal(*arguments, **settings):
    return refusal_of(check, *arguments, **settings)


def test_a_right_program_passes(passed):
    assert passed.passed
    assert (passed.float_accuracy.top1, passed.pte_accuracy.top1, passed.pte.agreement) == (1.0, 1.0, 1.0)
    assert passed.evaluation_images == 6 and passed.flips == ()
    assert passed.pte_program.latency_ms > 0 and passed.pte_program.load_ms > 0
    assert passed.pte_program.latency_p90_ms >= passed.pte_program.latency_ms
    assert passed.pte_program.size_bytes == len(colour_program(RIGHT))
    assert passed.quantized is None and passed.lowering is None
    assert {"total", "load", "time", "evaluate"} <= set(passed.seconds)


def test_a_program_that_swaps_two_classes_fails_and_says_which(failed):
    assert not failed.passed
    assert failed.float_accuracy.top1 == 1.0 and failed.pte_accuracy.top1 == pytest.approx(1 / 3)
    assert "top-1 33.3 % (float 100.0 %): -66.7 points" in failed.verdict.reasons[0]
    assert {(f.label, f.float_class, f.pte_class) for f in failed.flips} == {
        ("blue", "blue", "green"),
        ("green", "green", "blue"),
    }


def test_a_check_changes_nothing_in_the_artifact(right, data, passed):
    before = snapshot(right)
    check(right, data=data)
    assert snapshot(right) == before


def test_as_much_as_allowed_may_be_lost(swapped, data):
    assert check(swapped, data=data, max_drop=66.7).passed


def test_images_without_labels_get_a_verdict_on_agreement(right, swapped, tmp_path):
    for index, colour in enumerate(COLOURS * 2):
        draw_image(tmp_path / f"{index}.jpg", colour, seed=index)
    found = check(right, data=tmp_path)
    assert found.passed and found.float_accuracy.top1 is None and found.drop_interval is None
    assert not check(swapped, data=tmp_path).passed


def test_images_that_calibrated_are_left_out(tmp_path):
    data = draw_classes(tmp_path / "data", 2)
    fitted = [data / colour / "0.jpg" for colour in COLOURS]
    found = check(make_artifact(tmp_path / "a", calibrated_on=fitted).folder, data=data)
    assert found.evaluation_images == 3 and found.calibration_images == 3
    assert found.notes == ("Left out 3 images that the program was calibrated on.",)


def test_a_program_that_was_exchanged_is_refused(right, data, tmp_path):
    folder = shutil.copytree(right, tmp_path / "a")
    (folder / "model.pte").write_bytes(colour_program(SWAPPED))
    assert "model.pte: " in refusal(folder, data=data)


def test_an_exchanged_program_with_a_mended_manifest_fails_its_golden_outputs(right, data, tmp_path):
    folder = shutil.copytree(right, tmp_path / "a")
    (folder / "model.pte").write_bytes(colour_program(SWAPPED))
    sign_again(folder)
    message = refusal(folder, data=data)
    assert "golden input val/red/0.jpg is not the one that `quantize` wrote" in message and "dB" in message


@pytest.mark.parametrize("name", ["model.pte", "float.pte"])
def test_a_program_of_other_shapes_than_the_manifest_says_is_refused(right, data, tmp_path, name):
    folder = shutil.copytree(right, tmp_path / "a")
    (folder / name).write_bytes(colour_program((2, 1)))
    sign_again(folder)
    assert "output is [1, 2], manifest.json says [1, 3]" in refusal(folder, data=data)
    (folder / name).write_bytes(colour_program(RIGHT, SIZE * 2))
    sign_again(folder)
    assert "takes float32 inputs of (1, 3, 32, 32)" in refusal(folder, data=data)


@pytest.mark.parametrize("data_of_program", [b"no program", colour_program(RIGHT)[:300]])
def test_a_broken_program_with_a_mended_manifest_is_refused(right, data, tmp_path, data_of_program):
    folder = shutil.copytree(right, tmp_path / "a")
    (folder / "model.pte").write_bytes(data_of_program)
    sign_again(folder)
    assert "model.pte: " in refusal(folder, data=data)


def test_another_number_of_classes_than_the_images_have_is_told(tmp_path, data):
    folder = make_artifact(tmp_path / "a", classes=("blue", "green", "purple")).folder
    message = refusal(folder, data=data)
    assert "no folder for 'purple'" in message and "unknown class 'red'" in message


def test_an_artifact_without_class_names_takes_the_folders_order(tmp_path, data):
    folder = make_artifact(tmp_path / "a", classes=("0", "1", "2"), labelled=False).folder
    found = check(folder, data=data)
    assert found.passed and found.pte_accuracy.top1 == 1.0


def test_an_unreadable_image_is_named(right, tmp_path):
    data = draw_halves(tmp_path / "data", val=2)
    (data / "val" / "red" / "1.jpg").write_text("no image")
    assert "val/red/1.jpg" in refusal(right, data=data)


def test_large_images_and_odd_metadata_warn_nobody(right, tmp_path, monkeypatch):
    """Warnings are errors in this test run, as in many a user's."""
    data = draw_halves(tmp_path / "data", val=2)
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", 400)  # 480 pixels warn, from 800 on they would be refused
    assert check(right, data=data).passed


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"max_drop": -1}, "--max-drop -1"),
        ({"max_drop": float("nan")}, "--max-drop nan"),
        ({"threads": 0}, "--threads 0"),
        ({"update_baseline": True}, "--update-baseline needs --baseline FILE"),
    ],
)
def test_impossible_settings_are_refused_before_anything_is_read(settings, message):
    assert message in refusal("absent", data="absent", **settings)


def test_a_baseline_is_written_held_and_broken(right, swapped, data, tmp_path):
    baseline = tmp_path / "base" / "line.json"
    assert check(right, data=data, baseline=baseline, update_baseline=True).passed
    assert json.loads(baseline.read_text())["top1"] == 1.0
    held = check(right, data=data, baseline=baseline)
    assert held.passed and any("(the baseline " in reason for reason in held.verdict.reasons)
    # Float may lose as much as it likes here; the baseline still says what was reached before.
    broken = check(swapped, data=data, baseline=baseline)
    assert not broken.passed and any("(the baseline " in reason for reason in broken.verdict.reasons)


def test_a_baseline_of_other_images_is_refused(right, data, tmp_path):
    baseline = tmp_path / "b.json"
    check(right, data=data, baseline=baseline, update_baseline=True)
    other = draw_halves(tmp_path / "other", val=3)
    assert "other images or labels" in refusal(right, data=other, baseline=baseline)


def test_a_missing_or_broken_baseline_is_refused(right, data, tmp_path):
    assert "no such baseline" in refusal(right, data=data, baseline=tmp_path / "absent.json")
    (tmp_path / "broken.json").write_text("{")
    assert "not a baseline file" in refusal(right, data=data, baseline=tmp_path / "broken.json")


def test_only_a_baseline_is_overwritten(right, data, tmp_path):
    thesis = tmp_path / "thesis.txt"
    thesis.write_text("mine")
    assert "choose another name" in refusal(right, data=data, baseline=thesis, update_baseline=True)
    assert thesis.read_text() == "mine"


def test_a_failing_program_updates_the_baseline_and_still_fails(swapped, data, tmp_path):
    found = check(swapped, data=data, baseline=tmp_path / "b.json", update_baseline=True)
    assert not found.passed
    assert json.loads((tmp_path / "b.json").read_text())["top1"] == pytest.approx(1 / 3)


def test_a_baseline_that_cannot_be_written_is_the_machines_fault(right, data, tmp_path):
    (tmp_path / "file").touch()
    with pytest.raises(MachineError, match="cannot be written"):
        write_atomically(tmp_path / "file" / "b.json", b"x")
    with pytest.raises(MachineError, match="cannot be written"):
        check(right, data=data, baseline=tmp_path / "file" / "b.json", update_baseline=True)


def test_changed_labels_are_refused(right, data, tmp_path):
    """Swapped in both places that name them, the golden files cannot tell; the hash of labels.txt does."""
    folder = shutil.copytree(right, tmp_path / "a")
    edit_manifest(folder, lambda m: m.update(classes=["green", "blue", "red"]))
    (folder / "labels.txt").write_text("green\nblue\nred\n")
    assert "labels.txt" in refusal(folder, data=data)
