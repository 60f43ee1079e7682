import json
from dataclasses import asdict, replace

import pytest

from edge_effnet.errors import InputError
from quant.metrics.evaluate import NO_ACCURACY, Fidelity
from quant.verdict.baseline import (
    baseline_json,
    check_baseline,
    digest_of,
    make_baseline,
    read_baseline,
    require_baseline_file,
)
from tests.support.baselines import IMAGES, PROGRAM, accuracy, baseline_of
from tests.support.refusals import refusal_of

FIDELITY = Fidelity(agreement=0.972, sqnr_db=20.0)


def test_what_is_written_is_what_is_read(tmp_path):
    baseline = make_baseline(IMAGES, accuracy(0.952), FIDELITY, PROGRAM)
    assert baseline == baseline_of()
    (tmp_path / "b.json").write_text(baseline_json(baseline))
    assert read_baseline(tmp_path / "b.json", IMAGES) == baseline
    values = json.loads(baseline_json(baseline))
    figures = asdict(baseline)
    assert len(values.pop("seal")) == 64
    assert values == {"schema": 2, "photographs": figures.pop("digest"), **figures}


def test_order_and_names_of_images_do_not_matter_but_contents_and_labels_do():
    assert digest_of(IMAGES) == digest_of([replace(p, name="other") for p in reversed(IMAGES)])
    assert digest_of(IMAGES) != digest_of(IMAGES[1:])
    assert digest_of(IMAGES) != digest_of([replace(IMAGES[0], sha256="f" * 64), *IMAGES[1:]])
    assert digest_of(IMAGES) != digest_of([replace(IMAGES[0], label=2), *IMAGES[1:]])


def refusal(path, images=IMAGES):
    message = refusal_of(read_baseline, path, images, begins=f"{path}: ")
    assert "--update-baseline" in message
    return message


def test_a_missing_baseline_says_how_to_make_one(tmp_path):
    assert "no such baseline; write one with --update-baseline" in refusal(tmp_path / "absent.json")


def test_a_baseline_of_other_images_is_refused(tmp_path):
    (tmp_path / "b.json").write_text(baseline_json(baseline_of()))
    assert "of 250 other images or labels than these 249" in refusal(tmp_path / "b.json", IMAGES[1:])


@pytest.mark.parametrize(
    "text", ["", "{", "[]", "7", '"x"', "{}", "\x00\xff", "[" * 100_000, '{"schema": 1}', '{"schema": 2, "seal": 1}']
)
def test_a_file_that_is_no_baseline_is_refused(tmp_path, text):
    path = tmp_path / "b.json"
    path.write_text(text, encoding="latin-1")
    assert "not a baseline file" in refusal(path)


def test_a_folder_is_no_baseline(tmp_path):
    assert "not a baseline file" in refusal(tmp_path)


@pytest.mark.parametrize("change", [{"top1": None}, {"images": 500}])
def test_a_baseline_edited_to_compare_nothing_is_refused(tmp_path, change):
    (tmp_path / "b.json").write_text(baseline_json(replace(baseline_of(), **change)))
    assert "it was edited" in refusal(tmp_path / "b.json")


def test_only_a_baseline_or_nothing_is_overwritten(tmp_path):
    require_baseline_file(tmp_path / "new.json")
    (tmp_path / "b.json").write_text(baseline_json(baseline_of()))
    require_baseline_file(tmp_path / "b.json")
    (tmp_path / "thesis.txt").write_text("mine")
    (tmp_path / "dangling.json").symlink_to(tmp_path / "absent")
    for path in (tmp_path / "thesis.txt", tmp_path, tmp_path / "dangling.json"):
        with pytest.raises(InputError, match="choose another name"):
            require_baseline_file(path)


@pytest.mark.parametrize("digits", [("0.952", "0.5"), ("250", "249"), (PROGRAM, "cd" * 32), ("20.0", "21.0")])
def test_a_figure_edited_by_hand_breaks_the_seal(tmp_path, digits):
    path = tmp_path / "b.json"
    path.write_text(baseline_json(baseline_of()).replace(*digits))
    assert "its seal does not fit its figures" in refusal(path)


@pytest.mark.parametrize(
    ("top1", "agreement", "program", "edited"),
    [
        (0.952, 0.972, PROGRAM, None),
        (0.944, 0.972, PROGRAM, None),  # two images of 250 are rounding on another processor
        (0.5, 0.972, PROGRAM, "top-1 50.0 %"),
        (0.952, 0.5, PROGRAM, "agreement 50.0 %"),
        (None, 0.5, PROGRAM, "agreement 50.0 %"),
        (0.5, 0.5, "cd" * 32, None),  # another program may well be better
    ],
)
def test_a_baseline_of_this_very_program_has_to_be_right(top1, agreement, program, edited):
    now = NO_ACCURACY if top1 is None else accuracy(0.952)
    found = check_baseline(baseline_of(top1=top1, agreement=agreement), program, now, FIDELITY)
    assert found is None if edited is None else f"it gives {edited} for this very program" in found.message
    if edited is None and program != PROGRAM:
        assert check_baseline(baseline_of(top1=top1, agreement=agreement), PROGRAM, now, FIDELITY) is not None


@pytest.mark.parametrize(
    ("sqnr_db", "program", "edited"),
    [(20.9, PROGRAM, False), (5.0, PROGRAM, True), (60.0, PROGRAM, True), (5.0, "cd" * 32, False)],
)
def test_a_baseline_of_this_very_program_has_its_sqnr(sqnr_db, program, edited):
    found = check_baseline(baseline_of(sqnr_db=sqnr_db), program, accuracy(0.952), FIDELITY)
    assert (found is not None and f"it gives {sqnr_db:.1f} dB for this very program" in found.message) == edited
