"""A network of 40,000 weights that was really trained, to be quantized in seconds: `lite0` names it here.

`python -m tests.support.tiny quantize ...` and `... edge-effnet ...` are the commands with that network in the table.
"""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from edge_effnet.variants import VARIANTS
from tests.support.images import COLOURS, draw_halves
from tests.support.training import TINY

if TYPE_CHECKING:
    from quant import QuantizeResult

SIDE = 32


@dataclass(frozen=True, slots=True)
class TinyFiles:
    """What `quantize` takes."""

    weights: Path
    data: Path
    """24 images a class to train and calibrate on, 20 to judge on."""

    @classmethod
    def of(cls, folder: Path, *, seed: int = 0) -> TinyFiles:
        """Name what `train_tiny` left in a folder."""
        return cls(weights=folder / f"tiny{seed}.safetensors", data=folder / "data")


def install() -> None:
    """Let `lite0` name the tiny network in this process."""
    VARIANTS["lite0"] = replace(TINY, name="lite0")


@contextmanager
def installed() -> Iterator[None]:
    """Let `lite0` name it for a while."""
    before = VARIANTS["lite0"]
    install()
    try:
        yield
    finally:
        VARIANTS["lite0"] = before


def train_tiny(folder: Path, *, seed: int = 0) -> TinyFiles:
    """Draw images of three colours and train on them until all are told apart: five seconds."""
    from quant.common.progress import NoProgress
    from quant.training import Stage, TrainConfig, train

    data = folder / "data"
    if not data.exists():
        draw_halves(data, train=24, val=20)
    files = TinyFiles.of(folder, seed=seed)
    config = TrainConfig(
        variant="lite0",
        data=data,
        out=files.weights,
        stages=(Stage(image_size=SIDE, epochs=30),),
        batch_size=24,
        lr=5e-3,
        augment=0.3,
        workers=0,
        threads=1,
        seed=seed,
    )
    with installed():
        assert train(config, NoProgress()).top1 == 1.0
    return files


def untrained(folder: Path, *, train: int, val: int) -> dict[str, Path]:
    """Its weights as it is born, and so many images a class of each half: arguments of `quantize`."""
    import torch

    from edge_effnet import EfficientNet, save_checkpoint

    data, weights = draw_halves(folder / "photos", train=train, val=val), folder / "untrained.safetensors"
    torch.manual_seed(0)
    with installed():
        model = EfficientNet.from_name("lite0", num_classes=len(COLOURS), image_size=SIDE)
    model.class_names = COLOURS
    save_checkpoint(weights, model.eval())
    return {"weights": weights, "data": data}


def quantize_tiny(files: TinyFiles, out: Path, **settings: Any) -> QuantizeResult:
    """Quantize it by the default recipe."""
    from quant import quantize

    with installed():
        return quantize("lite0", weights=files.weights, data=files.data, out=out, **{"calibration": 24, **settings})


def main() -> None:
    """Run one of the two commands; their own `main` reads the rest of the arguments."""
    from apps.cli import edge_effnet
    from apps.cli.commands import quantize

    install()
    commands = {"quantize": quantize.main, "edge-effnet": edge_effnet.main}
    command = sys.argv.pop(1)
    sys.argv[0] = command
    commands[command]()


if __name__ == "__main__":
    main()
