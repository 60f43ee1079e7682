"""What a network makes of noise: whether its layers average it out, as trained ones do, or amplify it.

    python benchmarks/noise_gain.py --b0 W --classes DIR [--only ROW ...]

White noise 40 dB below a stage's output is added behind each stage of the float network, and the signal-to-noise
ratio of the logits is measured: above 40 dB later layers average it out. Rounding to int8 is such noise, so this says
how much of a program's SQNR is the network's, before any recipe. Networks are those of `kinds.py`.
Writes `benchmarks/results/noise-gain.md`.
"""

from __future__ import annotations

import argparse
from pathlib import Path

import torch
from kinds import ROWS, new_network
from tables import write_results

from edge_effnet import EfficientNet, load_checkpoint
from quant.data.batches import iterate_batches
from quant.metrics.metrics import sqnr_db

_NOISE_DB = 40.0
_IMAGES = 16

RANDOM = {name: row for name, row in ROWS.items() if row.make is new_network}


@torch.no_grad()
def logits_db(model: EfficientNet, x: torch.Tensor, stage: torch.nn.Module) -> float:
    """Signal-to-noise ratio of the logits, dB, with noise behind one stage; x: [N, 3, H, W]."""
    generator = torch.Generator().manual_seed(0)
    reference = model(x)

    def add_noise(_module: torch.nn.Module, _given: object, out: torch.Tensor) -> torch.Tensor:
        scale = out.square().mean().sqrt() * 10 ** (-_NOISE_DB / 20)
        return out + scale * torch.randn(out.shape, generator=generator)

    hook = stage.register_forward_hook(add_noise)
    try:
        return sqnr_db(reference, model(x))
    finally:
        hook.remove()


def main() -> None:
    """Measure and write the table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--b0", required=True)
    parser.add_argument("--classes", required=True)
    parser.add_argument("--only", nargs="*", choices=RANDOM, default=list(RANDOM))
    arguments = parser.parse_args()
    networks = {"B0": (load_checkpoint(arguments.b0, "b0").model, "real")}
    networks |= {name: (new_network(arguments, RANDOM[name]), RANDOM[name].weights) for name in arguments.only}
    rows = []
    for name, (model, weights) in networks.items():
        assert model.preprocess is not None
        x = torch.cat(list(iterate_batches(_judged(arguments), model.preprocess)))
        found = [f"{logits_db(model.eval(), x, stage):.0f}" for stage in (model.stem, *model.stages)]
        rows.append([name, weights, " ".join(found)])
        print(" | ".join(rows[-1]), flush=True)
    columns = ("network", "weights", "logits, dB, with noise behind the stem and each stage")
    write_results("noise-gain", "What networks make of noise at 40 dB", columns, rows, f"{_IMAGES} images")


def _judged(arguments: argparse.Namespace) -> list[Path]:
    images = sorted((Path(arguments.classes) / "val").glob("*/*"))
    return images[:: max(1, len(images) // _IMAGES)][:_IMAGES]


if __name__ == "__main__":
    main()
