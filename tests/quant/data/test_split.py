import os
import shutil

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from edge_effnet.errors import InputError
from quant.common.findings import Severity, messages
from quant.common.progress import NoProgress
from quant.data.classes import read_class_list
from quant.data.cleaning import verifier
from quant.data.collect import Source
from quant.data.split import evaluation_images, split_images
from tests.support.images import COLOURS, draw_classes, draw_halves, draw_image
from tests.support.refusals import refusal_of

DRAW = {"calibration": 8, "seed": 0, "selection": 0, "training": False}


def split(data, **settings):
    draw = {name: settings.pop(name, default) for name, default in DRAW.items()}
    return split_images(Source(data=data, **{"class_names": COLOURS, "num_classes": 3, **settings}), **draw)


def evaluate(data, *, calibrated_on=frozenset(), **settings):
    source = Source(data=data, **{"class_names": COLOURS, "num_classes": 3, **settings})
    return evaluation_images(source, calibrated_on=calibrated_on)


def names(images):
    return [image.name for image in images]


def sentences(split):
    return messages(split.findings, *Severity)


def test_halves_calibrate_on_train_and_evaluate_on_all_of_val(tmp_path):
    found = split(draw_halves(tmp_path, train=4, val=2))
    assert len(found.calibration) == 8 and all(n.startswith("train/") for n in names(found.calibration))
    assert names(found.evaluation) == [f"val/{c}/{i}.jpg" for c in COLOURS for i in range(2)]
    assert [image.label for image in found.evaluation] == [0, 0, 1, 1, 2, 2]
    assert found.class_names == COLOURS
    assert not {p.sha256 for p in found.calibration} & {p.sha256 for p in found.evaluation}


def test_labels_follow_the_networks_order_of_classes_not_the_alphabets(tmp_path):
    found = split(draw_halves(tmp_path), class_names=("red", "blue", "green"))
    assert {image.name.split("/")[1]: image.label for image in found.evaluation} == {"red": 0, "blue": 1, "green": 2}


def test_without_names_in_the_weights_sorted_folders_are_the_classes(tmp_path):
    assert split(draw_halves(tmp_path), class_names=None).class_names == COLOURS


def test_class_folders_alone_are_split_by_class_and_disjoint(tmp_path):
    found = split(draw_classes(tmp_path, 8), calibration=9)
    assert sorted(image.label for image in found.calibration) == [0, 0, 0, 1, 1, 1, 2, 2, 2]
    assert len(found.evaluation) == 24 - 9
    assert not set(names(found.calibration)) & set(names(found.evaluation))
    assert sentences(found) == ()


def test_at_most_half_of_each_class_calibrates_and_it_is_said(tmp_path):
    draw_classes(tmp_path, 8, colours=("red", "green"))
    draw_image(tmp_path / "blue" / "only.jpg", "blue")
    found = split(tmp_path, calibration=100)
    assert sorted(image.label for image in found.calibration) == [1] * 4 + [2] * 4
    assert "blue/only.jpg" in names(found.evaluation)
    assert sentences(found) == ("Calibrating on 8 images; 100 were asked for.",)


def test_classes_of_one_image_each_are_shared_between_the_sides(tmp_path):
    folders = tuple(f"class{index:02}" for index in range(20))
    for number, folder in enumerate(folders):
        draw_image(tmp_path / folder / "0.jpg", seed=number)
    found = split(tmp_path, class_names=folders, num_classes=20)
    assert (len(found.calibration), len(found.evaluation)) == (8, 12)


def test_half_of_the_default_is_enough_and_less_is_said(tmp_path, monkeypatch):
    draw_classes(tmp_path, 8)
    for default, notes in ((12, 0), (24, 0), (26, 1)):
        monkeypatch.setattr("quant.data.split.DEFAULT_CALIBRATION", default)
        assert len(sentences(split(tmp_path, calibration=default))) == notes


def test_images_alone_have_no_labels(tmp_path):
    for index in range(20):
        draw_image(tmp_path / f"{index:02}.jpg", seed=index)
    found = split(tmp_path)
    assert found.class_names is None
    assert (len(found.calibration), len(found.evaluation)) == (8, 12)
    assert {image.label for image in (*found.calibration, *found.evaluation)} == {None}


