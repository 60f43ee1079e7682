"""Labels in files and sets as people have them, from `quantize` to `check`, here and on a device."""

from __future__ import annotations

import random
import shutil
from pathlib import Path

import pytest

from apps.cli.edge_effnet import app
from apps.cli.exit_codes import PASS, guarded
from apps.device.check import check_on_device
from quant import ImageOptions, check, quantize
from tests.support.tasks import HEADS, LABELS, TARGETS, make_network
from tests.support.tiny import TinyFiles

pytestmark = pytest.mark.usefixtures("tiny_variant", "quick_host")


def test_a_flat_folder_with_a_label_file_is_judged_as_class_folders_are(
    tiny: TinyFiles, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    images = sorted(tiny.data.rglob("*.jpg"))
    random.Random(0).shuffle(images)
    flat, rows = tmp_path / "photos", ["file;colour"]
    flat.mkdir()
    for number, path in enumerate(images):
        shutil.copy(path, flat / f"{number:03}.JPG")
        rows.append(f"{number:03};{path.parent.name.upper()}")
    # Copies, a broken download and a row too many stop nothing.
    shutil.copy(flat / "000.JPG", flat / "999.JPG")
    (flat / "998.JPG").write_bytes((flat / "001.JPG").read_bytes()[:200])
    rows += [f"999;{images[0].parent.name}", "998;red", "997;red"]
    labels = tmp_path / "labels.csv"
    labels.write_text("\n".join(rows))
    columns = {"labels": labels, "image_column": "file", "label_column": "colour"}
    result = quantize(
        "lite0", weights=tiny.weights, data=flat, out=tmp_path / "a", calibration=16, recipe="int8-fast", **columns
    )
    assert result.passed and result.outcome.float_accuracy.top1 == 1.0
    assert result.outcome.evaluation_images == len(images) - 16
    (left,) = (found for found in result.outcome.findings if found.items)
    assert sorted(item[:7] for item in left.items) == ["998.JPG", "999.JPG"]
    assert "997" in next(found.message for found in result.outcome.findings if "not there" in found.message)
    options = ImageOptions(**columns)
    again = check(result.folder, data=flat, images=options)
    there = check_on_device(result.folder, device="host", data=flat, image_options=options)
    assert again.passed and there.passed and again.pte_accuracy == there.outcome.pte_accuracy
    words = ["--labels", str(labels), "--image-column", "file", "--label-column", "colour"]
    command = ["check", str(result.folder), "--data", str(flat), *words]
    assert guarded(lambda: app(command, standalone_mode=False)) == PASS
    assert "images-left-out" not in capsys.readouterr().err


def test_several_labels_an_image_come_from_a_file(tiny: TinyFiles, tmp_path: Path) -> None:
    weights = make_network(tiny, tmp_path / "w.safetensors", HEADS["multilabel"])
    labels = tmp_path / "labels.csv"
    words = {c: "|".join(n for n, on in zip(LABELS, row, strict=True) if on) for c, row in TARGETS.items()}
    rows = [f"{path.relative_to(tiny.data)},{words[path.parent.name]}" for path in tiny.data.rglob("*.jpg")]
    labels.write_text("\n".join(["image,labels", *rows]))
    result = quantize(
        "lite0", weights=weights, data=tiny.data, labels=labels, task="multilabel", out=tmp_path / "a",
        calibration=16, recipe="int8-fast",
    )  # fmt: skip
    assert result.passed and result.outcome.to_json()["float"]["f1"] == 1.0
    assert check(result.folder, data=tiny.data, images=ImageOptions(labels=labels)).to_json()["float"]["f1"] == 1.0
