"""The app's core, compiled and tested by a real Swift compiler; on Linux, too.

`swift` on PATH, or named by SWIFT: from swift.org, or Debian's `swiftlang` (trixie and later).
"""

import os
import shutil
import subprocess

import pytest

from apps.device.app_projects import ios_app
from apps.device.job.folder import prepare_job
from apps.device.job.results import read_results
from apps.device.job.runner import network_input, pixels_of
from tests.support.artifacts import make_artifact
from tests.support.images import draw_classes
from tests.support.swift_source import IOS

SWIFT = os.environ.get("SWIFT") or shutil.which("swift")


@pytest.mark.slow
@pytest.mark.skipif(SWIFT is None, reason="no Swift compiler: install one, or name it by SWIFT")
def test_the_core_passes_its_tests_and_agrees_with_python(tmp_path):
    make_artifact(tmp_path / "artifact", versions={"executorch": ios_app().executorch})
    images = draw_classes(tmp_path / "photos", 2)
    job = prepare_job(tmp_path / "artifact", data=images, out=tmp_path / "job")
    last = network_input(job.values, pixels_of(job.folder, job.values, job.images - 1))
    (job.folder / "expected.input").write_bytes(last.astype("<f4").tobytes())
    exported = tmp_path / "results.json"

    command = [SWIFT, "test", "--package-path", IOS / "EdgeEffNetCore", "--scratch-path", tmp_path / "build"]
    shared = {"EDGE_EFFNET_JOB": str(job.folder), "EDGE_EFFNET_RESULTS": str(exported)}
    ran = subprocess.run(command, env={**os.environ, **shared}, capture_output=True, text=True, check=False)

    assert ran.returncode == 0, ran.stdout[-4000:] + ran.stderr[-2000:]
    assert "testAJobOfTheToolIsRead" in ran.stdout + ran.stderr and "skipped" not in ran.stdout
    results = read_results(exported)
    assert results.values["device"]["transport"] == "ios"
    assert results.values["complete"] and results.logits.shape == (3, 2)
