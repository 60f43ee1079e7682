"""What a command may replace: what we wrote, and nothing that somebody put there."""

import json
import os
import shutil
from pathlib import Path

import pytest

from apps.device.check import check_on_device
from apps.device.deploy import deploy
from apps.device.job.folder import JOB, prepare_job
from apps.device.job.results import require_results_file
from edge_effnet.errors import InputError, MachineError
from edge_effnet.samples import SAMPLE
from quant.artifact.recognise import require_replaceable
from quant.common.overwrite import lies_in, require_apart, require_no_image
from quant.common.overwrite import require_replaceable as require_kinds
from quant.pipeline.check import check
from quant.report.make import make_report
from tests.support.artifacts import edit_manifest, make_artifact, snapshot
from tests.support.paths import GOLDEN

RESULTS = GOLDEN / "results"

PWA = '{"name": "my PWA", "icons": []}'
LISTING = '{"schema": 1, "files": {"main.js": "/static/main.js"}}'


@pytest.fixture
def folder(tmp_path):
    return make_artifact(tmp_path / "a").folder


@pytest.fixture
def fleet(tmp_path):
    folder = tmp_path / "fleet"
    for name in ("xnnpack-int8", "portable-fp32"):
        make_artifact(folder / name)
    rows = [{"name": name} for name in ("xnnpack-int8", "portable-fp32", "coreml-fp16")]
    (folder / "fleet.json").write_text(json.dumps({"verdict": "pass", "programs": rows}))
    (folder / "report.html").touch()
    return folder


def refused(folder, *words):
    before = snapshot(folder)
    with pytest.raises(InputError, match="choose another --out") as caught:
        require_replaceable(folder)
    assert str(caught.value).startswith(f"{folder}: ") and all(word in str(caught.value) for word in words)
    assert snapshot(folder) == before


def make_older(folder):
    edit_manifest(folder, lambda manifest: [manifest.pop(key) for key in ("golden", "verdict", "weights")])
    edit_manifest(folder, lambda manifest: manifest.update(schema=0))


@pytest.mark.parametrize(
    "change",
    [
        lambda folder: None,
        lambda folder: (folder / "model.pte").write_bytes(b"cut"),
        lambda folder: (folder / "golden" / "0.input.f32").unlink(),
        lambda folder: (folder / ".DS_Store").touch(),
        lambda folder: (folder / "golden" / "Thumbs.db").touch(),
        make_older,
    ],
    ids=["whole", "damaged", "incomplete", "looked at", "looked into", "older"],
)
def test_an_artifact_may_be_replaced(folder, change):
    change(folder)
    require_replaceable(folder)


@pytest.mark.parametrize("name", ["notes.txt", "w.safetensors", "golden/mine.png", "photos/red/0.jpg", ".git/config"])
def test_an_artifact_with_files_of_others_is_left_alone(folder, name):
    (folder / name).parent.mkdir(parents=True, exist_ok=True)
    (folder / name).write_text("precious")
    shown = name if (folder / name).parent in (folder, folder / "golden") else name.split("/")[0]
    refused(folder, f"holds {shown}, which is no part of an artifact; move it elsewhere")
    with pytest.raises(InputError, match="is no part of"):
        make_artifact(folder)


def test_an_empty_folder_in_an_artifact_is_somebodys(folder):
    (folder / "results").mkdir()
    refused(folder, "holds results,")


def test_a_link_in_an_artifact_is_somebodys(folder, tmp_path):
    (folder / "labels.txt").unlink()
    (folder / "labels.txt").symlink_to(tmp_path)
    refused(folder, "holds labels.txt,")


@pytest.mark.parametrize("name", ["manifest.json", "fleet.json"])
@pytest.mark.parametrize("text", [PWA, LISTING, "{}", "[]", "", "{", "\x00", '{"programs": [], "verdict": ""}'])
def test_the_name_of_a_file_makes_no_artifact(tmp_path, name, text):
    """Web apps, extensions and images have a manifest.json too."""
    web = tmp_path / "web"
    (web / "src").mkdir(parents=True)
    (web / "src" / "app.js").write_text("mine")
    (web / name).write_text(text)
    refused(web, "something other than an artifact, or a damaged one to remove by hand")


@pytest.mark.parametrize("name", ["../outside", "/etc/passwd", "golden/../../outside", "a/b", "golden"])
def test_a_manifest_makes_no_other_files_replaceable(folder, name):
    edit_manifest(folder, lambda m: m["files"].update({name: {"sha256": "0" * 64, "bytes": 1}}))
    if name == "golden":
        require_replaceable(folder)
    else:
        refused(folder, "remove by hand")


