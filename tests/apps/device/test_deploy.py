"""`edge-effnet deploy`: this package's app, anybody's project, and the pages of native libraries."""

import re
import shutil

import pytest

from apps.cli import edge_effnet
from apps.cli.exit_codes import guarded
from apps.device import app_projects
from apps.device.deploy import deploy
from apps.device.gradle.look import LIBRARIES
from apps.device.native_libraries import PAGE, packaged_libraries
from edge_effnet.errors import InputError
from quant.lower.table import BACKENDS
from tests.support.artifacts import make_artifact
from tests.support.native import make_archive
from tests.support.paths import ROOT

COORDINATE = "org.pytorch:executorch-android"


@pytest.fixture
def artifact(tmp_path):
    return make_artifact(tmp_path / "b0-int8-xnnpack").folder


def project_of(folder, **files):
    """A Gradle project of these files; `__` stands for a folder, `_dot_` for a dot."""
    (folder / "app").mkdir(parents=True)
    (folder / "settings.gradle.kts").write_text('include(":app")\n')
    (folder / "app/android.gradle").write_text("apply plugin: 'com.android.application'\n")
    for name, text in files.items():
        path = folder / name.replace("__", "/").replace("_dot_", ".")
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    return folder


CATALOG = "gradle__libs_dot_versions_dot_toml"
SCRIPT = "app__build_dot_gradle"
SAID = {
    "ref under any key": {
        CATALOG: f'[versions]\npt = "1.4.1"\n[libraries]\nai = {{ module = "{COORDINATE}", version.ref = "pt" }}\n'
    },
    "group and name": {
        CATALOG: '[libraries]\net = { group = "org.pytorch", name = "executorch-android", version = "1.4.1" }\n'
    },
    "one string": {CATALOG: f'[libraries]\net = "{COORDINATE}:1.4.1"\n'},
    "strictly": {CATALOG: f'[libraries]\net = {{ module = "{COORDINATE}", version = {{ strictly = "1.4.1" }} }}\n'},
    "beside entries of no kind": {CATALOG: f'[libraries]\na = 5\nb = ["x"]\net = "{COORDINATE}:1.4.1"\n'},
    "beside a table that is none": {
        CATALOG: f'versions = 1\n[libraries]\nb = {{ version = {{ ref = [1] }} }}\net = "{COORDINATE}:1.4.1"\n'
    },
    "groovy": {SCRIPT: f"dependencies {{\n    implementation '{COORDINATE}:1.4.1'\n}}\n"},
    "kotlin": {"app__build_dot_gradle_dot_kts": f'dependencies {{ implementation("{COORDINATE}:1.4.1@aar") }}\n'},
}


@pytest.mark.parametrize("case", SAID)
@pytest.mark.parametrize("version", ["1.4.1", "1.3.0"])
def test_anybodys_project_says_its_version_in_any_way(case, version, artifact, tmp_path):
    files = {name: text.replace("1.4.1", version) for name, text in SAID[case].items()}
    project = project_of(tmp_path / "theirs", **files)
    if version != "1.4.1":
        with pytest.raises(InputError, match=r"pins ExecuTorch 1\.3\.0, the artifact was made by 1\.4\.1"):
            deploy(artifact, app="android", project=project)
        return
    done = deploy(artifact, app="android", project=project)
    assert (project / "app/src/main/assets/model/model.pte").is_file()
    assert not any("Not checked" in note for note in done.notes)


@pytest.mark.parametrize("backend", ["vulkan", "qnn"])
def test_this_packages_app_takes_the_library_of_the_program_that_is_deployed(backend, tmp_path):
    artifact = make_artifact(tmp_path / "a", backend=backend).folder
    project = tmp_path / "app"
    shutil.copytree(ROOT / "apps" / "android", project, ignore=shutil.ignore_patterns("build", "model", ".gradle"))
    deploy(artifact, app="android", project=project)
    build = (project / "app/build.gradle.kts").read_text()
    assert (
        '"backend": "(\\w+)"' in build
        and f'"{backend}" -> {{\n            implementation(libs.executorch.{backend})' in build
    )
    found = re.search(r'"backend": "(\w+)"', (project / "app/src/main/assets/model/manifest.json").read_text())
    assert found[1] == backend


IOS, ANDROID = "this ios app links xnnpack, coreml, portable only", "this android app links xnnpack, portable only"
INSTEAD = "make one for these (quantize --backend xnnpack)."
LINK = f'link implementation("{COORDINATE}-qnn:1.4.1") beside com.qualcomm.qti:qnn-runtime of QNN 2.51.0 or later'
ELSEWHERE = {
    ("qnn", "ios"): f"qnn programs run in android apps, and {IOS}: deploy it --app android, or {INSTEAD}",
    ("coreml", "android"): f"coreml programs run in ios apps, and {ANDROID}: deploy it --app ios, or {INSTEAD}",
    ("openvino", "ios"): f"openvino programs run in no apps, and {IOS}: {INSTEAD}",
    ("qnn", "android"): f"qnn programs run in android apps, and {ANDROID}: {LINK}, or {INSTEAD}",
}