def test_unlabelled_halves_are_halves_too(tmp_path):
    for index in range(10):
        draw_image(tmp_path / "train" / f"{index}.jpg", seed=index)
        draw_image(tmp_path / "val" / f"{index}.jpg", seed=100 + index)
    found = split(tmp_path)
    assert all(name.startswith("train/") for name in names(found.calibration))
    assert len(found.evaluation) == 10 and found.class_names is None


def test_the_seed_alone_decides_the_draw(tmp_path):
    draw_classes(tmp_path, 10)
    first, again, other = split(tmp_path, seed=1), split(tmp_path, seed=1), split(tmp_path, seed=2)
    assert first == again
    assert set(names(first.calibration)) != set(names(other.calibration))


def test_fewer_images_than_classes_are_not_the_alphabets_first(tmp_path):
    folders = [f"class{index:02}" for index in range(40)]
    for number, folder in enumerate(folders):
        for index in range(2):
            draw_image(tmp_path / folder / f"{index}.jpg", seed=10 * number + index)
    found = split(tmp_path, class_names=tuple(folders), num_classes=40)
    drawn = sorted(image.label for image in found.calibration)
    assert len(set(drawn)) == 8
    assert drawn != list(range(8))


@settings(max_examples=25, deadline=None)
@given(counts=st.lists(st.integers(1, 9), min_size=1, max_size=4), calibration=st.integers(8, 20), seed=st.integers())
def test_no_image_is_on_both_sides_and_none_is_lost(tmp_path_factory, counts, calibration, seed):
    root = tmp_path_factory.mktemp("data")
    for folder, count in enumerate(counts):
        for index in range(count):
            path = root / f"class{folder}" / f"{index}.png"
            path.parent.mkdir(exist_ok=True)
            path.write_bytes(bytes([folder, index]))  # splitting reads no pixels
    try:
        found = split(root, calibration=calibration, seed=seed, class_names=None, num_classes=len(counts))
    except InputError as error:
        assert "to calibrate on" in str(error) and sum(count // 2 for count in counts) < 8
        return
    finally:
        files = {p.relative_to(root).as_posix() for p in root.rglob("*.png")}
        shutil.rmtree(root)
    chosen, judged = set(names(found.calibration)), set(names(found.evaluation))
    assert not chosen & judged and chosen | judged == files
    assert 8 <= len(chosen) <= calibration


def left_out(found):
    (one,) = (f for f in found.findings if f.code == "images-left-out")
    return one


@pytest.mark.parametrize("place", [shutil.copy, lambda image, path: path.symlink_to(image)])
def test_an_image_of_both_halves_does_not_calibrate_whether_drawn_or_not(tmp_path, place):
    draw_halves(tmp_path, train=50)
    place(tmp_path / "val" / "red" / "0.jpg", tmp_path / "train" / "red" / "renamed.jpg")
    found = split(tmp_path, calibration=150)
    assert len(found.calibration) == 150 and len(found.evaluation) == 12
    assert left_out(found).message == "Left out 1 calibration images that evaluation has too."
    assert left_out(found).items == ("train/red/renamed.jpg",)


def test_a_fifth_of_the_evaluation_images_in_both_halves_is_no_split(tmp_path):
    draw_halves(tmp_path)
    for index in range(3):
        shutil.copy(tmp_path / "val" / "red" / f"{index}.jpg", tmp_path / "train" / "red" / f"renamed{index}.jpg")
    message = refusal_of(split, tmp_path)
    assert "train/red/renamed0.jpg" in message and "val/red/0.jpg" in message
    assert "same image" in message and "3 of 12 are shared" in message and "Remove one" in message


def test_copies_within_val_judge_once(tmp_path):
    draw_halves(tmp_path, train=4, val=4)
    for index in range(5):
        shutil.copy(tmp_path / "val" / "red" / "0.jpg", tmp_path / "val" / "red" / f"copy{index}.jpg")
    for found in (split(tmp_path), evaluate(tmp_path)):
        assert len(found.evaluation) == 12 and "Left out 5 copies of other images." in sentences(found)


def test_copies_within_class_folders_are_left_out_and_counted(tmp_path):
    draw_classes(tmp_path, 8)
    shutil.copy(tmp_path / "red" / "0.jpg", tmp_path / "red" / "copy.jpg")
    found = split(tmp_path)
    assert len(found.calibration) + len(found.evaluation) == 24
    assert "Left out 1 copies of other images." in sentences(found)


def test_one_image_in_two_classes_counts_for_neither(tmp_path):
    draw_classes(tmp_path, 8)
    shutil.copy(tmp_path / "red" / "0.jpg", tmp_path / "blue" / "red.jpg")
    shutil.copy(tmp_path / "red" / "1.jpg", tmp_path / "red" / "again.jpg")
    found = split(tmp_path)
    assert len(found.calibration) + len(found.evaluation) == 23
    assert left_out(found).message == "Left out 1 copies of other images. Left out 2 images that lie in two classes."
    assert sorted(left_out(found).items) == ["blue/red.jpg", "red/0.jpg", "red/again.jpg"]


def test_many_images_in_two_classes_are_refused(tmp_path):
    draw_classes(tmp_path, 8)
    for index in range(3):
        shutil.copy(tmp_path / "red" / f"{index}.jpg", tmp_path / "blue" / f"red{index}.jpg")
    assert "are one image in two classes, as are 6 of 27" in refusal_of(split, tmp_path)


def test_unreadable_and_empty_images_are_found_in_one_pass_and_left_out(tmp_path):
    draw_halves(tmp_path, train=20, val=70)
    verify = verifier(3, NoProgress())
    data = (tmp_path / "val" / "red" / "0.jpg").read_bytes()
    (tmp_path / "val" / "red" / "0.jpg").write_bytes(data[: len(data) // 2])
    (tmp_path / "train" / "red" / "0.jpg").write_bytes(b"")
    found = split(tmp_path, verify=verify)
    assert len(found.evaluation) == 209
    assert left_out(found).message == "Left out 2 images that cannot be read."
    assert [item.split(": ")[0] for item in left_out(found).items] == ["train/red/0.jpg", "val/red/0.jpg"]
    for index in range(1, 5):
        (tmp_path / "val" / "blue" / f"{index}.jpg").write_bytes(f"no image {index}".encode())
    message = refusal_of(split, tmp_path, verify=verify)
    assert "6 images cannot be used, more than the 1 % that is left out (--max-unusable)" in message
    assert "train/red/0.jpg: is empty" in message and "and 1 more" in message and "\n" not in message
    assert "5 images cannot be used" in refusal_of(evaluate, tmp_path, verify=verify)
    assert len(evaluate(tmp_path, verify=verify, max_unusable=0.05).evaluation) == 205


SUBSET = "Images of 2 of the network's 3 classes: figures are over these, and answers elsewhere count as wrong."


def test_some_of_the_classes_are_enough_where_names_tell_which(tmp_path):
    draw_halves(tmp_path)
    shutil.rmtree(tmp_path / "val" / "green")
    for found in (split(tmp_path), evaluate(tmp_path)):
        assert {image.label for image in found.evaluation} == {0, 2} and found.class_names == COLOURS
        assert SUBSET in sentences(found)
    shutil.rmtree(tmp_path / "train" / "green")
    message = refusal_of(split, tmp_path, class_names=None)
    assert "2 class folders" in message and "--classes FILE" in message


def test_a_half_may_lack_a_class_that_the_other_has(tmp_path):
    draw_halves(tmp_path)
    shutil.rmtree(tmp_path / "val" / "green")
    assert split(tmp_path, class_names=None).class_names == COLOURS


def test_names_are_matched_however_they_are_spelled(tmp_path):
    for folder, colour in (("Red", "red"), ("02", "green"), ("sky_blue", "blue")):
        for index in range(8):
            draw_image(tmp_path / folder / f"{index}.jpg", colour, seed=index)
    found = split(tmp_path, class_names=("sky blue", "2", "red"))
    labels = {image.name.split("/")[0]: image.label for image in found.evaluation}
    assert labels == {"Red": 2, "02": 1, "sky_blue": 0}
    draw_image(tmp_path / "red" / "0.jpg")
    assert "two folders for one class" in refusal_of(split, tmp_path, class_names=("sky blue", "2", "red"))


def test_numbers_as_names_go_by_name_and_not_by_order(tmp_path):
    folders = tuple(str(number) for number in range(11))
    for number, folder in enumerate(folders):
        for index in range(2):
            draw_image(tmp_path / folder / f"{index}.jpg", seed=10 * number + index)
    found = split(tmp_path, class_names=folders, num_classes=11)
    assert {(image.name.split("/")[0], image.label) for image in found.evaluation} == {
        (folder, number) for number, folder in enumerate(folders)
    }


def test_imagenets_classes_are_known_by_synset_and_by_name(tmp_path):
    for synset, colour in (("n01440764", "red"), ("n15075141", "blue")):
        for index in range(8):
            draw_image(tmp_path / synset / f"{index}.jpg", colour, seed=index)
    found = split(tmp_path, class_names=None, num_classes=1000)
    assert {image.label for image in found.evaluation} == {0, 999}
    assert found.class_names[0] == "tench" and len(set(found.class_names)) == 1000
    lemmas = tuple(f"{name}, also" if name != "crane bird" else "crane" for name in found.class_names)
    (tmp_path / "n15075141").rename(tmp_path / "toilet_tissue")
    for names in (None, found.class_names, lemmas):
        again = split(tmp_path, class_names=names, num_classes=1000)
        assert {image.label for image in again.evaluation} == {0, 999}
    (tmp_path / "n01440764").rename(tmp_path / "Tench")
    assert {image.label for image in split(tmp_path, class_names=lemmas, num_classes=1000).evaluation} == {0, 999}


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("classes.txt", "blue\ngreen\nred\n"),
        ("classes.txt", "\ufeffblue\r\ngreen\r\nred\r\n"),
        ("classes.txt", "2 red\n0 blue\n1 green\n"),
        ("classes.json", '["blue", "green", "red"]'),
        ("classes.json", '{"red": 2, "blue": 0, "green": 1}'),
    ],
)
def test_class_lists(tmp_path, name, text):
    (tmp_path / name).write_text(text)
    assert read_class_list(tmp_path / name, 3) == COLOURS
    assert "the network has 4 outputs" in refusal_of(read_class_list, tmp_path / name, 4)


def test_classes_that_differ_between_train_and_val_are_named(tmp_path):
    draw_halves(tmp_path)
    (tmp_path / "train" / "red").rename(tmp_path / "train" / "purple")
    message = refusal_of(split, tmp_path, class_names=None)
    assert "unknown class 'purple'" in message and "no folder for 'red'" in message and "train" in message


def test_a_wrong_number_of_classes_is_told_in_numbers(tmp_path):
    message = refusal_of(split, draw_halves(tmp_path), class_names=None, num_classes=10)
    assert "3 class folders" in message and "10 classes" in message


def test_many_wrong_names_are_cut_short(tmp_path):
    names = tuple(f"n{i:04}" for i in range(1000))
    message = refusal_of(split, draw_halves(tmp_path), class_names=names, num_classes=1000)
    assert "and 995 more" in message and len(message) < 400


def test_two_classes_of_one_name_cannot_be_told_apart_by_folders(tmp_path):
    draw_halves(tmp_path)
    message = refusal_of(split, tmp_path, class_names=("red", "green", "blue", "red"), num_classes=4)
    assert "several classes of one name ('red')" in message


def test_a_class_without_images_is_named(tmp_path):
    draw_halves(tmp_path)
    empty = tmp_path / "val" / "red"
    shutil.rmtree(empty)
    empty.mkdir()
    (empty / "notes.txt").write_text("no image")
    message = refusal_of(split, tmp_path)
    assert str(empty) in message and "no images" in message and ".jpg" in message


@pytest.mark.parametrize("content", [(), ("notes.txt",), (".hidden.jpg",)])
def test_a_folder_without_images_is_refused(tmp_path, content):
    for name in content:
        (tmp_path / name).write_bytes(b"x")
    message = refusal_of(split, tmp_path)
    assert "no images" in message and ".webp" in message


def test_a_folder_that_is_none_is_refused(tmp_path):
    assert "does not exist" in refusal_of(split, tmp_path / "absent")
    file = draw_image(tmp_path / "photo.jpg")
    assert "is a file" in refusal_of(split, file)
    assert "is a file" in refusal_of(evaluate, file)


def test_images_beside_class_folders_are_refused(tmp_path):
    draw_classes(tmp_path, 8)
    draw_image(tmp_path / "stray.jpg")
    assert "stray.jpg" in refusal_of(split, tmp_path)


@pytest.mark.parametrize("half", ["train", "val"])
def test_one_half_alone_is_refused(tmp_path, half):
    draw_classes(tmp_path / half, 8)
    missing = {"train": "val", "val": "train"}[half]
    assert f"has no {missing}/ beside its other half" in refusal_of(split, tmp_path)


def test_a_class_may_be_called_train(tmp_path):
    for index in range(8):
        draw_image(tmp_path / "train" / f"{index}.jpg", seed=index)
        draw_image(tmp_path / "bus" / f"{index}.jpg", seed=50 + index)
    found = split(tmp_path, class_names=("bus", "train"), num_classes=2)
    assert {image.label for image in found.evaluation} == {0, 1}
    assert len(evaluate(tmp_path, class_names=("bus", "train"), num_classes=2).evaluation) == 16


@pytest.mark.parametrize("asked", [-1, 0, 7])
def test_too_few_asked_for_is_refused(tmp_path, asked):
    message = refusal_of(split, draw_halves(tmp_path), calibration=asked)
    assert f"--calibration {asked}" in message and "at least 8" in message


def test_too_few_to_be_had_is_refused(tmp_path):
    message = refusal_of(split, draw_halves(tmp_path, train=2))
    assert "only 6 images to calibrate on" in message and "at least 8" in message


def test_a_broken_link_is_named(tmp_path):
    draw_halves(tmp_path)
    broken = tmp_path / "train" / "red" / "broken.jpg"
    broken.symlink_to(tmp_path / "absent.jpg")
    message = refusal_of(split, tmp_path)
    assert message == f"{broken}: a link to nothing; replace or remove it."


def test_a_pipe_named_like_a_image_does_not_hang(tmp_path):
    draw_classes(tmp_path, 8)
    os.mkfifo(tmp_path / "red" / "pipe.jpg")
    assert "not a regular file" in refusal_of(split, tmp_path)
    assert "not a regular file" in refusal_of(evaluate, tmp_path)


@pytest.mark.parametrize("name", ["two\nlines", os.fsdecode(b"latin-\xe9")])
def test_a_class_name_that_is_no_line_of_text_is_refused(tmp_path, name):
    draw_classes(tmp_path, 8, colours=("red", "green"))
    (tmp_path / "red").rename(tmp_path / name)
    assert "not one line of text" in refusal_of(split, tmp_path, class_names=None, num_classes=2)


def test_hidden_files_and_folders_do_not_count(tmp_path):
    draw_classes(tmp_path, 8)
    draw_image(tmp_path / ".thumbnails" / "0.jpg")
    (tmp_path / "red" / "._0.jpg").write_bytes(b"a Mac's resource fork")
    found = split(tmp_path)
    assert len(found.calibration) + len(found.evaluation) == 24


def test_images_in_folders_below_a_class_belong_to_it(tmp_path):
    draw_classes(tmp_path, 4)
    for colour in COLOURS:
        for index in range(4):
            draw_image(tmp_path / colour / "2026" / f"{index}.JPEG", colour, seed=50 + index)
    found = split(tmp_path)
    assert "red/2026/0.JPEG" in names((*found.calibration, *found.evaluation))
    assert len(found.calibration) + len(found.evaluation) == 24


def test_evaluation_takes_all_of_val_where_there_is_one(tmp_path):
    found = evaluate(draw_halves(tmp_path))
    assert len(found.evaluation) == 12 and found.calibration == ()
    assert all(name.startswith("val/") for name in names(found.evaluation))


def test_evaluation_needs_no_train_half_but_a_val_half(tmp_path):
    draw_halves(tmp_path)
    shutil.rmtree(tmp_path / "train")
    assert len(evaluate(tmp_path).evaluation) == 12
    (tmp_path / "val").rename(tmp_path / "train")
    assert "has train/ but no val/" in refusal_of(evaluate, tmp_path)


def test_evaluation_leaves_out_what_the_program_was_fitted_on(tmp_path):
    made = split(draw_classes(tmp_path, 8))
    fitted = frozenset(image.sha256 for image in made.calibration)
    found = evaluate(tmp_path, calibrated_on=fitted)
    assert names(found.evaluation) == names(made.evaluation)
    assert sentences(found) == ("Left out 8 images that the program was calibrated on.",)


def test_evaluation_on_a_val_half_that_holds_fitted_images_is_refused(tmp_path):
    fitted = frozenset(p.sha256 for p in split(draw_classes(tmp_path / "old", 8)).calibration)
    (tmp_path / "old").rename(tmp_path / "val")
    assert "calibrated on this image (and 7 more" in refusal_of(evaluate, tmp_path, calibrated_on=fitted)


def test_evaluation_on_fitted_images_alone_is_refused(tmp_path):
    everything = frozenset(p.sha256 for p in evaluate(draw_classes(tmp_path, 2)).evaluation)
    assert "give it others" in refusal_of(evaluate, tmp_path, calibrated_on=everything)


def test_evaluation_names_an_unknown_class(tmp_path):
    draw_classes(tmp_path, 2, colours=("red", "green"))
    message = refusal_of(evaluate, tmp_path, class_names=("red", "blue", "yellow"))
    assert "no folder for 'blue'" in message and "unknown class 'green'" in message


def rename_halves(root, train, val):
    draw_halves(root)
    (root / "train").rename(root / train)
    (root / "val").rename(root / val)
    return root


@pytest.mark.parametrize(
    ("train", "val"),
    [
        ("Train", "Val"),
        ("training_set", "test_set"),
        ("train_images", "validation"),
        ("TRAINING", "eval"),
        ("trainset", "testing"),
        ("train2017", "val2017"),
    ],
)
def test_halves_by_other_names(tmp_path, train, val):
    found = split(rename_halves(tmp_path, train, val))
    assert all(name.startswith(f"{train}/") for name in names(found.calibration))
    assert {name.split("/")[0] for name in names(found.evaluation)} == {val}
    assert len(evaluate(tmp_path).evaluation) == 12


def test_val_judges_where_there_is_a_test_too_and_it_is_said(tmp_path):
    draw_halves(tmp_path)
    draw_classes(tmp_path / "test", 2, seed=3)
    found = split(tmp_path)
    assert len(
        found.evaluation
    ) == 12 and "Judged on val/; test/ is left alone (--evaluation-data takes it)." in sentences(found)


def test_two_folders_for_one_half_are_refused(tmp_path):
    draw_halves(tmp_path)
    draw_classes(tmp_path / "training", 2, seed=3)
    assert "look like the same half" in refusal_of(split, tmp_path)


@pytest.mark.parametrize(("one", "other"), [("seg_train", "seg_test"), ("a", "b")])
def test_folders_that_look_like_halves_are_no_classes(tmp_path, one, other):
    rename_halves(tmp_path, one, other)
    message = refusal_of(split, tmp_path, class_names=None, num_classes=2)
    assert f"{one}/ and {other}/ look like halves" in message and f"--evaluation-data {tmp_path / other}" in message
    assert ("blue, green, red" in message) == (one == "a")


def test_folders_of_one_that_archives_add_are_looked_into(tmp_path):
    draw_halves(tmp_path / "archive" / "flowers")
    found = split(tmp_path)
    assert names(found.evaluation)[0] == "archive/flowers/val/blue/0.jpg" and len(found.evaluation) == 12
    draw_classes(tmp_path / "more" / "seg_test" / "seg_test", 2, seed=3)
    found = split(tmp_path / "archive", evaluation_data=tmp_path / "more" / "seg_test")
    assert {image.label for image in found.evaluation} == {0, 1, 2}


def test_folders_named_outright(tmp_path):
    rename_halves(tmp_path, "fold1", "fold2")
    found = split(tmp_path, calibration_data=tmp_path / "fold1", evaluation_data=tmp_path / "fold2")
    assert names(found.calibration)[0].startswith("fold1/") and len(found.evaluation) == 12
    draw_halves(tmp_path / "more")
    other = split(tmp_path / "more", evaluation_data=tmp_path / "fold2")
    assert names(other.calibration)[0].startswith("train/") and names(other.evaluation)[0].startswith("fold2/")
    assert "holds the other" in refusal_of(split, tmp_path, calibration_data=tmp_path)
    assert "--calibration-data" in refusal_of(split, tmp_path, calibration_data=tmp_path / "absent")


def test_litter_is_passed_over_and_other_files_are_counted_by_kind(tmp_path):
    draw_halves(tmp_path)
    for name in ("Thumbs.db", ".DS_Store", "desktop.ini", "__MACOSX/train/red/._0.jpg"):
        path = tmp_path / "train" / "red" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(b"x")
    draw_image(tmp_path / "val" / "__MACOSX" / "0.jpg")
    for name in ("1.txt", "2.txt", "labels.CSV", "LICENSE"):
        (tmp_path / "val" / "red" / name).write_text("x")
    found = split(tmp_path)
    assert sentences(found) == ("Left out 4 files that are no images: 2 .txt, 1 .csv, 1 without a suffix.",)