def test_a_run_over_several_backends_may_be_replaced(fleet):
    require_replaceable(fleet)


@pytest.mark.parametrize(
    ("name", "shown"),
    [
        ("notes.txt", "holds notes.txt,"),
        ("photos/0.jpg", "holds photos,"),
        ("xnnpack-int8/notes.txt", "holds xnnpack-int8/notes.txt,"),
        ("xnnpack-int8/golden/0.png", "holds xnnpack-int8/golden/0.png,"),
        ("coreml-fp16/notes.txt", "holds coreml-fp16,"),
        ("xnnpack-int8/manifest.json", "remove by hand"),
        ("manifest.json", "remove by hand"),
    ],
)
def test_a_run_over_several_backends_with_files_of_others_is_left_alone(fleet, name, shown):
    (fleet / name).parent.mkdir(exist_ok=True)
    (fleet / name).write_text(PWA)
    refused(fleet, shown)


def test_another_artifact_in_a_run_over_several_backends_is_somebodys(fleet):
    make_artifact(fleet / "mine")
    refused(fleet, "holds mine,")


@pytest.mark.parametrize("place", [".", "golden"])
def test_a_folder_that_the_process_works_in_is_left_alone(folder, monkeypatch, place):
    monkeypatch.chdir(folder / place)
    refused(folder, "holds the current folder")
    with pytest.raises(InputError, match="holds the current folder"):
        require_replaceable(Path())


def test_a_name_that_is_too_long_is_told_at_once(tmp_path):
    for name in ("x" * 250, "x" * 300):
        with pytest.raises(MachineError, match="the name is too long; choose a shorter one"):
            require_replaceable(tmp_path / name)
    assert not list(tmp_path.iterdir())


def test_a_file_that_comes_during_the_run_is_found_before_the_folder_is_replaced(folder, monkeypatch):
    (folder / "notes.txt").write_text("precious")
    monkeypatch.setattr("quant.artifact.write.atomic_folder", lambda folder: pytest.fail("too late"))
    with pytest.raises(InputError, match=r"holds notes\.txt"):
        make_artifact(folder)


@pytest.mark.parametrize("given", ["a/w.safetensors", "a", "link/w.safetensors", "a/../a/golden", "A-link.pth"])
def test_what_is_read_must_not_be_replaced(tmp_path, given):
    (tmp_path / "a" / "golden").mkdir(parents=True)
    (tmp_path / "a" / "w.safetensors").touch()
    (tmp_path / "link").symlink_to(tmp_path / "a")
    (tmp_path / "A-link.pth").symlink_to(tmp_path / "a" / "w.safetensors")
    with pytest.raises(InputError, match=r"--weights .* lies in .*a, which is to be replaced; choose another --out"):
        require_apart(tmp_path / "a", {"--weights": tmp_path / given})


def test_names_and_neighbours_may_be_read(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "ab").mkdir()
    require_apart(Path("a"), {"--weights": "hf://timm/b0", "--data": SAMPLE})
    (tmp_path / "a").mkdir()
    require_apart(Path("a"), {"--weights": "timm-b0", "--data": "ab"})
    assert not lies_in(Path("ab"), Path("a"))


@pytest.mark.parametrize(
    ("halves", "out", "fits"),
    [
        (("train", "val"), "photos/art", True),
        (("train", "val"), "photos/val/art", False),
        (("train", "val"), "photos/train/deep/art", False),
        (("val",), "photos/../photos/val/art", False),
        ((), "photos/art", False),
        ((), "photos", False),
        ((), "art", True),
    ],
)
def test_nothing_is_written_among_images(tmp_path, halves, out, fits):
    (tmp_path / "photos").mkdir()
    for half in halves:
        (tmp_path / "photos" / half).mkdir()
    if fits:
        require_no_image(tmp_path / out, tmp_path / "photos")
        return
    with pytest.raises(InputError, match=r"lies among the images of .* choose another --out"):
        require_no_image(tmp_path / out, tmp_path / "photos")


