"""Label files as Kaggle, ILSVRC and Caffe write them."""

import shutil

import pytest

from quant.common.findings import Severity, messages
from quant.data.collect import Source
from quant.data.readers.label_file import read_label_file
from quant.data.split import evaluation_images, split_images
from tests.support.images import COLOURS, draw_halves, draw_image
from tests.support.refusals import refusal_of


def flat(root, per_class=8):
    """Images in one folder, named c0.jpg, ..."""
    for number, colour in enumerate(COLOURS):
        for index in range(per_class):
            draw_image(root / "images" / f"{colour[0]}{index}.jpg", colour, seed=10 * number + index)
    return [(f"{colour[0]}{index}", colour) for colour in COLOURS for index in range(per_class)]


def written(root, lines, name="labels.csv"):
    path = root / name
    path.write_text("\n".join(lines) + "\n")
    return path


def split(root, labels, class_names=COLOURS, num_classes=3, **columns):
    source = Source(
        data=root, labels=read_label_file(labels, **columns), class_names=class_names, num_classes=num_classes
    )
    return split_images(source, calibration=8, seed=0)


def sentences(split):
    return messages(split.findings, *Severity)


ROWS = {
    "image,label": ("labels.csv", "image,label", lambda n, c: f"{n}.jpg,{c}"),
    "no header": ("labels.csv", None, lambda n, c: f"{n}.jpg,{c}"),
    "Kaggle": ("labels.csv", "id,breed", lambda n, c: f"{n},{c}"),
    "other order": ("labels.csv", "label,filename", lambda n, c: f"{c},images/{n}.jpg"),
    "TSV": ("labels.tsv", "path\tclass", lambda n, c: f"./images/{n}.jpg\t{c}"),
    "semicolons": ("labels.csv", "Image;Label;more", lambda n, c: f"{n}.jpg;{c};1"),
    "indices": ("val_map.txt", None, lambda n, c: f"{n}.JPEG {COLOURS.index(c)}"),
    "ILSVRC": ("LOC_val_solution.csv", "ImageId,PredictionString", lambda n, c: f"{n},{c} 85 1 499 272"),
    "one unusual": ("labels.csv", "image,colour", lambda n, c: f"{n}.jpg,{c}"),
}


@pytest.mark.parametrize("kind", ROWS)
def test_each_kind_of_file(tmp_path, kind):
    name, header, row = ROWS[kind]
    pairs = flat(tmp_path)
    labels = written(tmp_path, [*([header] if header else []), *(row(*pair) for pair in pairs)], name)
    found = split(tmp_path, labels)
    assert len(found.calibration) == 8 and len(found.evaluation) == 16
    for image in (*found.calibration, *found.evaluation):
        assert COLOURS[image.label][0] == image.path.name[0]


def test_columns_by_name(tmp_path):
    pairs = flat(tmp_path)
    labels = written(tmp_path, ["a,b,c", *(f"x,{n}.jpg,{c}" for n, c in pairs)])
    assert "none of its columns (a, b, c)" in refusal_of(split, tmp_path, labels)
    assert len(split(tmp_path, labels, image_column="b", label_column="C").evaluation) == 16
    assert "has no column 'd' (--label-column)" in refusal_of(split, tmp_path, labels, label_column="d")


def test_what_only_one_side_has_is_said_in_one_message_each(tmp_path):
    pairs = flat(tmp_path)
    labels = written(tmp_path, ["image,label", *(f"{n}.jpg,{c}" for n, c in pairs[2:]), "gone.jpg,red", "away,red"])
    assert sentences(split(tmp_path, labels)) == (
        "Left out 2 images that labels.csv does not list (b0.jpg, b1.jpg).",
        "labels.csv lists 2 images that are not there (gone.jpg, away).",
    )


