"""JSON files that others made to do harm: results, manifests, baselines."""

import hashlib
import json
import os

import pytest

from apps.cli.render.device import print_comparison
from apps.device.job.results import Results, read_results, write_results
from apps.device.local import parse_status
from apps.device.sameness import compare
from edge_effnet import InputError
from quant.artifact.open import open_artifact
from quant.common.json_io import parse_json, read_json
from quant.report.make import make_report
from quant.training.run import started_from
from tests.golden.make import GOOD
from tests.support.artifacts import edit_manifest, make_artifact
from tests.support.outcomes import flip, outcome


@pytest.mark.parametrize("make", [os.mkfifo, lambda path: path.symlink_to("/dev/zero")])
def test_pipes_and_devices_are_refused_wherever_json_is_read(tmp_path, make):
    path = tmp_path / "results.json"
    make(path)
    with pytest.raises(ValueError, match="not a regular file"):
        read_json(path, limit=10)
    with pytest.raises(InputError, match=r"results\.json: not a results file of a device \(not a regular file\)"):
        read_results(path)


@pytest.mark.parametrize(
    ("text", "words"),
    [
        (b"[1e400]", "larger than any number"),
        (b"[-1e400]", "larger than any number"),
        (b"[Infinity]", "no number of JSON"),
        (b"[9223372036854775808]", "larger than any number"),
        (b"[" + b"9" * 5000 + b"]", "larger than any number"),
        (b"[" * 40 + b"]" * 40, "nested too deeply"),
        (b'{"a":' * 40 + b"1" + b"}" * 40, "nested too deeply"),
        (b"[" + b"1," * 100 + b"1]", "more than 50 elements"),
    ],
)
def test_numbers_depth_and_elements_are_limited(monkeypatch, text, words):
    if "elements" in words:
        monkeypatch.setattr("quant.common.json_io._MAX_ELEMENTS", 50)
    with pytest.raises(ValueError, match=words):
        parse_json(text)


def test_what_json_may_hold_is_read():
    assert parse_json(b'{"a": [-9223372036854775807, 1.5e300, -0.0, "\\ud800"]}') == {
        "a": [-(2**63) + 1, 1.5e300, -0.0, "\ud800"]
    }


def changed(values, path, value):
    """A copy with another value at a place such as `device.name`."""
    copy = json.loads(json.dumps(values))
    *holders, last = (int(key) if key.isdigit() else key for key in path.split("."))
    held = copy
    for key in holders:
        held = held[key]
    held[last] = value
    return copy


THERMAL = {"before_c": 40.0, "after_c": 41.0, "status": None}


@pytest.mark.parametrize("value", [10**400, 1e308, float("nan"), float("inf")])
@pytest.mark.parametrize(
    "place",
    [
        *("load_ms.0", "latency.times_ms.0", "latency.warmup", "latency.pauses", "peak_memory_bytes"),
        *("thermal.before_c", "thermal.after_c"),
    ],
)
def test_results_with_figures_that_nothing_measures_are_refused(tmp_path, place, value):
    path = tmp_path / "r.json"
    path.write_text(json.dumps(changed({**GOOD, "thermal": THERMAL}, place, value)))
    with pytest.raises(InputError, match=r"r\.json: not "):
        read_results(path)


def test_results_whose_names_are_no_text_are_kept_and_compared(tmp_path, capsys):
    results = Results(values=changed(GOOD, "device.name", "\ud800"), where="x")
    write_results(tmp_path / "r.json", results)
    assert read_results(tmp_path / "r.json").values == results.values
    print_comparison(compare(tmp_path / "r.json", tmp_path / "r.json"), as_json=True)
    assert json.loads(capsys.readouterr().out)["device"]["name"] == "\ud800"


def test_comparing_results_looks_at_each_image_a_few_times(tmp_path, monkeypatch):
    """The images of one file were collected again for each of the other."""
    count, looks = 40, []
    row = GOOD["photographs"][0]
    rows = [{**row, "name": f"{i}.jpg", "sha256": f"{i:064x}"} for i in range(count)]
    (tmp_path / "r.json").write_text(json.dumps({**GOOD, "photographs": rows, "reruns": rows[:1]}))
    images = Results.images.fget
    monkeypatch.setattr(Results, "images", property(lambda self: looks.append(1) or images(self)))
    assert compare(tmp_path / "r.json", tmp_path / "r.json").same.images == count
    assert len(looks) < count


