"""Training throughput against a plain hand-written loop, and how fast fine-tuning gets good.

    python benchmarks/training.py
    python benchmarks/training.py fine-tune ../shared/realdata

`throughput`, the default, runs both loops over the same network interleaved, so that other work on the machine slows
both: `plain` trains on one batch in memory without augmentation; `ours` is the whole loop of `edge-effnet train`:
reading and augmenting in a thread, clipping, averaged weights, checks. It writes `benchmarks/results/training.md` and
`.json`. `fine-tune` trains a fresh head on real images and prints how good it gets how fast.
"""

from __future__ import annotations

import argparse
import statistics
import tempfile
import time
from dataclasses import asdict, dataclass
from itertools import islice
from pathlib import Path

import numpy as np
import torch
from tables import write_results
from torch import nn

from edge_effnet import EfficientNet
from edge_effnet.samples import SAMPLE
from quant.common.progress import NoProgress
from quant.data.readers.labelled import LabelledImages
from quant.training import Stage, TrainConfig, train
from quant.training.distributed import Group
from quant.training.input.sets import open_sets
from quant.training.loop import Loop
from quant.training.network import make_network
from quant.training.task import Classification

CPU = torch.device("cpu")

COLUMNS = ("image size", "batch", "plain, images/s", "ours, images/s", "ours takes", "spread")


@dataclass(frozen=True, kw_only=True)
class Throughput:
    """Both loops at one image size."""

    image_size: int
    batch_size: int
    plain_s: tuple[float, ...]
    """Seconds a step, by run."""
    ours_s: tuple[float, ...]
    """Seconds a step, by run."""

    def cells(self) -> list[str]:
        """Row of the table: medians of the runs; median, smallest and largest of their ratios."""
        rates = [self.batch_size / statistics.median(seconds) for seconds in (self.plain_s, self.ours_s)]
        ratios = [o / p for o, p in zip(self.ours_s, self.plain_s, strict=True)]
        more = [100 * (value - 1) for value in (statistics.median(ratios), min(ratios), max(ratios))]
        return [
            str(self.image_size),
            str(self.batch_size),
            *(f"{rate:.1f}" for rate in rates),
            f"{more[0]:+.1f} %",
            f"{more[1]:+.1f} to {more[2]:+.1f} %",
        ]


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


def throughput(*, image_size: int, batch_size: int, rounds: int, chunk: int, threads: int) -> Throughput:
    """Measure both loops interleaved."""
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
    return Throughput(
        image_size=image_size, batch_size=batch_size, plain_s=tuple(seconds["plain"]), ours_s=tuple(seconds["ours"])
    )


def fine_tune(realdata: Path, threads: int) -> None:
    """Train a fresh head on the images and print accuracy and time."""
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
        print(f"top-1 {100 * result.top1:.1f} % of {result.val_images} images,", end=" ")
        print(f"{time.perf_counter() - start:.0f} s, {result.steps} steps")
        print(result.curve_csv.read_text())


def main() -> None:
    """Command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("what", nargs="?", choices=["throughput", "fine-tune"], default="throughput")
    parser.add_argument("realdata", nargs="?", type=Path, default=Path("../shared/realdata"))
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--rounds", type=int, default=9)
    options = parser.parse_args()
    if options.what == "fine-tune":
        fine_tune(options.realdata, options.threads)
        return
    found = [
        throughput(image_size=size, batch_size=32, rounds=options.rounds, chunk=2, threads=options.threads)
        for size in (96, 224)
    ]
    write_results(
        "training",
        "Training throughput of B0",
        COLUMNS,
        [row.cells() for row in found],
        f"{options.threads} thread(s) a step, fp32, channels_last, medians of {options.rounds} turns",
        data={"results": [asdict(row) for row in found]},
    )


if __name__ == "__main__":
    main()
