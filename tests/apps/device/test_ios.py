"""The iOS app against what it shares with Python; a Swift compiler does the rest (tests/apps/ios/test_swift.py)."""

import json
import plistlib
import re
import shutil
import subprocess
from pathlib import Path

import pytest

from apps.device.app_projects import APPS, ios_app
from tests.support.code_blocks import blocks
from tests.support.swift_source import CORE, IOS, SWIFT_FILES, json_keys, syntax_errors
from tests.test_supply_chain import locked

REPOSITORY = IOS.parents[1]
DEVICE = REPOSITORY / "apps" / "device"


@pytest.fixture(scope="module")
def project():
    parser = pytest.importorskip("openstep_parser", reason="the parser is in the dev extra")
    with (IOS / ios_app().project / "project.pbxproj").open() as file:
        return parser.OpenStepDecoder.ParseFromFile(file)


def objects(project, isa):
    return [entry for entry in project["objects"].values() if entry["isa"] == isa]


@pytest.mark.parametrize("path", SWIFT_FILES, ids=lambda p: p.name)
def test_every_source_file_parses(path):
    assert syntax_errors(path.read_bytes()) == []


def test_the_parser_notices_errors():
    assert syntax_errors(b"struct Broken { let x: Int = }")
    assert syntax_errors(b"func f() { if x { }")


def test_lines_are_at_most_120_long():
    long = [
        f"{p.name}:{n}"
        for p in SWIFT_FILES
        for n, line in enumerate(p.read_text().splitlines(), 1)
        if len(line) > 120
    ]
    assert long == []


def test_screens_and_messages_say_image():
    """The JSON formats' keys alone are older than the word."""
    for path in SWIFT_FILES:
        if "Tests" not in path.parts:
            assert "photograph" not in re.sub(r'"(golden_)?photographs?"', "", path.read_text()).lower(), path.name


def test_the_runtime_is_of_the_exporters_version():
    assert locked()["executorch"] == ios_app().executorch
    assert ios_app().branch == f"swiftpm-{ios_app().executorch}"
    swift = (CORE / "ExecuTorchVersion.swift").read_text()
    assert re.search(r'linked = ExecuTorchVersion\("(.+)"\)', swift)[1] == ios_app().executorch


def test_the_project_links_that_version(project):
    (package,) = objects(project, "XCRemoteSwiftPackageReference")
    assert package["repositoryURL"] == ios_app().swift_package
    assert package["requirement"] == {"branch": ios_app().branch, "kind": "branch"}
    linked = {entry["productName"] for entry in objects(project, "XCSwiftPackageProductDependency")}
    assert linked == {*ios_app().products, "EdgeEffNetCore", "EdgeEffNetPhotos"}
    resolved = IOS / ios_app().project / "project.xcworkspace/xcshareddata/swiftpm/Package.resolved"
    (pin,) = json.loads(resolved.read_text())["pins"]
    assert (pin["location"], pin["state"]["branch"]) == (ios_app().swift_package, ios_app().branch)


def test_the_project_is_whole(project):
    defined = set(project["objects"])
    text = (IOS / ios_app().project / "project.pbxproj").read_text()
    assert set(re.findall(r"\b[0-9A-F]{24}\b", text)) == defined
    scheme = (IOS / ios_app().project / "xcshareddata/xcschemes/EdgeEffNet.xcscheme").read_text()
    assert set(re.findall(r'"([0-9A-F]{24})"', scheme)) <= defined
    built = {project["objects"][phase]["isa"] for phase in objects(project, "PBXNativeTarget")[0]["buildPhases"]}
    assert built == {"PBXSourcesBuildPhase", "PBXFrameworksBuildPhase", "PBXResourcesBuildPhase"}
    for group in objects(project, "PBXFileSystemSynchronizedRootGroup"):
        assert (IOS / group["path"]).is_dir()


def test_the_settings_that_the_app_depends_on(project):
    settings = [entry["buildSettings"] for entry in objects(project, "XCBuildConfiguration")]
    targets = [s for s in settings if "PRODUCT_BUNDLE_IDENTIFIER" in s]
    assert len(targets) == 2
    for target in targets:
        assert target["PRODUCT_BUNDLE_IDENTIFIER"] == ios_app().bundle_id
        assert target["OTHER_LDFLAGS"] == "-all_load"  # backends and kernels register themselves when they are loaded
        assert target["COMPRESS_PNG_FILES"] == "NO"  # Xcode's PNGs are premultiplied: no golden images any more
        assert (IOS / target["SWIFT_OBJC_BRIDGING_HEADER"]).is_file()
        assert (IOS / target["INFOPLIST_FILE"]).is_file()
    assert {s["IPHONEOS_DEPLOYMENT_TARGET"] for s in settings if "SDKROOT" in s} == {ios_app().min_ios}
    major = ios_app().min_ios.partition(".")[0]
    assert f".iOS(.v{major})" in (IOS / "EdgeEffNetCore" / "Package.swift").read_text()


