"""The same inputs, seed, versions, processor and number of threads give the same bits."""

from __future__ import annotations

import json
from collections.abc import Iterator

import pytest
import torch

from quant import quantize
from quant.qat.options import QatOptions
from tests.support import exports
from tests.support.tiny import untrained

pytestmark = [pytest.mark.slow, pytest.mark.usefixtures("tiny_variant")]

RUNS = {
    "int8": {"recipe": "int8"},
    # Normalises batches in its first half, and trains the program's own arithmetic in the second; no number of
    # threads divides the batch.
    "qat-int8": {
        "recipe": "qat-int8",
        "qat": QatOptions(steps=4, batch_size=9, workers=0, patience=0, batchnorm="batch"),
    },
}


@pytest.fixture
def sources(tmp_path):
    return {**untrained(tmp_path, train=40, val=8), "calibration": 16}


@pytest.fixture
def threads(request) -> Iterator[int]:
    before = torch.get_num_threads()
    torch.set_num_threads(request.param)
    yield request.param
    torch.set_num_threads(before)


# The default on one thread, in two processes even: test_quantize.py.
@pytest.mark.parametrize(("threads", "run"), [(2, "int8"), (1, "qat-int8"), (2, "qat-int8")], indirect=["threads"])
def test_a_run_on_the_same_number_of_threads_gives_the_same_bytes(sources, tmp_path, threads, run):
    found = []
    for name in ("first", "again"):
        exports.forget()
        made = quantize("lite0", **sources, **RUNS[run], out=tmp_path / name)
        folder = made.artifact.folder
        files = {str(path.relative_to(folder)): path.read_bytes() for path in folder.rglob("*") if path.is_file()}
        assert json.loads(files.pop("manifest.json"))["machine"]["threads"] == threads
        del files["report.html"]  # times are in both
        found.append((files, made.outcome.to_json().get("training")))
    assert "model.pte" in found[0][0]
    assert found[0] == found[1]
