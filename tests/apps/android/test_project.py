"""apps/android without compiling it: syntax, pins, the names that it shares with Python, resources, JSON keys."""

import hashlib
import json
import os
import re
import tomllib
from xml.etree import ElementTree

import pytest
from packaging.version import Version

from edge_effnet.preprocess import RESIZE_MODES, Preprocess
from tests.support.kotlin import ANDROID, BUILDS, resources
from tests.test_supply_chain import locked

ROOT = ANDROID.parents[1]
CONTRACT = json.loads((ROOT / "apps/device/adb/android.json").read_text())
CATALOG = tomllib.loads((ANDROID / "gradle/libs.versions.toml").read_text())
MANIFESTS = {build: ElementTree.parse(ANDROID / f"app/src/{build}/AndroidManifest.xml").getroot() for build in BUILDS}
NAME = "{http://schemas.android.com/apk/res/android}"
SOURCES = sorted(path for path in ANDROID.rglob("*.kt*") if path.suffix in {".kt", ".kts"})
CORE = ANDROID / "core/src/main/kotlin/org/edgeeffnet/core"
APP = ANDROID / "app/src/main/kotlin/org/edgeeffnet/app"
DEBUG = ANDROID / "app/src/debug/kotlin/org/edgeeffnet/app"


def relative(path):
    return str(path.relative_to(ANDROID))


def parse(path):
    tree_sitter = pytest.importorskip("tree_sitter", reason="no parser here: pip install -e '.[dev]'")
    grammar = pytest.importorskip("tree_sitter_kotlin", reason="no Kotlin grammar here: pip install -e '.[dev]'")
    return tree_sitter.Parser(tree_sitter.Language(grammar.language())).parse(path.read_bytes()).root_node


def nodes(node):
    yield node
    for child in node.children:
        yield from nodes(child)


@pytest.mark.parametrize("path", SOURCES, ids=relative)
def test_kotlin_parses(path):
    broken = [f"{relative(path)}:{n.start_point.row + 1}" for n in nodes(parse(path)) if n.is_error or n.is_missing]
    assert not broken


def test_one_release_of_executorch():
    assert locked()["executorch"] == CATALOG["versions"]["executorch"]
    assert CONTRACT["executorch"] == CATALOG["versions"]["executorch"]
    assert CATALOG["libraries"]["executorch"]["module"] == "org.pytorch:executorch-android"
    assert CATALOG["libraries"]["executorch"]["version"] == {"ref": "executorch"}


def test_every_entry_of_the_catalog_is_used_and_every_use_is_an_entry():
    text = "".join(path.read_text() for path in ANDROID.rglob("*.gradle.kts"))
    used = {name for name in re.findall(r"\blibs\.([\w.]+)\)", text) if not name.startswith("versions.")}
    plugins = {f"plugins.{name}" for name in CATALOG["plugins"]}
    assert {name.replace(".", "-") for name in used} == {
        name.replace(".", "-") for name in plugins | set(CATALOG["libraries"])
    }
    refs = {entry["version"]["ref"] for kind in ("libraries", "plugins") for entry in CATALOG[kind].values()}
    assert refs == set(CATALOG["versions"])


def test_the_wrapper_is_gradles_own_and_runs_a_release_that_the_plugin_wants():
    """Sums as gradle.org publishes them for Gradle 8.13; AGP 8.11 asks for it, and knows API 36."""
    wrapper = ANDROID / "gradle/wrapper"
    jar = hashlib.sha256((wrapper / "gradle-wrapper.jar").read_bytes()).hexdigest()
    assert jar == "81a82aaea5abcc8ff68b3dfcb58b3c3c429378efd98e7433460610fecd7ae45f"
    properties = dict(re.findall(r"^(\w+)=(.*)$", (wrapper / "gradle-wrapper.properties").read_text(), re.MULTILINE))
    assert properties["distributionUrl"].endswith("/gradle-8.13-bin.zip")
    assert properties["distributionSha256Sum"] == "20f1b1176237254a6fc204d8434196fa11a4cfb387567519c61556e8710aed78"
    assert CATALOG["versions"]["agp"].startswith("8.11.")
    assert "targetSdk = 36\n" in (ANDROID / "app/build.gradle.kts").read_text()
    assert os.access(ANDROID / "gradlew", os.X_OK)


