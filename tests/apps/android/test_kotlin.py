"""apps/android compiled by a real Kotlin compiler: `core` passes its tests on a JVM, `app` type-checks.

It needs Debian's openjdk-17-jre-headless, junit4, libhamcrest-java and libandroid-json-org-java (Android's own
org.json), and PyPI's kotlin-jupyter-kernel, which carries a compiler (part of the `dev` extra). Without one of them
it skips.

There is no Android SDK here: `app` is compiled against declarations of what it uses (tests/support/android_api.txt).
"""

import json
from importlib.metadata import version

import jsonschema
import numpy as np
import pytest
import torch
from PIL import Image

from apps.device.job.folder import write_job
from apps.device.job.results import read_results
from apps.device.remote import Settings
from edge_effnet.preprocess import INTERPOLATIONS, Preprocess
from quant.artifact.golden import golden_images
from quant.common.progress import NoProgress
from quant.data.split import ImageRecord
from tests.support.artifacts import make_artifact, sha256_of
from tests.support.code_blocks import blocks
from tests.support.images import draw_classes
from tests.support.kotlin import ANDROID, Kotlin, MissingError, write_android_api
from tests.support.programs import PREPROCESS, RIGHT, SIZE, ColourNet

pytestmark = pytest.mark.slow

CORE = ANDROID / "core/src"
GOLDEN = ANDROID.parents[1] / "tests/golden"
TESTS = [
    ".".join(path.relative_to(CORE / "test/kotlin").with_suffix("").parts)
    for path in sorted((CORE / "test/kotlin").rglob("*Test.kt"))
]
PREPROCESS_TEST = "org.edgeeffnet.core.photo.PreprocessTest"
ARTIFACT_TEST = "org.edgeeffnet.core.artifact.ArtifactTest"
JOB_TEST = "org.edgeeffnet.core.job.PythonJobTest"


@pytest.fixture(scope="module")
def kotlin():
    try:
        return Kotlin.find()
    except MissingError as missing:
        pytest.skip(str(missing))


@pytest.fixture(scope="module")
def core(kotlin, tmp_path_factory):
    """The compiled core and its tests."""
    classes = tmp_path_factory.mktemp("core")
    done = kotlin.compile(classes, CORE / "main/kotlin", CORE / "test/kotlin")
    assert done.returncode == 0, done.stderr
    return classes


def test_the_core_passes_its_tests_and_writes_what_the_schemas_allow(kotlin, core, tmp_path):
    done = kotlin.junit(core, TESTS, golden=GOLDEN, written=tmp_path)
    assert done.returncode == 0, done.stdout
    assert "OK (" in done.stdout

    for name in ("job", "results"):
        schema = json.loads((ANDROID.parent / f"device/job/{name}.schema.json").read_text())
        written = json.loads((tmp_path / f"{name}.json").read_text())
        jsonschema.Draft202012Validator(schema).validate(written)
    assert json.loads((tmp_path / "status.json").read_text()) == {"state": "done", "done": 5, "of": 5, "error": None}


def test_a_copy_of_the_core_without_the_golden_files_passes_too(kotlin, core):
    done = kotlin.junit(core, TESTS)
    assert done.returncode == 0, done.stdout


def test_the_core_gives_pythons_pixels_for_any_image(kotlin, core, tmp_path):
    random = np.random.default_rng(7)
    folder = tmp_path / "preprocess"
    folder.mkdir()
    cases = [write_case(folder, index, random) for index in range(40)]
    (folder / "cases.json").write_text(json.dumps(cases))
    done = kotlin.junit(core, [PREPROCESS_TEST], golden=tmp_path)
    assert done.returncode == 0, done.stdout