def test_halves_with_one_file_for_both(tmp_path):
    draw_halves(tmp_path)
    rows = [f"{p.relative_to(tmp_path)},{p.parent.name}" for p in sorted(tmp_path.rglob("*.jpg"))]
    labels = written(tmp_path.parent, rows, f"{tmp_path.name}.csv")
    found = split(tmp_path, labels)
    assert len(found.evaluation) == 12 and sentences(found) == ()
    source = Source(data=tmp_path, labels=read_label_file(labels), class_names=COLOURS, num_classes=3)
    assert evaluation_images(source, calibrated_on=frozenset()).evaluation == found.evaluation


@pytest.mark.parametrize(
    ("lines", "words"),
    [
        ([], "is empty"),
        (["image,label"], "lists no images"),
        (["b0.jpg"], "has one column"),
        (["image,label", "b0.jpg,"], "row 1 (b0.jpg,) has no image or no label"),
        (["image,label", "b0.jpg,red", "b0.jpg,blue"], "1 of 1 images have two labels (b0.jpg: red, blue)"),
        (["image,label", "nothing.jpg,red"], "none of its 1 rows"),
        (["image,label", "b0.jpg,pink"], "unknown class 'pink'); rename or remove rows, or"),
        (["image,label", "b0.jpg,0", "b1.jpg,3"], "labels go from 0 to 3"),
        (["image,label", "b0.jpg,1", "b1.jpg,3"], "counted from 1"),
    ],
)
def test_files_that_cannot_be_meant(tmp_path, lines, words):
    flat(tmp_path)
    assert words in refusal_of(split, tmp_path, written(tmp_path, lines))


def test_an_ambiguous_name(tmp_path):
    draw_halves(tmp_path)
    assert "names several images" in refusal_of(split, tmp_path, written(tmp_path, ["0.jpg,red"]))


def test_kaggles_test_half_without_labels_does_not_judge(tmp_path):
    pairs = flat(tmp_path)
    (tmp_path / "images").rename(tmp_path / "train")
    for index in range(3):
        draw_image(tmp_path / "test" / f"{index}.jpg", seed=900 + index)
    labels = written(tmp_path, ["id,breed", *(f"{n},{c}" for n, c in pairs)], "train.csv")
    found = split(tmp_path, labels)
    assert len(found.evaluation) == 16 and sentences(found) == ()
    assert {image.name.split("/")[0] for image in found.evaluation} == {"train"}


def test_class_folders_calibrate_beside_a_flat_half_with_labels(tmp_path):
    """ImageNet as it is unpacked: train/n01440764/*.JPEG, val/*.JPEG and val_map.txt."""
    draw_halves(tmp_path)
    rows = []
    for index, path in enumerate(sorted((tmp_path / "val").rglob("*.jpg"))):
        rows.append(f"ILSVRC2012_val_{index:08}.JPEG {COLOURS.index(path.parent.name)}")
        path.rename(tmp_path / "val" / f"ILSVRC2012_val_{index:08}.JPEG")
    for colour in COLOURS:
        (tmp_path / "val" / colour).rmdir()
    found = split(tmp_path, written(tmp_path, rows, "val_map.txt"))
    assert len(found.calibration) == 8 and len(found.evaluation) == 12 and sentences(found) == ()
    assert [image.label for image in found.evaluation] == [0] * 4 + [1] * 4 + [2] * 4


def test_rows_with_folders_are_not_another_folders_images(tmp_path):
    draw_halves(tmp_path)
    rows = [f"{p.relative_to(tmp_path)},{p.parent.name}" for p in sorted(tmp_path.rglob("*.jpg"))]
    labels = written(tmp_path.parent, rows, f"{tmp_path.name}.csv")
    shutil.rmtree(tmp_path / "train")
    source = Source(data=tmp_path, labels=read_label_file(labels), class_names=COLOURS, num_classes=3)
    found = evaluation_images(source, calibrated_on=frozenset())
    assert len(found.evaluation) == 12 and "lists 12 images that are not there" in sentences(found)[0]


def with_targets(root, labels, kind, outputs=3, names=COLOURS, **columns):
    file = read_label_file(labels, kind=kind, **columns)
    source = Source(data=root, labels=file, num_classes=None, outputs=outputs, output_names=names)
    return split_images(source, calibration=8, seed=0)