def test_jobs_and_results_can_be_moved_by_hand():
    values = plistlib.loads((IOS / "Info.plist").read_bytes())
    assert values["UIFileSharingEnabled"] is True
    assert values["LSSupportsOpeningDocumentsInPlace"] is True
    assert values["NSCameraUsageDescription"]


def test_the_privacy_manifest_names_every_kind_of_call_with_a_reason():
    """Reasons by Apple: "Describing use of required reason API"; ExecuTorch is linked statically, so it counts."""
    values = plistlib.loads((IOS / "App/PrivacyInfo.xcprivacy").read_bytes())
    assert values["NSPrivacyTracking"] is False and values["NSPrivacyCollectedDataTypes"] == []
    reasons = {
        entry["NSPrivacyAccessedAPIType"].removeprefix("NSPrivacyAccessedAPICategory"): entry[
            "NSPrivacyAccessedAPITypeReasons"
        ]
        for entry in values["NSPrivacyAccessedAPITypes"]
    }
    assert reasons == {"SystemBootTime": ["35F9.1"], "FileTimestamp": ["C617.1", "3B52.1"]}
    swift = "".join(path.read_text() for path in SWIFT_FILES)
    for call in ("UserDefaults", "volumeAvailableCapacity", "activeInputModes"):  # kinds that it does not name
        assert call not in swift


def test_a_camera_without_frames_says_why():
    source = (IOS / "App/Camera/Camera.swift").read_text()
    for name in ("wasInterrupted", "runtimeError"):
        assert f"name: AVCaptureSession.{name}Notification, object: session" in source
    unsupported = source[source.index("canAddInput") :].partition("}")[0]
    assert "another app" not in unsupported


def test_the_app_finds_what_deploy_puts_there(project):
    assert APPS["ios"].look(IOS).model == IOS / ios_app().model_folder
    assert f'"{ios_app().model_folder}"' in (IOS / "App/Runtime/Engine.swift").read_text()
    top = Path(ios_app().model_folder).parts[0]
    (folder,) = [e for e in objects(project, "PBXFileReference") if e.get("lastKnownFileType") == "folder"]
    assert folder["path"] == top
    assert (IOS / top).is_dir()
    if shutil.which("git"):
        ignored = ["git", "-C", str(REPOSITORY), "check-ignore", "-q", f"apps/ios/{ios_app().model_folder}/model.pte"]
        assert subprocess.run(ignored, check=False).returncode == 0


def test_the_backends_are_those_of_the_code():
    source = (IOS / "App/Runtime/ExecuTorchRuntime.swift").read_text()
    listed = re.search(r"backends: Set<String> = \[(.+)\]", source)[1]
    assert set(re.findall(r'"(\w+)"', listed)) == set(ios_app().backends)


RESULTS = {
    "Results": [],
    "Results.Device": ["device"],
    "Results.Runtime": ["runtime"],
    "Results.Latency": ["latency"],
    "Results.Thermal": ["thermal", 1],
}
JOB = {
    "Job": [],
    "Job.Program": ["program"],
    "Job.Output": ["output"],
    "Job.Pixels": ["pixels"],
    "Job.File": ["pixels", "files", "[]"],
}
SHARED = {
    ("JobImage.swift", "JobImage"): ("job", ["photographs", "[]"]),
    ("JobImage.swift", "ImageResult"): ("results", ["photographs", "[]"]),
    ("TensorSpec.swift", "TensorSpec"): ("job", ["input"]),
    ("Normalization.swift", "Normalization"): ("job", ["normalize", 1]),
}
STRUCTS = [
    *(("Results.swift", struct, "results", path) for struct, path in RESULTS.items()),
    *(("Job.swift", struct, "job", path) for struct, path in JOB.items()),
    *((file, struct, schema, path) for (file, struct), (schema, path) in SHARED.items()),
]
"""Swift file, struct, schema, and the way to the struct's part of it."""


def part_of(schema, path):
    """A number chooses of `oneOf`, `[]` steps into an array, a word into an object."""
    node = schema
    for step in path:
        if isinstance(step, int):
            node = node["oneOf"][step]
        else:
            node = node["items"] if step == "[]" else node["properties"][step]
        if "$ref" in node:
            node = schema["$defs"][node["$ref"].rpartition("/")[2]]
    return node


@pytest.mark.parametrize(("file", "struct", "schema", "path"), STRUCTS, ids=lambda v: v if isinstance(v, str) else "")
def test_formats_have_the_keys_of_the_schemas(file, struct, schema, path):
    part = part_of(json.loads((DEVICE / "job" / f"{schema}.schema.json").read_text()), path)
    assert json_keys(CORE / file, struct) == set(part["properties"]) == set(part["required"])


def test_the_swift_of_the_page_for_other_apps_parses():
    (block,) = [block for block in blocks("swift") if block.page == "docs/own-app.md"]
    assert syntax_errors(block.text.encode()) == []
    lines = block.text.splitlines()
    assert max(map(len, lines)) <= 120
