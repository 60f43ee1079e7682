"""What of an artifact goes into an app: what it needs to run the program, nothing that tells whose images made it."""

import json
import re

import numpy as np
import pytest
import torch

from apps.cli import edge_effnet
from apps.cli.exit_codes import guarded
from apps.device import app_projects
from apps.device.deploy import deploy
from apps.device.shipped import KEYS
from quant.artifact.model import GoldenImage
from quant.artifact.recognise import SEAL, seal_of
from tests.support.artifacts import edit_manifest, make_artifact, sha256_of, sign_again, snapshot
from tests.support.images import draw_image
from tests.support.paths import ROOT
from tests.support.programs import PREPROCESS, SIZE

PRIVATE = ("/home/somebody/photos", "face-of-somebody.jpg", "a" * 64, "b" * 128, "secret.pth", "wrong-one.jpg")


@pytest.fixture
def artifact(tmp_path):
    pixels = np.zeros((SIZE, SIZE, 3), np.uint8)
    draw_image(tmp_path / "drawn.png")
    image = GoldenImage(
        name="drawn.png",
        png=(tmp_path / "drawn.png").read_bytes(),
        pixels=torch.from_numpy(pixels),
        input=PREPROCESS.normalize(pixels),
        output=torch.zeros(3),
    )
    folder = make_artifact(tmp_path / "b0-int8-xnnpack", drawn=[image]).folder

    def tell(manifest):
        manifest["command"] = ["quantize", "--data", PRIVATE[0]]
        manifest["photographs"] = {
            "calibration": [{"name": PRIVATE[1], "sha256": PRIVATE[2], "thumbnail": PRIVATE[3]}],
            "evaluation": [{"name": PRIVATE[1], "sha256": PRIVATE[2]}],
        }
        manifest["golden"][0]["photograph"] = PRIVATE[1]
        manifest["weights"]["name"] = PRIVATE[4]
        manifest["verdict"]["flips"] = [
            {
                **{"photograph": PRIVATE[5], "label": None, "float": "red", "pte": "blue"},
                **{"float_probability": 0.5, "pte_probability": 0.5},
            }
        ]

    edit_manifest(folder, tell)
    sign_again(folder)
    return folder


@pytest.fixture
def theirs(tmp_path):
    app = tmp_path / "theirs/app"
    app.mkdir(parents=True)
    (app.parent / "settings.gradle").write_text("include ':app'\n")
    (app / "build.gradle").write_text("plugins { id 'com.android.application' }\n")
    return app.parent


DRAWN = {"golden/drawn.png", "golden/drawn.pixels.u8", "golden/drawn.input.f32", "golden/drawn.output.f32"}


@pytest.mark.parametrize("self_test", [False, True])
def test_nothing_private_goes_into_an_app_and_golden_images_only_if_asked_for(self_test, artifact, theirs):
    done = deploy(artifact, app="android", project=theirs, self_test=self_test)
    shipped = snapshot(done.folder)
    assert set(shipped) == {"model.pte", "labels.txt", "manifest.json", *(DRAWN if self_test else ())}
    assert set(shipped) == set(done.files) and sum(map(len, shipped.values())) == done.bytes
    assert not any(word.encode() in data for word in PRIVATE for data in shipped.values())
    manifest = json.loads(shipped["manifest.json"])
    assert set(manifest["files"]) == set(shipped) - {"manifest.json"}
    for name, entry in manifest["files"].items():
        assert entry == {"sha256": sha256_of(done.folder / name), "bytes": len(shipped[name])}
    assert len(manifest["golden_photographs"]) == self_test
    assert manifest[SEAL] == seal_of(manifest)


def test_the_command_line_takes_the_self_test_along(artifact, theirs):
    words = ["deploy", str(artifact), "--app", "android", "--project", str(theirs), "--self-test"]
    assert guarded(lambda: edge_effnet.app(words, standalone_mode=False)) == 0
    assert (theirs / "app/src/main/assets/model/golden/drawn.png").is_file()


def test_what_was_deployed_is_replaced(artifact, theirs):
    deploy(artifact, app="android", project=theirs, self_test=True)
    deploy(artifact, app="android", project=theirs)
    assert not (theirs / "app/src/main/assets/model/golden").exists()


@pytest.mark.parametrize("given", [False, True])
@pytest.mark.parametrize("app", app_projects.APPS)
def test_this_packages_apps_keep_their_self_test(app, given, artifact, tmp_path, monkeypatch):
    monkeypatch.setattr(app_projects, "own_project", lambda _: tmp_path / "own")
    monkeypatch.setattr("apps.device.deploy.own_project", lambda _: tmp_path / "own")
    project = app_projects.APPS[app]
    app_projects.copy_own(project, tmp_path / "own")
    done = deploy(artifact, app=app, project=tmp_path / "own" if given else None)
    assert set(done.files) >= DRAWN
    text = (done.folder / "manifest.json").read_text()
    # The build script of apps/android looks for it.
    assert re.search(r'"backend": "(\w+)"', text)[1] == "xnnpack"


def test_every_key_that_the_apps_read_is_shipped():
    kotlin = (ROOT / "apps/android/core/src/main/kotlin/org/edgeeffnet/core/artifact/Manifest.kt").read_text()
    swift = (ROOT / "apps/ios/EdgeEffNetCore/Sources/EdgeEffNetCore/Manifest.swift").read_text()
    read = set(re.findall(r'fields\.(?:integer|texts?|fields)\("(\w+)"\)', kotlin))
    read |= set(re.findall(r'const val GOLDEN = "(\w+)"', kotlin))
    (cases,) = re.findall(r"case (schema, .*)\n", swift)
    read |= set(cases.split(", "))
    assert {"classes", "golden_photographs", "backend"} <= read
    assert read - {"files", "golden_photographs"} <= set(KEYS) | {"executorch"}


def test_the_page_lists_the_keys_that_are_shipped():
    page = (ROOT / "docs/manifest.md").read_text()
    (said,) = re.findall(r"^## In an app\n(.*?)^## ", page, re.MULTILINE | re.DOTALL)
    assert set(re.findall(r"`(\w+)`", said)) >= {*KEYS, "files", "golden_photographs", "seal"}