LABELS = {
    "names": ("image,labels", lambda c: f"{c}|blue" if c != "blue" else c, COLOURS),
    "names with commas": ("image,tags", lambda c: f'"{c}, blue"', COLOURS),
    "indices": ("image,labels", lambda c: f"{COLOURS.index(c)};0", None),
    "columns": ("image,blue,green,red", lambda c: f"1,{int(c == 'green')},{int(c == 'red')}", None),
    "columns in another order": (
        "image,red,blue,green",
        lambda c: f"{int(c == 'red')},1,{int(c == 'green')}",
        COLOURS,
    ),
}


@pytest.mark.parametrize("kind", LABELS)
def test_several_labels(tmp_path, kind):
    header, row, names = LABELS[kind]
    rows = [f"{n}.jpg,{row(c)}" for n, c in flat(tmp_path)]
    found = with_targets(tmp_path, written(tmp_path, [header, *rows]), "labels", names=names)
    wanted = {"b": (1.0, 0.0, 0.0), "g": (1.0, 1.0, 0.0), "r": (1.0, 0.0, 1.0)}
    assert all(image.targets == wanted[image.path.name[0]] for image in found.evaluation)
    assert found.class_names == (None if kind == "indices" else COLOURS) and sentences(found) == ()


def test_a_row_for_each_label(tmp_path):
    rows = [f"{n}.jpg,{label}" for n, c in flat(tmp_path) for label in {c, "blue"}]
    found = with_targets(tmp_path, written(tmp_path, ["image,label", *rows]), "labels")
    assert {image.targets for image in found.evaluation if image.path.name[0] == "r"} == {(1.0, 0.0, 1.0)}


@pytest.mark.parametrize(("kind", "label"), [("labels", "red|blue"), ("numbers", "1 2 3")])
def test_images_without_labels_calibrate_beside_a_half_with_several(tmp_path, kind, label):
    draw_halves(tmp_path)
    rows = [f"{p.relative_to(tmp_path)},{label}" for p in sorted((tmp_path / "val").rglob("*.jpg"))]
    found = with_targets(tmp_path, written(tmp_path, ["image,label", *rows]), kind)
    assert len(found.calibration) == 8 and len(found.evaluation) == 12
    assert {image.targets for image in found.calibration} == {None}
    assert None not in {image.targets for image in found.evaluation}


def test_numbers(tmp_path):
    pairs = flat(tmp_path)
    rows = [f"{n}.jpg,x,{index},{-index / 2}" for index, (n, _) in enumerate(pairs)]
    labels = written(tmp_path, ["image,note,age,weight", *rows])
    for columns in ({}, {"label_column": "age,weight"}):
        found = with_targets(tmp_path, labels, "numbers", outputs=2, names=None, **columns)
        assert all(image.targets[1] == -image.targets[0] / 2 for image in found.evaluation)
    message = refusal_of(with_targets, tmp_path, labels, "numbers", outputs=1, names=None)
    assert "2 numbers an image, the network has 1 outputs" in message


@pytest.mark.parametrize(
    ("kind", "lines", "words"),
    [
        ("numbers", ["image,age", "b0.jpg,old"], "is known to hold labels"),
        ("numbers", ["image,age", "b0.jpg,3", "b1.jpg,old"], "row 2 (b1.jpg,old) has no image or no number"),
        ("numbers", ["photo,age", "b0.jpg,3", "b1.jpg,"], "row 2 (b1.jpg,) has no image or no number"),
        ("numbers", ["image,label", "b0.jpg,nan"], "has no image or no number"),
        ("labels", ["image,label", "b0.jpg,pink"], "labels that it does not have: 'pink'"),
        ("labels", ["image,a,b", "b0.jpg,1,0", "b1.jpg,0,1"], "the network has 3 outputs"),
    ],
)
def test_targets_that_cannot_be_meant(tmp_path, kind, lines, words):
    flat(tmp_path)
    assert words in refusal_of(with_targets, tmp_path, written(tmp_path, lines), kind)
