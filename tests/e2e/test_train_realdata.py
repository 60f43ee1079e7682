"""Fine-tuning on real images: a fresh head on real weights."""

from __future__ import annotations

from pathlib import Path

import pytest

from quant.common.progress import NoProgress
from quant.training import Stage, TrainConfig, train


@pytest.mark.slow
@pytest.mark.realdata
def test_a_fresh_head_reaches_94_percent(realdata: Path, real_images: Path, tmp_path: Path) -> None:
    config = TrainConfig(
        variant="b0",
        data=real_images,
        weights=realdata / "efficientnet_b0_imagenette10.pth",
        fresh_head=True,
        freeze="backbone",
        stages=(Stage(image_size=224, epochs=3),),
        batch_size=20,
        lr=5e-3,
        ema_decay=0.9,
        out=tmp_path / "b0.safetensors",
    )
    result = train(config, NoProgress())
    assert result.val_images == 100
    assert result.top1 >= 0.94