def test_the_drawn_sample_is_no_folder(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    Path(SAMPLE).mkdir()
    require_no_image(Path(SAMPLE, "art"), SAMPLE)


@pytest.fixture
def job(tmp_path):
    folder = tmp_path / "job"
    folder.mkdir()
    for name in ("model.pte", "pixels-0000.u8"):
        (folder / name).touch()
    values = {"schema": 1, "program": {"file": "model.pte"}, "pixels": {"files": [{"file": "pixels-0000.u8"}]}}
    (folder / "job.json").write_text(json.dumps(values))
    return folder


def test_a_job_may_be_replaced(job):
    require_kinds(job, (JOB,))


@pytest.mark.parametrize("place", ["job", "."])
def test_a_job_is_never_written_over_the_current_folder(job, monkeypatch, place):
    monkeypatch.chdir(job)
    with pytest.raises(InputError, match="holds the current folder"):
        prepare_job(job.parent / "a", data=job, out=Path() if place == "." else job)


@pytest.mark.parametrize(
    ("name", "text", "words"),
    [
        ("precious.txt", "x", "holds precious.txt, which is no part of a job; move it elsewhere"),
        ("results.json", "{}", "holds results.json, which is no part of a job"),
        ("deep/precious.txt", "x", "holds deep,"),
        ("job.json", "{}", "something other than a job, or a damaged one to remove by hand"),
        ("job.json", '{"schema": 1, "program": 1}', "remove by hand"),
        ("job.json", '{"schema": 1, "program": {"file": "x"}, "pixels": {"files": []}}', "remove by hand"),
        ("job.json", "", "remove by hand"),
    ],
)
def test_a_job_with_files_of_others_is_left_alone(job, tmp_path, name, text, words):
    (job / name).parent.mkdir(exist_ok=True)
    (job / name).write_text(text)
    before = snapshot(job)
    with pytest.raises(InputError, match=words):
        prepare_job(make_artifact(tmp_path / "a").folder, data=SAMPLE, out=job)
    assert snapshot(job) == before


@pytest.fixture
def project(tmp_path):
    """An Android project that is pinned as the artifacts are."""
    module = tmp_path / "app" / "app"
    module.mkdir(parents=True)
    (module.parent / "settings.gradle").write_text("include ':app'\n")
    (module / "build.gradle").write_text(
        "apply plugin: 'com.android.application'\nimplementation 'org.pytorch:executorch-android:1.4.1'\n"
    )
    return module.parent


def test_an_apps_model_is_replaced_by_the_next(project, folder):
    for _ in range(2):
        deploy(folder, app="android", project=project)
    assert (project / "app/src/main/assets/model/labels.txt").is_file()


@pytest.mark.parametrize(("name", "text"), [("mine.tflite", "x"), ("manifest.json", PWA), ("golden/x", "x")])
@pytest.mark.parametrize("deployed", [True, False])
def test_a_model_of_others_in_an_app_is_left_alone(project, folder, name, text, deployed):
    if deployed:
        deploy(folder, app="android", project=project)
    path = project / "app/src/main/assets/model" / name
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)
    before = snapshot(project)
    with pytest.raises(InputError, match="choose another --project"):
        deploy(folder, app="android", project=project)
    assert snapshot(project) == before


@pytest.mark.parametrize("what", ["manifest", "text", "empty", "folder", "link", "pipe", "another version"])
def test_results_replace_results_only(folder, tmp_path, what):
    path = folder / "manifest.json" if what == "manifest" else tmp_path / "r.json"
    make = {
        "text": lambda: path.write_text("precious"),
        "empty": path.touch,
        "folder": path.mkdir,
        "link": lambda: path.symlink_to(tmp_path / "absent"),
        "pipe": lambda: os.mkfifo(path),
        "another version": lambda: shutil.copy(RESULTS / "schema-2.json", path),
    }
    make.get(what, lambda: None)()
    before = snapshot(tmp_path)
    with pytest.raises(InputError, match="is something other than a results file of a device; choose another name"):
        check_on_device(folder, device="host", data=SAMPLE, results=path)
    assert snapshot(tmp_path) == before


def test_older_results_may_be_replaced(tmp_path):
    require_results_file(tmp_path / "new" / "r.json")
    shutil.copy(RESULTS / "good.json", tmp_path / "r.json")
    require_results_file(tmp_path / "r.json")


@pytest.mark.parametrize(
    "write",
    [
        lambda folder, path: check_on_device(folder, device="host", data=SAMPLE, results=path),
        lambda folder, path: check(folder, data=SAMPLE, baseline=path, update_baseline=True),
        lambda folder, path: make_report([folder], out=path),
    ],
    ids=["results", "baseline", "report"],
)
@pytest.mark.parametrize("length", [250, 300])
def test_a_file_that_cannot_be_written_is_told_before_the_work(folder, write, length):
    with pytest.raises(MachineError, match="the name is too long"):
        write(folder, folder.parent / ("x" * length))