def write_case(folder, index, random):
    """A noisy image of any size, as tests/golden/make.py writes them; extremes show clamping."""
    width, height = random.integers(8, 300, 2)
    crop = int(random.integers(1, 120))
    preprocess = Preprocess(
        crop=crop,
        resize=crop + int(random.integers(0, 40)),
        interpolation=sorted(INTERPOLATIONS)[index % 2],
        mean=tuple(random.random(3).tolist()),
        std=tuple((random.random(3) + 0.1).tolist()),
        resize_mode=("shorter", "squash", "pad", "pad-black")[index // 2 % 4],
    )
    pixels = random.integers(0, 256, (height, width, 3), dtype=np.uint8)
    if index % 4 < 2:
        pixels = (pixels > 127).astype(np.uint8) * 255
    files = {key: f"{index}.{suffix}" for key, suffix in (("photograph", "png"), ("pixels", "u8"), ("input", "f32"))}
    Image.fromarray(pixels).save(folder / files["photograph"])
    expected = preprocess.pixels(folder / files["photograph"])
    (folder / files["pixels"]).write_bytes(expected.tobytes())
    (folder / files["input"]).write_bytes(preprocess.normalize(expected).numpy().astype("<f4").tobytes())
    return {**files, "preprocess": preprocess.to_dict()}


INPUTS = {
    "float32": {"shape": [1, 3, SIZE, SIZE], "dtype": "float32", "layout": "NCHW"},
    "uint8": {"shape": [1, SIZE, SIZE, 3], "dtype": "uint8", "layout": "NHWC"},
}


def artifact_of(folder, dtype):
    return make_artifact(
        folder,
        drawn=golden_images(PREPROCESS, ColourNet(RIGHT), takes_pixels=dtype == "uint8"),
        input=INPUTS[dtype],
        versions={"executorch": version("executorch")},
    )


@pytest.mark.parametrize("dtype", INPUTS)
def test_the_core_reads_pythons_artifact_and_gives_its_golden_pixels_and_tensors(kotlin, core, tmp_path, dtype):
    artifact = artifact_of(tmp_path / "artifact", dtype)
    done = kotlin.junit(core, [ARTIFACT_TEST], golden=GOLDEN, artifact=artifact.folder)
    assert done.returncode == 0, done.stdout


@pytest.mark.parametrize("dtype", INPUTS)
def test_the_core_does_pythons_job_and_python_reads_the_results(kotlin, core, tmp_path, dtype):
    root = draw_classes(tmp_path / "photos", 30)
    images = [
        ImageRecord(path=path, name=str(path.relative_to(root)), label=None, sha256=sha256_of(path))
        for path in sorted(root.rglob("*.jpg"))
    ]
    folder = tmp_path / "job"
    folder.mkdir()
    artifact = artifact_of(tmp_path / "artifact", dtype)
    job = write_job(folder, artifact, images, Settings(warmup=1, repeats=2), NoProgress())
    assert len(job.values["pixels"]["files"]) == 2

    done = kotlin.junit(core, [JOB_TEST], golden=GOLDEN, job=folder)
    assert done.returncode == 0, done.stdout
    results = read_results(folder / "results.json")
    assert results.values["job"] == job.id
    assert results.images == [(image.name, image.sha256) for image in images]
    # Its program answers with the first value of its input, times 255 where that is float32.
    pixels = torch.tensor(np.stack([PREPROCESS.pixels(image.path) for image in images]))
    tensors = pixels[:, 0, 0, 0].float() if dtype == "uint8" else PREPROCESS.normalize(pixels)[:, 0, 0, 0] * 255
    assert torch.equal(results.logits, tensors[:, None].expand(-1, 3))


def test_the_app_and_the_page_for_other_apps_type_check(kotlin, core, tmp_path):
    write_android_api(tmp_path / "api")
    (tmp_path / "page").mkdir()
    page = [block.text for block in blocks("kotlin") if block.page == "docs/own-app.md" and "class " in block.text]
    assert page
    for number, text in enumerate(page):
        (tmp_path / "page" / f"{number}.kt").write_text(text)
    sources = [ANDROID / "app/src/main/kotlin", tmp_path / "api", tmp_path / "page"]
    done = kotlin.compile(tmp_path / "app", *sources, classes=(core,))
    assert done.returncode == 0, done.stderr
    # What only debug builds hold: nothing above may need it.
    sources = [ANDROID / "app/src/debug/kotlin", tmp_path / "api"]
    debug = kotlin.compile(tmp_path / "debug", *sources, classes=(tmp_path / "app", core))
    assert debug.returncode == 0, debug.stderr
