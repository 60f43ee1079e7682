from __future__ import annotations

import math
from itertools import pairwise
from pathlib import Path

import pytest

from edge_effnet.errors import InputError
from quant.training import Stage, TrainConfig, parse_stages
from quant.training.optim import FLOOR, learning_rate, plan_epochs, progress_at


def _config(**changes: object) -> TrainConfig:
    settings: dict[str, object] = {
        "variant": "b0",
        "data": "sample",
        "out": Path("w.safetensors"),
        "stages": (Stage(image_size=64, epochs=1),),
    }
    return TrainConfig(**(settings | changes))  # type: ignore[arg-type]


def test_the_learning_rate_warms_up_peaks_and_falls_to_the_floor() -> None:
    rates = [learning_rate(i / 1000, peak=2.0, warmup=0.1) for i in range(1001)]
    assert rates[50] == pytest.approx(1.0)
    assert max(rates) == rates[100] == pytest.approx(2.0)
    assert rates[550] == pytest.approx(2.0 * (FLOOR + (1 - FLOOR) / 2))
    assert rates[-1] == pytest.approx(2.0 * FLOOR)
    assert all(a >= b for a, b in pairwise(rates[100:]))
    assert min(rates) > 0


def test_without_warm_up_the_peak_comes_first() -> None:
    assert learning_rate(0.0, peak=0.5, warmup=0.0) == 0.5


def test_stages_are_laid_out_in_whole_and_partial_epochs() -> None:
    epochs = plan_epochs(parse_stages("32:2,64:0.5"), images=103, batch_size=10, max_steps=None)
    assert [(e.image_size, e.first_step, e.steps) for e in epochs] == [(32, 0, 10), (32, 10, 10), (64, 20, 5)]
    assert [e.number for e in epochs] == [0, 1, 2]


@pytest.mark.parametrize(("steps", "last"), [(15, (32, 10, 5)), (40, (64, 30, 10))])
def test_a_number_of_steps_cuts_or_prolongs(steps: int, last: tuple[int, int, int]) -> None:
    epochs = plan_epochs(parse_stages("32:2,64:1"), images=100, batch_size=10, max_steps=steps)
    assert sum(e.steps for e in epochs) == steps
    assert (epochs[-1].image_size, epochs[-1].first_step, epochs[-1].steps) == last


def test_progress_is_counted_in_pixels() -> None:
    epochs = plan_epochs(parse_stages("32:4,64:1"), images=10, batch_size=10, max_steps=None)
    assert progress_at(epochs, 0) == 0
    assert progress_at(epochs, 4) == 0.5  # four steps of a quarter of the pixels
    assert progress_at(epochs, 5) == 1


def test_fewer_images_than_a_batch_are_refused() -> None:
    with pytest.raises(InputError, match=r"5 training images fill no batch of 8; lower --batch-size"):
        plan_epochs(parse_stages("32:1"), images=5, batch_size=8, max_steps=None)


def test_stages_are_parsed() -> None:
    assert parse_stages("96:30, 224:2.5") == (Stage(image_size=96, epochs=30), Stage(image_size=224, epochs=2.5))


@pytest.mark.parametrize("text", ["", "96", "96:", "x:3", "96:3,", "96:-1", "8:3", "96:0", "5000:1", "96:1.2.3"])
def test_stages_that_make_no_sense_are_refused(text: str) -> None:
    with pytest.raises(InputError, match="stage"):
        parse_stages(text)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"optimizer": "sgd"}, "unknown optimizer 'sgd'; choose one of adamw, rmsprop"),
        ({"freeze": "stem"}, "unknown freeze"),
        ({"precision": "int8"}, "unknown precision"),
        ({"out": Path("w.pth")}, "end the name in .safetensors"),
        ({"batch_size": 1}, "batch_size 1"),
        ({"lr": 0.0}, "lr 0"),
        ({"lr": math.nan}, "lr nan"),
        ({"label_smoothing": 1.0}, "label_smoothing"),
        ({"ema_decay": -0.1}, "ema_decay"),
        ({"bn_momentum": 0.0}, "bn_momentum"),
        ({"steps": 0}, "steps 0"),
        ({"stages": ()}, "no stages"),
        ({"augment": 3.0}, "augment"),
    ],
)
def test_settings_out_of_range_are_refused(changes: dict[str, object], message: str) -> None:
    with pytest.raises(InputError, match=message):
        _config(**changes)


def test_what_does_not_change_the_weights_is_no_part_of_the_identity() -> None:
    first = _config().identity()
    assert _config(workers=7, threads=3, resume=True, checkpoint_every=9).identity() == first
    assert _config(seed=1).identity() != first
