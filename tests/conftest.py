from __future__ import annotations

import json
import os
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from subprocess import CompletedProcess
from typing import Any

import hypothesis
import pytest
import torch

from tests.support.checkpoints import colour_checkpoint
from tests.support.cli import run_cli
from tests.support.images import draw_halves
from tests.support.zygote import zygote

# The same examples in every run, and no deadline: a busy machine is no bug.
hypothesis.settings.register_profile("steady", deadline=None, derandomize=True)
hypothesis.settings.load_profile("steady")


if "PYTEST_XDIST_WORKER" in os.environ:
    # Two processes of two threads each take longer on two cores than of one; commands that tests start inherit it.
    torch.set_num_threads(1)
    os.environ.setdefault("OMP_NUM_THREADS", "1")


@pytest.fixture
def one_thread() -> Iterator[None]:
    """Small networks run faster so, and other work on the machine is left alone."""
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


@pytest.fixture(autouse=True, scope="module")
def _same_shared_networks() -> None:
    """New networks draw their weights from the global generator: the same ones in every run."""
    torch.manual_seed(0)


@pytest.fixture(autouse=True)
def _same_networks() -> None:
    """Likewise for networks that a single test makes."""
    torch.manual_seed(0)


@pytest.fixture(scope="session")
def realdata(pytestconfig: pytest.Config) -> Path:
    """The folder of real weights and images, beside the repository; not part of it."""
    folder = pytestconfig.rootpath.parent / "shared" / "realdata"
    if not folder.is_dir():
        pytest.skip(f"no real weights and images at {folder}")
    return folder


SETTINGS = ("--variant", "b0", "--calibration", "16", "--max-drop", "40", "--seed", "3")


@dataclass(frozen=True)
class QuantizeRun:
    """One run of the real `quantize --json`, shared by the tests that look at it; none of them writes here."""

    weights: Path
    data: Path
    folder: Path
    process: CompletedProcess[str]

    @property
    def values(self) -> dict[str, Any]:
        """What `--json` printed."""
        assert self.process.returncode == 0, self.process.stderr
        values = json.loads(self.process.stdout)
        assert isinstance(values, dict)
        return values


@pytest.fixture(scope="session")
def small_weights(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """B0 at 64 pixels with three classes: the whole structure, squeeze-excite and swish included."""
    return colour_checkpoint(tmp_path_factory.mktemp("weights") / "b0.safetensors", "b0", 64)


@pytest.fixture(scope="session")
def lite_weights(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Lite0 at 32 pixels: the quickest network there is."""
    return colour_checkpoint(tmp_path_factory.mktemp("weights") / "lite0.safetensors", "lite0", 32)


@pytest.fixture(scope="session")
def small_data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """`train/` and `val/`, 6 images a class each."""
    return draw_halves(tmp_path_factory.mktemp("photographs"), train=6, val=6)


@pytest.fixture(scope="session")
def quantized(small_weights: Path, small_data: Path, tmp_path_factory: pytest.TempPathFactory) -> QuantizeRun:
    """An artifact made by the real command, in a process of its own."""
    folder = tmp_path_factory.mktemp("artifact") / "b0"
    process = run_cli(
        "quantize", *SETTINGS, "--weights", small_weights, "--data", small_data, "--out", folder, "--json"
    )
    return QuantizeRun(weights=small_weights, data=small_data, folder=folder, process=process)


@pytest.fixture(scope="session", autouse=True)
def one_torch_thread() -> Iterator[None]:
    """Small networks run faster so, and other work on the machine is left alone."""
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


@pytest.fixture(scope="session")
def android_zygote() -> Iterator[Path]:
    """Starts programs behind `support.phone_double`."""
    with zygote() as socket:
        yield socket
