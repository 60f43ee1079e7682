"""What comes with an installation, and with an artifact: locked, licensed, listed."""

import json
import re
import tomllib
import uuid

import pytest
from packaging.specifiers import SpecifierSet

from apps import doctor
from apps.cli.edge_effnet import app
from apps.cli.exit_codes import guarded
from quant.artifact.open import open_artifact
from quant.artifact.sbom import bill_of_materials
from tests.support.artifacts import edit_manifest, make_artifact
from tests.support.paths import ROOT

LOCK = (ROOT / ".ci" / "requirements.lock").read_text()


def normal(name: str) -> str:
    return re.sub(r"[-_.]+", "-", name).lower()


def locked() -> dict[str, str]:
    return {normal(name): version for name, version in re.findall(r"^([\w.-]+)==(\S+)", LOCK, flags=re.M)}


def direct() -> dict[str, str]:
    """Name -> specifier of what `pip install -e ".[dev]"` asks for itself."""
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    extras = project["optional-dependencies"]
    lines = [*project["dependencies"], *extras["peers"], *extras["release"], *extras["training"], *extras["dev"]]
    found = (re.fullmatch(r"([\w.-]+)(?:\[[\w,]+\])?(.*)", line) for line in lines)
    return {normal(match[1]): match[2] for match in found if match is not None and match[1] != "edge-effnet"}


def test_everything_asked_for_is_locked_with_hashes():
    assert set(direct()) - {"torch"} <= set(locked())
    assert "torch" not in locked()
    for name in ("torch.lock", "torch-cpu.lock"):
        lines = [line for line in (ROOT / ".ci" / name).read_text().splitlines() if not line.startswith("#")]
        assert lines[0] == f"torch=={doctor.RELEASES['torch']} \\"
        assert lines[1:] and all(re.fullmatch(r" {4}--hash=sha256:[0-9a-f]{64}( \\)?", line) for line in lines[1:])
    packages = re.split(r"^(?=[\w.-]+==)", LOCK, flags=re.M)[1:]
    assert packages and all("--hash=sha256:" in package for package in packages)


def test_locked_versions_are_those_that_are_pinned():
    pins = {name: spec.removeprefix("==") for name, spec in direct().items() if spec.startswith("==")}
    assert {name: locked()[name] for name in pins if name != "torch"} == {
        name: version for name, version in pins.items() if name != "torch"
    }


def test_the_lock_holds_one_release_that_every_requirement_allows():
    found = {**locked(), "torch": doctor.RELEASES["torch"]}
    assert {name: found[name] for name in doctor.RELEASES} == doctor.RELEASES
    wrong = {name: spec for name, spec in direct().items() if not SpecifierSet(spec).contains(found[name])}
    assert not wrong


def test_the_lock_names_no_host():
    assert not re.search(r"https?://|--index-url|--extra-index|--find-links|file:", LOCK)


def test_the_licence_of_every_locked_package_is_listed():
    text = (ROOT / "docs" / "licences.md").read_text()
    listed = dict(re.findall(r"^\| ([\w.-]+) \| (\d\S*) \|", text, flags=re.M))
    assert {normal(name): version for name, version in listed.items() if name != "torch"} == locked()
    assert "| torch | " in text and "not installed" not in text


@pytest.fixture
def artifact(tmp_path):
    folder = make_artifact(tmp_path / "a").folder
    versions = {"python": "3.11.7", "torch": "2.13.0", "executorch": "1.4.1", "edge-effnet": "0.1.0"}
    edit_manifest(folder, lambda manifest: manifest.update(versions=versions))
    return open_artifact(folder)


def test_a_bill_of_materials_names_files_weights_and_software(artifact):
    bill = bill_of_materials(artifact)
    assert (bill["bomFormat"], bill["specVersion"], bill["version"]) == ("CycloneDX", "1.6", 1)
    uuid.UUID(bill["serialNumber"].removeprefix("urn:uuid:"))
    hashes = {c["name"]: c["hashes"][0]["content"] for c in bill["components"] if c["type"] == "file"}
    assert hashes == {name: entry["sha256"] for name, entry in artifact.manifest["files"].items()}
    tools = {tool["name"]: tool for tool in bill["metadata"]["tools"]["components"]}
    assert tools["executorch"]["purl"] == "pkg:pypi/executorch@1.4.1"
    assert tools["torch"]["licenses"] == [{"license": {"id": "BSD-3-Clause"}}]
    assert {c["bom-ref"] for c in bill["components"] if "bom-ref" in c} == {"weights", "photographs"}
    assert bill == bill_of_materials(artifact)


def test_the_command_prints_it(artifact, capsys):
    assert guarded(lambda: app(["sbom", str(artifact.folder)], standalone_mode=False)) == 0
    assert json.loads(capsys.readouterr().out) == bill_of_materials(artifact)


def test_an_artifact_that_was_changed_has_none(artifact, capsys):
    (artifact.folder / "model.pte").write_bytes(b"x")
    assert guarded(lambda: app(["sbom", str(artifact.folder)], standalone_mode=False)) == 2
    assert "model.pte" in capsys.readouterr().err