@pytest.mark.parametrize(
    ("place", "value"),
    [
        ("preprocess.crop", 32.0),
        ("preprocess.crop", 10**6),
        ("preprocess.resize", 37.0),
        ("preprocess.resize", 0),
        ("preprocess.mean.0", 10**400),
        ("preprocess.std.2", 1e300),
        ("image_size", 32.0),
        ("input.shape.0", 1.0),
        ("input.shape", [1, 3, 32, 10**12]),
        ("output.shape", [1.0, 3.0]),
        ("delegation.left", 1.0),
        ("delegation.left", 10**15),
        ("files.model.pte", {"sha256": "0" * 64, "bytes": 1e3}),
        ("photographs.evaluation", [{"name": "x" * 5000, "sha256": "0" * 64}]),
        ("created", "x" * 5000),
        ("recipe.more", [[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]),
    ],
)
def test_manifests_with_numbers_that_are_none_are_refused(tmp_path, place, value):
    folder = make_artifact(tmp_path / "a").folder

    def change(manifest):
        if place.startswith("files."):
            manifest["files"]["model.pte"] = value
            return
        *holders, last = (int(key) if key.isdigit() else key for key in place.split("."))
        for key in holders:
            manifest = manifest[key]
        manifest[last] = value

    edit_manifest(folder, change)
    with pytest.raises(InputError, match=r"manifest\.json: not ") as caught:
        open_artifact(folder)
    assert len(str(caught.value)) < len(str(tmp_path)) + 600


@pytest.mark.parametrize(
    "name", ["a\0b.jpg", "\ud800.jpg", "x/" * 2000 + "a.jpg", "x" * 300, "../a.jpg", "/etc/passwd"]
)
def test_images_of_a_manifest_that_no_folder_can_hold_have_no_picture(tmp_path, name):
    (tmp_path / "photos").mkdir()
    (tmp_path / "a.jpg").write_bytes(b"x")
    listed = [{"name": name, "sha256": "0" * 64}]
    verdict = outcome(flips=(flip(image=name),)).to_json()
    folder = make_artifact(
        tmp_path / "a", verdict=verdict, photographs={"calibration": [], "evaluation": listed}
    ).folder
    made = make_report([folder], data=tmp_path / "photos", out=tmp_path / "r.html")
    assert made.missing == (name,)


@pytest.mark.parametrize("text", [b"[" * 10**5, b'{"state": "done", "done": 1e999}', b"[]", b"7", b'"x"', b"\xff"])
def test_a_status_that_is_none_counts_as_absent(text):
    assert parse_status(text).state == "absent"


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (lambda files: files["labels.txt"].update(bytes=30 * 10**9), "more than any network has"),
        (
            lambda files: files["labels.txt"].update(bytes=4),
            r"labels\.txt: 6000000000 bytes are not the manifest's 4 ",
        ),
    ],
)
def test_an_artifact_of_holes_is_refused_before_it_is_read(tmp_path, monkeypatch, change, words):
    folder = make_artifact(tmp_path / "a").folder
    os.truncate(folder / "labels.txt", 6 * 10**9)
    edit_manifest(folder, lambda manifest: change(manifest["files"]))
    digest, read = hashlib.file_digest, []
    monkeypatch.setattr("hashlib.file_digest", lambda file, name: read.append(str(file.name)) or digest(file, name))
    with pytest.raises(InputError, match=words):
        open_artifact(folder)
    assert not any(name.endswith("labels.txt") for name in read)


@pytest.mark.parametrize("text", ["[" * 900 + "]" * 900, "NaN", "[1e999]", '"' + "x" * 2_000_000 + '"', None])
def test_what_lies_beside_weights_and_is_no_metadata_is_left_alone(tmp_path, text):
    weights = tmp_path / "w.safetensors"
    weights.write_bytes(b"x")
    beside = tmp_path / "w.json"
    os.mkfifo(beside) if text is None else beside.write_text(text)
    assert started_from(weights)["metadata"] is None
