"""Does the float network see the images as it was trained to? Other readings and resizings of them are tried."""

from __future__ import annotations

import math
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, replace
from statistics import fmean

import torch

from edge_effnet.images import quiet_pillow
from edge_effnet.preprocess import IMAGENET_MEAN, IMAGENET_STD, INCEPTION_MEAN, INCEPTION_STD, RGB, Preprocess
from quant.common.findings import Finding, finding
from quant.common.subsample import subsample
from quant.data.batches import Model, iterate_batches
from quant.data.split import ImageRecord
from quant.metrics import metrics
from quant.thresholds import (
    GEOMETRY_GAIN,
    PROBE_CERTAINTY,
    PROBE_GLANCE,
    PROBE_IMAGES,
    PROBE_RANK_CERTAINTY,
    PROBE_RIGHT,
)

# Log-likelihoods of one reading written down in two ways differ by this much.
_ROUNDING = 1e-4

Reading = Callable[[torch.Tensor, Preprocess], torch.Tensor]
"""(inputs [n, 3, H, W] as preprocessed, how) -> inputs as they would be under the hypothesis."""


def _renormalized(mean: Sequence[float], std: Sequence[float]) -> Reading:
    def read(x: torch.Tensor, preprocess: Preprocess) -> torch.Tensor:
        # A gray network's are the three channels' on average (`edge_effnet.weights.normalization`).
        mean_, std_ = (_channels(values if x.shape[1] == RGB else [fmean(values)]) for values in (mean, std))
        return (_pixels(x, preprocess) - mean_) / std_

    return read


def _swapped_channels(x: torch.Tensor, preprocess: Preprocess) -> torch.Tensor:
    pixels = _pixels(x, preprocess).flip(1)
    return (pixels - _channels(preprocess.mean)) / _channels(preprocess.std)


def _planar(x: torch.Tensor, _preprocess: Preprocess) -> torch.Tensor:
    count, channels, height, width = x.shape
    return x.reshape(count, height, width, channels).permute(0, 3, 1, 2)


READINGS: dict[str, Reading] = {
    "BGR instead of RGB": _swapped_channels,
    "the mean and std of ImageNet": _renormalized(IMAGENET_MEAN, IMAGENET_STD),
    "the mean and std of Inception (0.5)": _renormalized(INCEPTION_MEAN, INCEPTION_STD),
    "pixels from 0 to 1 without mean and std": _renormalized((0.0,) * 3, (1.0,) * 3),
    "pixels from 0 to 255 without mean and std": _renormalized((0.0,) * 3, (1 / 255,) * 3),
    "NHWC instead of NCHW": lambda x, _preprocess: x.permute(0, 2, 3, 1).reshape(x.shape),
    "NCHW instead of NHWC": _planar,
}
"""What goes wrong between a file and a tensor, each undone in one step."""

OF_ORDER = ("BGR instead of RGB", "NHWC instead of NCHW", "NCHW instead of NHWC")
"""Those that say nothing where there is one channel."""

