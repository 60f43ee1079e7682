"""Drawing images by chance: evenly from the classes, and never one twice."""

from __future__ import annotations

import random
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass

from quant.data.listing import Listed
from quant.thresholds import MIN_CALIBRATION, MIN_SELECTION


@dataclass(frozen=True, kw_only=True, slots=True)
class Drawn:
    """The sides of a split."""

    calibration: Sequence[Listed]
    selection: Sequence[Listed]
    training: Sequence[Listed]
    evaluation: Sequence[Listed]


def draw_from_halves(
    pool: Sequence[Listed], judged: Sequence[Listed], calibration: int, selection: int, rng: random.Random
) -> Drawn:
    """Calibrate on images of the training half, judge on all of the other."""
    chosen = _draw(pool, calibration, rng)
    selected = _enough(_draw(_others(pool, chosen), selection, rng))
    return Drawn(calibration=chosen, selection=selected, training=_others(pool, selected), evaluation=judged)


def draw_from_one(
    listed: Sequence[Listed], calibration: int, selection: int, rng: random.Random, *, training: bool
) -> Drawn:
    """Split class folders alone, or images alone: at most half of each class calibrates or trains."""
    half = len(listed) // 2
    wanted = half if training else min(calibration, half)
    trained = _draw(listed, wanted, rng, per_class_share=0.5)
    if len(trained) < min(wanted, MIN_CALIBRATION):
        # Classes of one image each have no half.
        trained = _draw(listed, wanted, rng)
    selected = _enough(_draw(_others(listed, trained), selection, rng, per_class_share=1 / 3))
    return Drawn(
        calibration=trained[:calibration],
        selection=selected,
        training=trained,
        evaluation=_others(listed, [*trained, *selected]),
    )


def _enough(selected: list[Listed]) -> list[Listed]:
    """Leave too few images to choose on where they are more use."""
    return selected if len(selected) >= MIN_SELECTION else []


def _others(images: Sequence[Listed], taken: Sequence[Listed]) -> list[Listed]:
    paths = {p.path for p in taken}
    return [p for p in images if p.path not in paths]


def _draw(images: Sequence[Listed], count: int, rng: random.Random, per_class_share: float = 1.0) -> list[Listed]:
    """Draw evenly from the classes: one of each in turn, in an order drawn too, until `count` are drawn."""
    by_class: dict[str | None, list[Listed]] = defaultdict(list)
    for image in images:
        by_class[image.class_name].append(image)
    queues = []
    for name in sorted(by_class, key=str):
        shuffled = rng.sample(by_class[name], len(by_class[name]))
        queues.append(shuffled[: int(len(shuffled) * per_class_share)])
    # Fewer images than classes must not mean the alphabet's first classes.
    rng.shuffle(queues)
    chosen: list[Listed] = []
    for turn in range(max((len(q) for q in queues), default=0)):
        for queue in queues:
            if turn < len(queue) and len(chosen) < count:
                chosen.append(queue[turn])
    return chosen
