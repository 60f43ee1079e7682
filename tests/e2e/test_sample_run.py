"""A newcomer's first command: `quantize --variant ...` with nothing else."""

from __future__ import annotations

import json
import tempfile
from pathlib import Path

import pytest

from edge_effnet.samples import CLASS_NAMES
from tests.support.cli import call_cli, run_cli


@pytest.fixture(scope="module")
def first_run(tmp_path_factory):
    """The smallest sample network with the quick recipe, at half its side: the whole is timed by hand, see README."""
    folder = tmp_path_factory.mktemp("first")
    temporary = folder / "tmp"
    temporary.mkdir()
    arguments = ("--variant", "lite0", "--recipe", "int8-fast", "--calibration", "32", "--image-size", "128")
    process = run_cli(
        "quantize", *arguments, "--out", str(folder / "out"), cwd=folder, env={"TMPDIR": str(temporary)}
    )
    return process, folder


@pytest.mark.slow
def test_it_says_first_that_the_sample_model_was_used(first_run):
    process, folder = first_run
    assert process.returncode == 0, process.stderr
    assert process.stderr.splitlines()[0].startswith("No --weights: the sample lite0")
    # Results come first on standard output; the note stands among the findings.
    assert "Sample model: lite0 trained on synthetic images of 16 classes" in " ".join(process.stdout.split())
    manifest = json.loads((folder / "out" / "manifest.json").read_text())
    assert manifest["sample_model"] is True and manifest["classes"] == list(CLASS_NAMES)
    assert manifest["verdict"]["notes"][0].startswith("Sample model")
    assert manifest["verdict"]["images"] == {"calibration": 32, "evaluation": 160}


@pytest.mark.slow
def test_it_ends_with_the_command_for_ones_own_images(first_run):
    process, _ = first_run
    last = process.stdout.rstrip().splitlines()[-1]
    assert last == "Next: quantize --variant lite0 --weights WEIGHTS.pth --data PHOTOS"


@pytest.mark.slow
def test_the_drawn_pictures_are_gone_afterwards(first_run):
    _, folder = first_run
    assert not [path for path in Path(folder / "tmp").iterdir() if path.name.startswith("edge-effnet")]
    assert tempfile.gettempdir() != str(folder / "tmp")


@pytest.mark.slow
def test_check_draws_the_same_pictures_again(first_run):
    _, folder = first_run
    checked = run_cli("edge-effnet", "check", str(folder / "out"), "--data", "sample", "--json", cwd=folder)
    assert checked.returncode == 0, checked.stderr
    made = json.loads((folder / "out" / "manifest.json").read_text())["verdict"]
    found = json.loads(checked.stdout)
    for part in ("float", "pte"):
        assert found[part]["top1"] == made[part]["top1"]
    assert found["pte"]["agreement"] == made["pte"]["agreement"]


def test_a_variant_without_sample_weights_is_told_the_ways_on(tmp_path):
    process = call_cli("quantize", "--variant", "b3", cwd=tmp_path)
    assert process.returncode == 2 and process.stdout == ""
    assert "b3 has no sample weights" in process.stderr
    assert "edge-effnet train --variant b3 --data sample" in process.stderr
    assert not list(tmp_path.iterdir())


def test_the_module_runs_as_torchrun_starts_it(tmp_path):
    process = run_cli("python", "-m", "apps.cli.edge_effnet", "--help", cwd=tmp_path)
    assert process.returncode == 0 and "train" in process.stdout