def test_both_apps_are_of_pythons_version():
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    base = Version(project["version"]).base_version
    assert f'versionName = "{base}"\n' in (ANDROID / "app/build.gradle.kts").read_text()
    xcode = (ROOT / "apps/ios/EdgeEffNet.xcodeproj/project.pbxproj").read_text()
    assert set(re.findall("MARKETING_VERSION = (.*);", xcode)) == {base}


def test_no_store_offers_the_app_to_a_phone_that_executorch_has_no_library_for():
    assert 'abiFilters += listOf("arm64-v8a", "x86_64")\n' in (ANDROID / "app/build.gradle.kts").read_text()


def test_a_release_build_holds_no_activity_for_jobs():
    assert not list((ANDROID / "app/src/main").rglob("Job*"))
    assert CONTRACT["action"] not in (ANDROID / "app/src/main/AndroidManifest.xml").read_text()


def test_every_screen_keeps_clear_of_the_systems_bars():
    for path in (*APP.rglob("*Activity.kt"), *DEBUG.rglob("*Activity.kt")):
        assert "drawBehindSystemBars()" in path.read_text(), path
    for path in (ANDROID / "app/src").rglob("layout/*.xml"):
        assert '@+id/root"' in path.read_text(), path


def test_no_error_ends_the_app_where_it_could_be_a_sentence():
    """`Error`s are no `Exception`s: a native library that is missing, memory that is used up."""
    for path in (*APP.rglob("*.kt"), *DEBUG.rglob("*.kt")):
        assert "catch (error: Exception)" not in path.read_text(), relative(path)


def test_a_camera_without_frames_says_why():
    assert ".cameraState.observe(this)" in (APP / "camera/CameraActivity.kt").read_text()
    declared = re.findall(r"int (ERROR_\w+) = ", (ROOT / "tests/support/android_api.txt").read_text())
    sentences = (APP / "camera/CameraWords.kt").read_text()
    assert declared and not [name for name in declared if name not in sentences]


def test_the_app_is_what_python_starts():
    build = (ANDROID / "app/build.gradle.kts").read_text()
    for line in (
        f'namespace = "{CONTRACT["package"]}"',
        f'applicationId = "{CONTRACT["package"]}"',
        f"minSdk = {CONTRACT['min_sdk']}\n",
    ):
        assert line in build
    (activity,) = MANIFESTS["debug"].iter("activity")
    assert CONTRACT["package"] + activity.attrib[f"{NAME}name"] == CONTRACT["activity"]
    assert activity.attrib[f"{NAME}exported"] == "true"
    assert [action.attrib[f"{NAME}name"] for action in activity.iter("action")] == [CONTRACT["action"]]


def test_kotlin_has_the_constants_that_python_has():
    constants = dict(re.findall(r'const val (\w+) = "(.*)"', (DEBUG / "job/JobContract.kt").read_text()))
    assert constants == {"EXTRA_JOB": CONTRACT["extras"]["job"], "JOBS_FOLDER": CONTRACT["jobs_folder"]}
    used = (DEBUG / "job/JobActivity.kt").read_text()
    assert all(f"JobContract.{name}" in used for name in constants)


def test_screens_and_messages_say_image():
    """The JSON formats' keys alone are older than the word."""
    for path in (*ANDROID.glob("app/src/**/*.xml"), *ANDROID.glob("*/src/*/**/*.kt")):
        text = re.sub(r'"(golden_)?photographs?"', "", path.read_text()).lower()
        assert "/test/" in path.as_posix() or "photograph" not in text, relative(path)


def test_every_class_of_the_manifest_exists():
    for root, manifest in ((APP, MANIFESTS["main"]), (DEBUG, MANIFESTS["debug"])):
        elements = [*manifest.iter("application"), *manifest.iter("activity")]
        # The debug manifest adds to the application that the other one names.
        names = [element.attrib[f"{NAME}name"] for element in elements if f"{NAME}name" in element.attrib]
        assert names
        for name in names:
            path = root / (name.removeprefix(".").replace(".", "/") + ".kt")
            package = ".".join([CONTRACT["package"], *name.split(".")[1:-1]])
            assert f"package {package}\n" in path.read_text()
            assert f"class {name.split('.')[-1]} " in path.read_text()


