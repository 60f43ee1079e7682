"""What a release uploads: a wheel that holds all that an installation needs, and metadata that a registry takes."""

import importlib.metadata
import importlib.util
import os
import shutil
import subprocess
import sys
import tomllib
import zipfile

import pytest
from packaging.metadata import Metadata
from packaging.version import Version

from tests.support.artifacts import make_artifact
from tests.support.paths import ROOT

yaml = pytest.importorskip("yaml")

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(
        importlib.util.find_spec("setuptools") is None
        or Version(importlib.metadata.version("setuptools")) < Version("77"),
        reason="building without the network needs setuptools 77 or newer here",
    ),
]

LEFTOVERS = shutil.ignore_patterns("__pycache__", "build", "*.egg-info", ".gradle", ".build")


def run(*words, **settings):
    done = subprocess.run(words, capture_output=True, text=True, check=False, **settings)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def release_step(name):
    """What a step of the workflow that builds a release runs."""
    workflow = yaml.safe_load((ROOT / ".github/workflows/tests.yml").read_text())
    (step,) = (step for step in workflow["jobs"]["lint"]["steps"] if step.get("name") == name)
    return step["run"]


@pytest.fixture(scope="module")
def wheel(tmp_path_factory):
    """Built from a copy: setuptools leaves folders in what it builds."""
    source, built = tmp_path_factory.mktemp("source"), tmp_path_factory.mktemp("wheel")
    for name in ("edge_effnet", "quant", "apps"):
        shutil.copytree(ROOT / name, source / name, ignore=LEFTOVERS)
    for name in ("pyproject.toml", "README.md", "LICENSE"):
        shutil.copy(ROOT / name, source)
    # What a developer's own builds leave must not be shipped.
    for left in ("android/.gradle/x", "android/app/build/x", "android/app/src/main/assets/model/x", "ios/.build/x"):
        (source / "apps" / left).parent.mkdir(parents=True, exist_ok=True)
        (source / "apps" / left).touch()
    address = {"GITHUB_SERVER_URL": "https://host.example", "GITHUB_REPOSITORY": "somebody/edge-effnet"}
    run("bash", "-euc", release_step("Addresses of this repository"), env=os.environ | address, cwd=source)
    run(
        *(sys.executable, "-m", "pip", "wheel", "--no-deps", "--no-build-isolation", "--no-index", "-q"),
        *("--wheel-dir", str(built), str(source)),
    )
    (found,) = built.glob("*.whl")
    return found


def test_an_installed_wheel_has_commands_that_work_and_the_app_projects(wheel, tmp_path):
    site = tmp_path / "site"
    run(sys.executable, "-m", "pip", "install", "--no-deps", "--no-index", "-q", "--target", str(site), str(wheel))
    # `--target` before everything else on the path: neither the clone nor an editable installation is in its way.
    environment = {**os.environ, "PYTHONPATH": str(site)}

    def edge_effnet(*words):
        code = "import sys; sys.argv[0] = 'edge-effnet'; from apps.cli.edge_effnet import main; main()"
        return run(sys.executable, "-P", "-c", code, *words, env=environment, cwd=tmp_path)

    assert edge_effnet("--version").startswith("edge-effnet ")
    artifact = make_artifact(tmp_path / "b0-int8-xnnpack").folder
    assert "edge-effnet-android" in edge_effnet("deploy", str(artifact), "--app", "android")
    for app in ("android", "ios"):
        if app == "ios":
            edge_effnet("deploy", str(artifact), "--app", app)
        shipped = {str(path.relative_to(site)) for path in (site / "apps" / app).rglob("*") if path.is_file()}
        assert shipped == set(run("git", "ls-files", f"apps/{app}", cwd=ROOT).split())
    assert os.access(tmp_path / "edge-effnet-android/gradlew", os.X_OK)


def test_a_registry_would_take_its_metadata(wheel):
    assert "PASSED" in run(sys.executable, "-m", "twine", "check", "--strict", str(wheel))
    with zipfile.ZipFile(wheel) as archive:
        (name,) = (each for each in archive.namelist() if each.endswith(".dist-info/METADATA"))
        found = Metadata.from_email(archive.read(name), validate=True)
    assert found.description == (ROOT / "README.md").read_text()
    assert found.description_content_type == "text/markdown"
    assert str(found.version) == tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["version"]
    assert found.license_expression == "Apache-2.0" and found.license_files == ["LICENSE"]
    assert found.project_urls["Source"] == "https://host.example/somebody/edge-effnet"
    assert {"Changelog", "Issues", "ExecuTorch"} < set(found.project_urls)
