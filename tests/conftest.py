from __future__ import annotations

import gc
import os
from collections import defaultdict
from collections.abc import Iterator
from pathlib import Path
from unittest import mock

import hypothesis
import pytest

# As the commands do (apps/cli/process.py), before torch is imported: two threads that spin for each other beside
# another worker take ten times as long.
os.environ.setdefault("GOMP_SPINCOUNT", "10000")

import torch

from apps.device.local import LocalRemote, open_host
from apps.device.remote import DeviceOptions, Remote
from apps.device.table import TRANSPORTS
from quant import quantize
from tests.support.checkpoints import colour_checkpoint
from tests.support.images import draw_halves
from tests.support.quick_runs import quick_runs
from tests.support.runs import QuantizeRun, run_quantize
from tests.support.shared import Shared
from tests.support.tiny import TinyFiles, installed, quantize_tiny, train_tiny
from tests.support.warm import warm_runtime
from tests.support.zygote import interpreter, zygote

# The same examples in every run, and no deadline: a busy machine is no bug.
hypothesis.settings.register_profile("steady", deadline=None, derandomize=True)
hypothesis.settings.load_profile("steady")


# Exported graphs are millions of small objects: looking through them all at every 700th takes a tenth of the time.
gc.set_threshold(10_000)

_MINUTES, _SECONDS = 100, 10
"""What a test takes that is marked `realdata`, or `slow`."""
_OTHERS = {"e2e": 1.0, "numerics": 1.0, "parity": 1.0, "robustness": 0.5}
"""Seconds of others, by folder."""

if "PYTEST_XDIST_WORKER" in os.environ:
    # Two processes of two threads each take longer on two cores than of one; commands that tests start inherit it.
    torch.set_num_threads(1)
    os.environ.setdefault("OMP_NUM_THREADS", "1")


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Long files first: workers take whole files in this order, and none is left alone with one at the end."""
    if "PYTEST_XDIST_WORKER" not in os.environ:
        return
    lengths = defaultdict[Path, float](float)
    for item in items:
        lengths[item.path] += _MINUTES * (item.get_closest_marker("realdata") is not None)
        lengths[item.path] += _SECONDS * (item.get_closest_marker("slow") is not None)
        lengths[item.path] += _OTHERS.get(item.path.parent.name, 0.05)
    items.sort(key=lambda item: -lengths[item.path])


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


@pytest.fixture(scope="session")
def shared(tmp_path_factory: pytest.TempPathFactory) -> Shared:
    """Folders that are made once a session, whichever worker asks first."""
    return Shared(tmp_path_factory)


@pytest.fixture(scope="session")
def real_images(realdata: Path, shared: Shared) -> Path:
    """Of its ten classes 26 images to train and calibrate on, 10 to judge on."""

    def link(folder: Path) -> None:
        for half, count in (("train", 26), ("val", 10)):
            for images in (realdata / "imagenette" / half).iterdir():
                place = folder / half / images.name
                place.mkdir(parents=True)
                for image in sorted(images.iterdir())[:count]:
                    (place / image.name).symlink_to(image)

    return shared.folder("real-images", link)


@pytest.fixture(scope="session")
def small_weights(shared: Shared) -> Path:
    """B0 at 64 pixels with three classes: the whole structure, squeeze-excite and swish included."""
    name = "b0.safetensors"
    return shared.folder("small-weights", lambda folder: colour_checkpoint(folder / name, "b0", 64)) / name


@pytest.fixture(scope="session")
def lite_weights(shared: Shared) -> Path:
    """Lite0 at 32 pixels: the quickest network of the table."""
    name = "lite0.safetensors"
    return shared.folder("lite-weights", lambda folder: colour_checkpoint(folder / name, "lite0", 32)) / name


@pytest.fixture(scope="session")
def small_data(shared: Shared) -> Path:
    """`train/` and `val/`, 6 images a class each."""
    return shared.folder("photographs", lambda folder: draw_halves(folder, train=6, val=6))


@pytest.fixture(scope="session")
def whole_b0(small_weights: Path, small_data: Path, shared: Shared) -> Path:
    """An artifact of the whole B0 in int8, without the search: the same bits on every processor."""

    def make(folder: Path) -> None:
        settings = {"calibration": 16, "recipe": "int8-strict", "max_drop": 100, "out": folder / "b0"}
        quantize("b0", weights=small_weights, data=small_data, **settings)

    return shared.folder("whole-b0", make) / "b0"


@pytest.fixture(scope="session")
def tiny(shared: Shared) -> TinyFiles:
    """A trained network of 40,000 weights and its images; `lite0` names it where `tiny_variant` is used."""
    return TinyFiles.of(shared.folder("tiny", train_tiny))


@pytest.fixture(scope="module")
def tiny_variant() -> Iterator[None]:
    """Let `lite0` name the tiny network in a module."""
    with installed():
        yield


@pytest.fixture(scope="session")
def tiny_artifact(tiny: TinyFiles, shared: Shared) -> Path:
    """The tiny network by the default recipe."""
    return shared.folder("tiny-artifact", lambda folder: quantize_tiny(tiny, folder / "a")) / "a"


@pytest.fixture(scope="session")
def quantized(tiny: TinyFiles, shared: Shared) -> QuantizeRun:
    """An artifact of the tiny network made by the real command, in a process of its own."""
    return QuantizeRun.of(tiny, shared.folder("quantized", lambda folder: run_quantize(tiny, folder)))


@pytest.fixture(scope="session", autouse=True)
def one_torch_thread() -> Iterator[None]:
    """Small networks run faster so, and other work on the machine is left alone."""
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


@pytest.fixture(scope="session", autouse=True)
def _one_runtime() -> Iterator[None]:
    """What runs `quantize` and `check` in this process shares the runtime's child process."""
    with warm_runtime():
        yield


@pytest.fixture(scope="session", autouse=True)
def _quick_runs() -> Iterator[None]:
    with quick_runs():
        yield


@pytest.fixture(scope="session")
def forks() -> Iterator[Path]:
    """The socket of a process that has loaded ExecuTorch and forks for each program it is asked for."""
    with zygote() as socket:
        yield socket


@pytest.fixture(scope="session")
def quick_python(forks: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An interpreter whose scripts start there."""
    return interpreter(tmp_path_factory.mktemp("python"), forks)


@pytest.fixture(scope="module")
def quick_host(quick_python: Path) -> Iterator[None]:
    """Let `--device host` start its runner there: by itself it imports ExecuTorch for two seconds."""

    def opened(detail: str, options: DeviceOptions) -> Remote:
        remote = open_host(detail, options)
        assert isinstance(remote, LocalRemote)
        remote._interpreter[0] = str(quick_python)
        return remote

    with mock.patch.dict(TRANSPORTS, {"host": opened}):
        yield