def test_every_resource_that_is_named_exists():
    known = resources()
    for path in (*APP.rglob("*.kt"), *DEBUG.rglob("*.kt")):
        for kind, name in re.findall(r"\bR\.(\w+)\.(\w+)", path.read_text()):
            assert name in known[kind], f"{relative(path)}: R.{kind}.{name}"
    for path in (ANDROID / "app/src").rglob("*.xml"):
        ElementTree.parse(path)
        for kind, name in re.findall(r'"@(?!\+|android:)(\w+)/(\w+)"', path.read_text()):
            assert name in known[kind], f"{relative(path)}: @{kind}/{name}"


def test_the_core_knows_nothing_of_android():
    for path in CORE.rglob("*.kt"):
        assert not re.search(r"^import (android|androidx|org\.pytorch)\.", path.read_text(), re.MULTILINE), path


def test_the_core_builds_in_anybodys_project():
    """It is copied into projects without this catalog, or with another one, and without this clone's files."""
    script = (ANDROID / "core/build.gradle.kts").read_text()
    assert not re.search(r"\blibs\b", script)
    # Gradle refuses another version of a plugin than the root script's.
    assert 'kotlin("jvm")\n' in script and "jvmToolchain" not in script
    assert "if (golden.isDirectory)" in script
    assert set(re.findall(r'"([\w.]+:[\w.]+):', script)) == {"org.json:json", "junit:junit"}


def test_the_artifact_never_becomes_part_of_the_repository():
    assert "app/src/main/assets/model/" in (ANDROID / ".gitignore").read_text().splitlines()


READ = (
    *("text", "textOrNull", "texts", "matching", "flag", "integer", "integers", "long", "longOrNull"),
    *("numberOrNull", "numbers", "fields", "fieldsOrNull", "list", "has"),
)


def calls(path, *names):
    """For each call of a function of these names, the string literals among its arguments."""
    for node in nodes(parse(path)):
        if node.type != "call_expression":
            continue
        name = re.search(rb"(\w+)\s*$", node.children[0].text)
        if name and name[1].decode() in names:
            own = [child for child in node.children[1:] if child.type == "value_arguments"]
            yield frozenset(
                argument.text.decode().strip().strip('"')
                for arguments in own
                for argument in arguments.named_children
                if re.fullmatch(r'\s*"[^"$]*"\s*', argument.text.decode())
            )


def objects(schema):
    """The property names of each object of a schema."""
    if isinstance(schema, dict):
        if "properties" in schema:
            yield frozenset(schema["properties"])
        schema = list(schema.values())
    if isinstance(schema, list):
        for value in schema:
            yield from objects(value)


FORMATS = {
    "job": ("job/JobSpec.kt", "job/PixelFiles.kt", "job/JobImage.kt", "files/Sha256.kt", "program/InputSpec.kt"),
    "results": ("job/ResultsFormat.kt", "job/ImageLogits.kt"),
}


@pytest.mark.parametrize("name", FORMATS)
def test_kotlin_reads_every_object_of_the_schema_with_exactly_its_keys(name):
    schema = json.loads((ROOT / f"apps/device/job/{name}.schema.json").read_text())
    expected = set(objects(schema))
    found = {keys for path in FORMATS[name] for keys in calls(CORE / path, "exactly")}
    assert found == expected
    read = {key for path in FORMATS[name] for keys in calls(CORE / path, *READ) for key in keys}
    assert read <= frozenset().union(*expected)


def test_kotlin_writes_every_key_of_the_results():
    schema = json.loads((ROOT / "apps/device/job/results.schema.json").read_text())
    written = {key for path in FORMATS["results"] for keys in calls(CORE / path, "put") for key in keys}
    assert written == frozenset().union(*objects(schema))


def test_kotlin_reads_only_what_the_manifest_has():
    schema = json.loads((ROOT / "quant/artifact/manifest.schema.json").read_text())
    known = set(schema["properties"]) | {"model.pte", "sha256", "executorch", "golden_photographs"}
    assert {key for keys in calls(CORE / "artifact/Manifest.kt", *READ) for key in keys} <= known
    modes = (Preprocess(crop=1, resize=1, resize_mode=mode) for mode in RESIZE_MODES)
    assert set(calls(CORE / "photo/Preprocess.kt", "exactly")) == {frozenset(mode.to_dict()) for mode in modes}