@pytest.mark.parametrize(("backend", "app"), ELSEWHERE)
def test_a_program_that_an_app_does_not_run_hears_which_app_does(backend, app, tmp_path):
    npu = {"soc": "SM8750", "architecture": "HTP v79", "libraries": "QNN 2.51.0", "judged_on": "emulated HTP"}
    artifact = make_artifact(tmp_path / "a", backend=backend, **({"npu": npu} if backend == "qnn" else {})).folder
    project = project_of(tmp_path / "theirs", **{SCRIPT: f'implementation("{COORDINATE}:1.4.1")'})
    (project / "Package.swift").write_text("swiftpm-1.4.1")
    with pytest.raises(InputError) as caught:
        deploy(artifact, app=app, project=project)
    assert str(caught.value) == f"{artifact}: {ELSEWHERE[backend, app]}"


def test_the_table_of_backends_names_the_apps_that_link_them():
    linked = {
        "android": {backend for backends in LIBRARIES.values() for backend in backends},
        "ios": {*app_projects.ios_app().backends},
    }
    for app in app_projects.APPS:
        assert linked[app] == {name for name, backend in BACKENDS.items() if app in backend.apps}


@pytest.mark.parametrize("text", ["", f'implementation("{COORDINATE}:$executorchVersion")', "broken = ["])
def test_what_a_project_does_not_say_is_said_to_be_unchecked(text, artifact, tmp_path, capsys):
    project = project_of(tmp_path / "theirs", **{SCRIPT: text, CATALOG: text if text.startswith("broken") else ""})
    words = ["deploy", str(artifact), "--app", "android", "--project", str(project)]
    assert guarded(lambda: edge_effnet.app(words, standalone_mode=False)) == 0
    out = capsys.readouterr().out
    assert "Not checked: which ExecuTorch the project links" in out
    assert f'implementation("{COORDINATE}:1.4.1")' in out


@pytest.mark.parametrize("app", app_projects.APPS)
def test_a_folder_that_holds_no_project_is_refused(app, artifact, tmp_path):
    with pytest.raises(InputError, match=f"no {app} project there"):
        deploy(artifact, app=app, project=tmp_path)


@pytest.mark.parametrize("app", app_projects.APPS)
def test_outside_of_a_clone_the_installed_app_is_copied_once(app, artifact, tmp_path, monkeypatch):
    installed = tmp_path / "site-packages/apps"
    ignored = shutil.ignore_patterns("model", "artifact", "build", ".gradle", ".build")
    shutil.copytree(ROOT / "apps" / app, installed / app, ignore=ignored)
    monkeypatch.setattr(app_projects, "__file__", str(installed / "device/app_projects.py"))
    monkeypatch.chdir(tmp_path)
    done = deploy(artifact, app=app)
    assert done.project.name == f"edge-effnet-{app}" and (done.folder / "model.pte").is_file()
    assert str(done.project) in done.next_step
    (done.project / "mine.txt").write_text("mine")
    deploy(artifact, app=app)
    assert (done.project / "mine.txt").is_file()


APK = "app/build/outputs/apk/debug/app-debug.apk"
PADDED = PAGE - 30 - len("lib/arm64-v8a/libexecutorch.so")


@pytest.mark.parametrize(
    ("settings", "wrong"),
    [
        ({}, None),
        ({"stored": True, "pad": PADDED}, None),
        ({"stored": True}, "lies at 60, no multiple of 16384"),
        ({"align": 4096}, "is aligned to 4096 bytes, not 16384"),
    ],
)
def test_a_built_app_is_looked_at_for_pages_of_16_kb(settings, wrong, tmp_path):
    make_archive(tmp_path / APK, **settings)
    found = packaged_libraries(tmp_path, gradle=tmp_path)
    assert found.libraries == 1
    assert found.wrong == (() if wrong is None else (f"app-debug.apk: arm64-v8a/libexecutorch.so {wrong}",))


@pytest.mark.parametrize("variable", [True, False])
def test_gradles_download_of_executorch_is_looked_at_too(variable, tmp_path, monkeypatch):
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.delenv("GRADLE_USER_HOME", raising=False)
    if variable:
        monkeypatch.setenv("GRADLE_USER_HOME", str(tmp_path / "elsewhere"))
    home = tmp_path / ("elsewhere" if variable else ".gradle")
    make_archive(home / f"caches/modules-2/files-2.1/{COORDINATE.replace(':', '/')}/1.4.1/0/a.aar", align=4096)
    assert packaged_libraries(tmp_path / "x", versions=["1.4.1"]).wrong
    assert "nothing built" in packaged_libraries(tmp_path / "x", versions=["1.3.0"]).sentence


def test_a_bundle_is_looked_at_as_an_apk_is(tmp_path):
    make_archive(tmp_path / "app/build/outputs/bundle/release/app-release.aab", align=4096)
    (wrong,) = packaged_libraries(tmp_path, gradle=tmp_path).wrong
    assert wrong == "app-release.aab: arm64-v8a/libexecutorch.so is aligned to 4096 bytes, not 16384"


@pytest.mark.parametrize("content", [b"", b"PK\x03\x04 broken", b"\x7fELF\x02"])
def test_what_is_no_library_is_said_to_be_none(content, tmp_path):
    for name in (APK, "app/src/main/jniLibs/arm64-v8a/libx.so"):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_bytes(content)
    assert len(packaged_libraries(tmp_path, gradle=tmp_path).wrong) == 2
