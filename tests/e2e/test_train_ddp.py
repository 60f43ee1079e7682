"""Two gloo processes compute what one does at the same global batch."""

from __future__ import annotations

import csv
import subprocess
import sys
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file

from quant.common.progress import NoProgress
from quant.training import TrainConfig, train
from tests.support.paths import ROOT
from tests.support.training import tiny_config, use_tiny, without_torchrun

pytestmark = pytest.mark.slow

_SCRIPT = """
import sys
from pathlib import Path
from edge_effnet.variants import VARIANTS
from quant.common.progress import NoProgress
from quant.training import train
from tests.e2e.test_train_ddp import settings
from tests.support.training import TINY
VARIANTS["lite0"] = TINY
train(settings(Path(sys.argv[1]), Path(sys.argv[2])), NoProgress())
"""


def settings(folder: Path, out: Path) -> TrainConfig:
    """No dropout and no DropConnect: each process draws its own, as it has to."""
    # Plain momentum's kin: AdamW divides by gradients near 0, which turns rounding into differences.
    return tiny_config(folder, out=out, dropout=0.0, drop_connect=0.0, optimizer="rmsprop", lr=0.01, steps=8)


def _curve(out: Path) -> list[dict[str, str]]:
    with out.with_suffix(".curve.csv").open() as file:
        return list(csv.DictReader(file))


def test_two_processes_train_as_one(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    use_tiny(monkeypatch)
    one, two = tmp_path / "one" / "tiny.safetensors", tmp_path / "two" / "tiny.safetensors"
    train(settings(tmp_path, one), NoProgress())
    script = tmp_path / "run.py"
    script.write_text(_SCRIPT)
    launcher = [sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc-per-node", "2"]
    environment = without_torchrun() | {"PYTHONPATH": str(ROOT)}
    subprocess.run([*launcher, str(script), str(tmp_path), str(two)], env=environment, check=True, timeout=300)
    ours, theirs = load_file(one), load_file(two)
    for name, tensor in ours.items():
        torch.testing.assert_close(tensor.float(), theirs[name].float(), rtol=2e-3, atol=2e-4, msg=name)
    assert [row["step"] for row in _curve(one)] == [row["step"] for row in _curve(two)]
    assert [row["val_top1"] for row in _curve(one)] == [row["val_top1"] for row in _curve(two)]