ALWAYS = ("BGR instead of RGB",)
"""Tried on every network: a good one loses two or three points to exchanged channels, which nobody would notice."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Probe:
    """Images with labels, and what float makes of them."""

    images: Sequence[ImageRecord]
    labels: torch.Tensor
    """int64 [images]."""
    logits: torch.Tensor
    """[images, classes]."""
    preprocess: Preprocess

    def compare(
        self, tried: Mapping[str, Model], rows: Sequence[int], preprocess: Preprocess | None = None
    ) -> dict[str, Comparison]:
        """Compare others with float on the images of some rows, prepared as for it or by another `preprocess`."""
        outputs: dict[str, list[torch.Tensor]] = {name: [] for name in tried}
        paths = [self.images[i].path for i in rows] if tried else []
        with quiet_pillow(), torch.no_grad():
            for x in iterate_batches(paths, preprocess or self.preprocess):
                for name, run in tried.items():
                    outputs[name].append(run(x))
        now, labels = self.logits[list(rows)], self.labels[list(rows)]
        return {name: Comparison.of(now, torch.cat(parts), labels) for name, parts in outputs.items()}


def better_reading(run: Model, probe: Probe, readings: Collection[str]) -> Finding | None:
    """Name another reading of the images, of these keys of `READINGS`, that suits float better, beyond chance.

    It has to class more images rightly, or as many with a likelier label on most of them, which shows more.
    `PROBE_IMAGES` of all are looked at where `PROBE_GLANCE` promise something.
    """

    def read_as(name: str) -> Model:
        return lambda x: run(READINGS[name](x, probe.preprocess).contiguous())

    rows = subsample(len(probe.images), PROBE_IMAGES)
    tried = [name for name in readings if probe.preprocess.channels == RGB or name not in OF_ORDER]
    glance = [rows[i] for i in subsample(len(rows), PROBE_GLANCE)]
    first = probe.compare({name: read_as(name) for name in tried}, glance)
    better = probe.compare({name: read_as(name) for name, seen in first.items() if seen.gain > 0}, rows)
    enough = PROBE_RIGHT * len(rows)
    convincing = {name: found for name, found in better.items() if found.convincing and found.right >= enough}
    if not convincing:
        return None
    name, best = max(convincing.items(), key=lambda item: (item[1].right, item[1].likelier))
    return finding(
        "preprocessing",
        f"preprocessing: with {name} the float network is right on {best.right} of {len(rows)} images instead "
        f"of {best.right - best.won + best.lost}, and the right class is likelier on {best.likelier}: the "
        "images, mean and std, or channel order are not those that the weights were trained with",
    )


@dataclass(frozen=True, kw_only=True, slots=True)
class Comparison:
    """Another reading against the present one."""

    likelier: int
    """Images whose label it makes likelier."""
    less: int
    won: int
    """Images that it classes rightly and the present one wrongly."""
    lost: int
    right: int
    """Images that it classes rightly."""
    gain: float
    """In the likelihood of the right class, nats, on average."""
    rank_chance: float
    """That it looks as good by chance, by how much likelier it makes their labels."""

    @classmethod
    def of(cls, now: torch.Tensor, other: torch.Tensor, labels: torch.Tensor) -> Comparison:
        """Compare logits [images, classes] of another reading with those of the present one."""
        right, still = other.argmax(dim=1) == labels, now.argmax(dim=1) == labels
        before, after = (
            logits.double().log_softmax(dim=1).gather(1, labels[:, None])[:, 0] for logits in (now, other)
        )
        gain = after - before
        gain[gain.abs() < _ROUNDING] = 0.0
        return cls(
            likelier=int((gain > 0).sum()),
            less=int((gain < 0).sum()),
            won=int((right & ~still).sum()),
            lost=int((still & ~right).sum()),
            right=int(right.sum()),
            gain=float(gain.mean()),
            rank_chance=metrics.signed_rank_test(gain),
        )

    @property
    def convincing(self) -> bool:
        """Whether it is better beyond chance."""
        by_chance = min(metrics.sign_test(self.likelier, self.less), metrics.sign_test(self.won, self.lost))
        beyond_chance = by_chance <= PROBE_CERTAINTY or self.rank_chance <= PROBE_RANK_CERTAINTY
        return beyond_chance and self.won >= self.lost


def _pixels(x: torch.Tensor, preprocess: Preprocess) -> torch.Tensor:
    return x * _channels(preprocess.std) + _channels(preprocess.mean)


def _channels(values: Sequence[float]) -> torch.Tensor:
    return torch.tensor(list(values)).view(-1, 1, 1)


_PROMISING = 0.1
"""Chance (signed-rank test) on the first glance, above which a geometry is not looked at again."""


def usual_geometries(now: Preprocess) -> dict[str, Preprocess]:
    """What training scripts do, by the options that ask for it; without what is done anyway."""
    side = now.crop
    resize = math.floor(side / 0.875)
    tried = {
        f"--resize {side}x{side}": replace(now, resize=side, resize_mode="squash"),
        f"--resize {resize} --crop {side} --resize-mode shorter": replace(now, resize=resize, resize_mode="shorter"),
        f"--resize {side} --resize-mode shorter": replace(now, resize=side, resize_mode="shorter"),
        f"--resize {side} --resize-mode pad-black": replace(now, resize=side, resize_mode="pad-black"),
    }
    return {options: other for options, other in tried.items() if other != now}


def better_geometry(run: Model, probe: Probe) -> Finding | None:
    """Name another geometry that makes the right classes clearly likelier to the float network, if there is one.

    `PROBE_IMAGES` of all are looked at where `PROBE_GLANCE` promise something. Images taken as they are (resize mode
    "none", tensors) are no question of geometry.
    """
    if probe.preprocess.resize_mode == "none" or probe.preprocess.takes_tensors:
        return None

    def compare(geometry: Preprocess, rows: Sequence[int]) -> Comparison:
        return probe.compare({"resized": lambda x: run(x.contiguous())}, rows, geometry)["resized"]

    return best_geometry(compare, probe.preprocess, subsample(len(probe.images), PROBE_IMAGES))


def best_geometry(
    compare: Callable[[Preprocess, Sequence[int]], Comparison], now: Preprocess, rows: Sequence[int]
) -> Finding | None:
    """Name the geometry that `compare` finds clearly better than the present one on the images of some rows."""
    glance = [rows[i] for i in subsample(len(rows), PROBE_GLANCE)]
    found: dict[str, Comparison] = {}
    for options, geometry in usual_geometries(now).items():
        first = compare(geometry, glance)
        if first.gain > 0 and first.rank_chance <= _PROMISING:
            found[options] = compare(geometry, rows)
    clear = {
        options: seen
        for options, seen in found.items()
        if seen.rank_chance <= PROBE_RANK_CERTAINTY and seen.gain >= GEOMETRY_GAIN and seen.won >= seen.lost
    }
    if not clear:
        return None
    options, best = max(clear.items(), key=lambda item: item[1].gain)
    return finding(
        "geometry",
        f"geometry: resized as by {options} the float network is right on {best.right} of {len(rows)} images instead "
        f"of {best.right - best.won + best.lost}, and the right class is likelier on {best.likelier} (less likely on "
        f"{best.less}): training may have resized so",
        remedy=f"Compare float's accuracy with {options}.",
    )
