from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

import hypothesis
import pytest
import torch

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
    """The folder of real weights and photographs, beside the repository; not part of it."""
    folder = pytestconfig.rootpath.parent / "shared" / "realdata"
    if not folder.is_dir():
        pytest.skip(f"no real weights and photographs at {folder}")
    return folder
