"""A deeper and wider network of either kind goes through an int8 recipe without special cases.

What B1 to B7 take in full is a benchmark's matter: benchmarks/results/pipeline.md.
"""

from __future__ import annotations

import pytest
import torch

from edge_effnet import EfficientNet
from edge_effnet.weights.save import save_checkpoint
from quant import quantize
from tests.support.images import COLOURS, draw_halves
from tests.support.networks import trained_looking

pytestmark = pytest.mark.slow
SIZE = 64


@pytest.mark.parametrize("variant", ["b2", "lite2"])
def test_larger_variants_run_through(tmp_path, variant):
    model = EfficientNet.from_name(variant, num_classes=len(COLOURS), image_size=SIZE)
    with torch.no_grad():
        model = trained_looking(model, image_size=SIZE)
    model.class_names = COLOURS
    save_checkpoint(tmp_path / "weights.safetensors", model)
    data = draw_halves(tmp_path / "photos", train=6, val=8)
    # A network of random weights is chaotic: what is asked is that everything runs, and that the .pte is what was
    # simulated.
    outcome = quantize(
        variant,
        weights=tmp_path / "weights.safetensors",
        data=data,
        calibration=12,
        recipe="int8-strict",
        max_drop=100,
        out=tmp_path / "out",
    ).outcome
    assert outcome.delegation.partitions == 1 and outcome.delegation.left == 0
    assert outcome.lowering is not None and outcome.lowering.sqnr_db == 200.0
