"""`quantize` and `check` in two processes that torchrun starts: the figures, flips and findings of one process."""

import json
import subprocess
import sys

import pytest
import torch

from edge_effnet import EfficientNet, save_checkpoint
from quant.data.batches import batch_size_for
from quant.metrics.share import Share
from tests.support.images import draw_halves
from tests.support.paths import ROOT
from tests.support.training import without_torchrun

TIMES = ("latency_ms", "latency_p90_ms", "load_ms", "seconds")
"""What no two runs have in common."""


@pytest.fixture(scope="module")
def sources(tmp_path_factory):
    """More images than a batch has, the last batch not whole."""
    folder = tmp_path_factory.mktemp("sources")
    draw_halves(folder / "photos", train=8, val=27)
    torch.manual_seed(0)
    model = EfficientNet.from_name("b0", num_classes=3, image_size=32).eval()
    save_checkpoint(folder / "w.safetensors", model)
    return folder


def run(module, *words, processes):
    launcher = ["-m", "torch.distributed.run", "--standalone", "--nproc-per-node", str(processes)] * (processes > 1)
    command = [sys.executable, "-P", *launcher, "-m", module, *map(str, words)]
    environment = without_torchrun() | {"PYTHONPATH": str(ROOT)}
    done = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=300, check=False)
    return done.returncode, json.loads(done.stdout), done.stderr


def comparable(value):
    """A result without what is of the clock, or of where it lies."""
    if isinstance(value, dict):
        return {key: comparable(each) for key, each in value.items() if key not in (*TIMES, "artifact")}
    return [comparable(each) for each in value] if isinstance(value, list) else value


@pytest.mark.slow
def test_two_processes_judge_as_one(sources, tmp_path):
    """`quantize` writes one artifact, `check` reads it; both print one object."""
    photos = ("--data", sources / "photos", "--json", "--max-drop", 100)
    made = {
        count: run(
            "apps.cli.commands.quantize", "--variant", "b0", "--weights", sources / "w.safetensors", *photos,
            "--calibration", 16, "--out", tmp_path / str(count), processes=count,
        )
        for count in (1, 2)
    }  # fmt: skip
    assert made[1][0] == made[2][0] == 0, made[2][2]
    assert comparable(made[1][1]) == comparable(made[2][1])
    programs = [(tmp_path / str(count) / "model.pte").read_bytes() for count in (1, 2)]
    assert programs[0] == programs[1]
    checked = [run("apps.cli.edge_effnet", "check", tmp_path / "1", *photos, processes=count) for count in (1, 2)]
    assert checked[0][0] == checked[1][0] == 0, checked[1][2]
    assert comparable(checked[0][1]) == comparable(checked[1][1])
    assert checked[0][1]["images"]["evaluation"] == 81 > batch_size_for(32)


def test_batches_are_dealt_out_whole_and_each_once():
    for images, batch, world in ((81, 64, 2), (10, 4, 3), (3, 4, 2), (64, 16, 4)):
        shares = [list(Share(rank=rank, world=world).starts(images, batch)) for rank in range(world)]
        assert sorted(start for share in shares for start in share) == list(range(0, images, batch))
