"""The same inputs, seed, versions, processor and number of threads give the same bits."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import replace

import pytest
import torch

from edge_effnet import EfficientNet
from edge_effnet.variants import VARIANTS
from edge_effnet.weights.save import save_checkpoint
from quant import quantize
from quant.qat.options import QatOptions
from tests.support import exports
from tests.support.images import draw_halves
from tests.support.training import TINY

pytestmark = pytest.mark.slow

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
def sources(tmp_path, monkeypatch):
    monkeypatch.setitem(VARIANTS, "lite0", replace(TINY, name="lite0"))
    data = draw_halves(tmp_path / "data", train=40, val=8)
    model = EfficientNet.from_name("lite0", num_classes=3, image_size=32).eval()
    model.class_names = tuple(sorted(p.name for p in (data / "train").iterdir()))
    save_checkpoint(tmp_path / "tiny.safetensors", model)
    return {"weights": tmp_path / "tiny.safetensors", "data": data, "calibration": 16}


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
