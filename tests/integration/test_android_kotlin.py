"""apps/android compiled by a real Kotlin compiler: `core` passes its tests on a JVM, `app` type-checks.

It needs Debian's openjdk-17-jdk-headless, junit4, libhamcrest-java and libandroid-json-org-java (Android's own
org.json), and PyPI's kotlin-jupyter-kernel, which carries a compiler (part of the `dev` extra). Without one of them
it skips.

There is no Android SDK here: `app` is compiled against declarations of what it uses (tests/support/android_api.txt).
"""

import json

import jsonschema
import numpy as np
import pytest
from PIL import Image
from support.kotlin import ANDROID, Kotlin, MissingError, write_android_api

from edge_effnet.preprocess import INTERPOLATIONS, Preprocess

pytestmark = pytest.mark.slow

CORE = ANDROID / "core/src"
GOLDEN = ANDROID.parents[1] / "tests/golden"
TESTS = [
    ".".join(path.relative_to(CORE / "test/kotlin").with_suffix("").parts)
    for path in sorted((CORE / "test/kotlin").rglob("*Test.kt"))
]
PREPROCESS_TEST = "org.edgeeffnet.core.photo.PreprocessTest"


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
        schema = json.loads((ANDROID.parent / f"device/{name}.schema.json").read_text())
        written = json.loads((tmp_path / f"{name}.json").read_text())
        jsonschema.Draft202012Validator(schema).validate(written)
    assert json.loads((tmp_path / "status.json").read_text()) == {"state": "done", "done": 5, "of": 5, "error": None}


def test_the_core_gives_pythons_pixels_for_any_photograph(kotlin, core, tmp_path):
    random = np.random.default_rng(7)
    folder = tmp_path / "preprocess"
    folder.mkdir()
    cases = [write_case(folder, index, random) for index in range(40)]
    (folder / "cases.json").write_text(json.dumps(cases))
    done = kotlin.junit(core, [PREPROCESS_TEST], golden=tmp_path)
    assert done.returncode == 0, done.stdout


def write_case(folder, index, random):
    """A noisy photograph of any size, as tests/golden/make.py writes them; extremes show clamping."""
    width, height = random.integers(8, 300, 2)
    crop = int(random.integers(1, 120))
    preprocess = Preprocess(
        crop=crop,
        resize=crop + int(random.integers(0, 40)),
        interpolation=sorted(INTERPOLATIONS)[index % 2],
        mean=tuple(random.random(3).tolist()),
        std=tuple((random.random(3) + 0.1).tolist()),
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


def test_the_app_type_checks(kotlin, core, tmp_path):
    write_android_api(tmp_path / "api")
    done = kotlin.compile(tmp_path / "app", ANDROID / "app/src/main/kotlin", tmp_path / "api", classes=(core,))
    assert done.returncode == 0, done.stderr
