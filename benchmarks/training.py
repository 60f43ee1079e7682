"""Training throughput against a plain hand-written loop, and how fast fine-tuning gets good.

    python benchmarks/training.py throughput
    python benchmarks/training.py fine-tune ../shared/realdata

`throughput` runs both loops over the same network in turns, so that other work on the machine slows both; it
writes `benchmarks/results/training.md`. `fine-tune` trains a fresh head on real photographs.
"""

from __future__ import annotations

import argparse
import datetime
import platform
import statistics
import tempfile
import time
from itertools import islice
from pathlib import Path

import numpy as np
import torch
from torch import nn

from edge_effnet import EfficientNet
from edge_effnet.samples import SAMPLE
from quant.progress import NoProgress
from quant.training import Stage, TrainConfig, train
from quant.training.datasets import LabelledImages
from quant.training.distributed import Group
from quant.training.loop import Loop
from quant.training.network import make_network
from quant.training.sets import open_sets
from quant.training.task import Classification

RESULTS = Path(__file__).parent / "results" / "training.md"
CPU = torch.device("cpu")


class PlainLoop:
    """What one would write by hand: pictures in memory, no augmentation, no average, no checks."""

    def __init__(self, model: EfficientNet, images: LabelledImages, batch_size: int, image_size: int) -> None:
        self.model = model.train()
        self.optimizer = torch.optim.AdamW(model.parameters(), lr=1e-4, fused=True)
        items = list(islice(images.items(seed=0), batch_size))
        pictures = [np.asarray(images.image(item).resize((image_size, image_size))) for item in items]
        self.pixels = torch.from_numpy(np.stack(pictures))
        self.labels = torch.tensor([item.label for item in items])

    def steps(self, count: int) -> None:
        """Train."""
        for _ in range(count):
            x = ((self.pixels.float() / 255 - 0.45) / 0.22).permute(0, 3, 1, 2)
            loss = nn.functional.cross_entropy(self.model(x), self.labels)
            self.optimizer.zero_grad()
            loss.backward()
            self.optimizer.step()
            loss.item()


class OurLoop:
    """The project's loop, with augmentation, clipping, the average and the checks."""

    def __init__(self, config: TrainConfig, images: LabelledImages) -> None:
        alone = Group(rank=0, world=1, device=CPU)
        task = Classification(config, make_network(config, images.class_names), images, alone.device)
        self.loop = Loop(config, task, images, alone)
        self.epoch = self.loop.epochs[0]
        self.batches = self.loop._batches(self.epoch)

    def steps(self, count: int) -> None:
        """Train."""
        for batch in islice(self.batches, count):
            self.loop._step(batch, self.epoch)
            self.loop.position.step += 1


def throughput(*, image_size: int, batch_size: int, rounds: int, chunk: int, threads: int) -> str:
    """Measure both loops in turns; return a row of the table."""
    torch.set_num_threads(threads)
    with tempfile.TemporaryDirectory() as folder:
        count = batch_size * chunk * (rounds + 1)
        config = TrainConfig(
            variant="b0",
            data=SAMPLE,
            out=Path(folder) / "b0.safetensors",
            stages=(Stage(image_size=image_size, epochs=1),),
            batch_size=batch_size,
            sample_images=count,
            sample_val_images=16,
            workers=1,
        )
        images = open_sets(config, Group(rank=0, world=1, device=CPU), NoProgress()).train
        plain = PlainLoop(make_network(config, images.class_names), images, batch_size, image_size)
        ours = OurLoop(config, images)
        seconds: dict[str, list[float]] = {"plain": [], "ours": []}
        for turn in range(rounds + 1):
            for name, loop in (("plain", plain), ("ours", ours)):
                start = time.perf_counter()
                loop.steps(chunk)
                if turn:  # the first round warms up
                    seconds[name].append((time.perf_counter() - start) / chunk)
    rate = {name: batch_size / statistics.median(values) for name, values in seconds.items()}
    ratio = statistics.median(o / p for o, p in zip(seconds["ours"], seconds["plain"], strict=True))
    cells = (
        image_size,
        batch_size,
        f"{rate['plain']:.1f}",
        f"{rate['ours']:.1f}",
        f"{100 * (ratio - 1):+.1f} %",
    )
    return f"| {' | '.join(map(str, cells))} |"


def fine_tune(realdata: Path, threads: int) -> None:
    """Train a fresh head on the photographs and print accuracy and time."""
    with tempfile.TemporaryDirectory() as folder:
        start = time.perf_counter()
        result = train(
            TrainConfig(
                variant="b0",
                data=realdata / "imagenette",
                weights=realdata / "efficientnet_b0_imagenette10.pth",
                fresh_head=True,
                freeze="backbone",
                stages=(Stage(image_size=224, epochs=6),),
                batch_size=50,
                lr=5e-3,
                ema_decay=0.9,
                out=Path(folder) / "b0.safetensors",
                threads=threads,
            ),
            NoProgress(),
        )
        print(f"top-1 {100 * result.top1:.1f} % of {result.val_images} photographs,", end=" ")
        print(f"{time.perf_counter() - start:.0f} s, {result.steps} steps")
        print(result.curve_csv.read_text())


def main() -> None:
    """Command line."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("what", choices=["throughput", "fine-tune"])
    parser.add_argument("realdata", nargs="?", type=Path, default=Path("../shared/realdata"))
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--rounds", type=int, default=9)
    options = parser.parse_args()
    if options.what == "fine-tune":
        fine_tune(options.realdata, options.threads)
        return
    rows = [
        throughput(image_size=size, batch_size=32, rounds=options.rounds, chunk=2, threads=options.threads)
        for size in (96, 224)
    ]
    lines = [
        "# Training throughput of B0",
        "",
        f"{datetime.date.today()}, {platform.machine()}, {options.threads} thread(s) a step, "
        f"torch {torch.__version__}, fp32, channels_last.",
        "`plain` trains on one batch in memory without augmentation; `ours` is the whole loop of",
        "`edge-effnet train`: reading and augmenting in a thread, clipping, averaged weights, checks.",
        "Median of the turns, and the median of their ratios.",
        "",
        "| image size | batch | plain, images/s | ours, images/s | ours takes |",
        "|---|---|---|---|---|",
        *rows,
        "",
        "Again: `python benchmarks/training.py throughput`",
        "",
    ]
    RESULTS.parent.mkdir(exist_ok=True)
    RESULTS.write_text("\n".join(lines))
    print(RESULTS.read_text())


if __name__ == "__main__":
    main()
