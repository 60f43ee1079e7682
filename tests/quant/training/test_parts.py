from __future__ import annotations

import threading
import time

import numpy as np
import pytest
import torch
from torch import nn

from edge_effnet import EfficientNet, Preprocess
from edge_effnet.errors import InputError
from quant.data.readers.labelled import Item, ordered
from quant.training.input.loader import Batch, iterate, local_batches, to_input
from quant.training.network import set_training_mode
from quant.training.optim import (
    WeightAverage,
    choose_precision,
    make_optimizer,
    parameter_groups,
    recompute_statistics,
    set_learning_rate,
)
from tests.support.training import TINY


def _tiny(classes: int = 3) -> EfficientNet:
    torch.manual_seed(0)
    return EfficientNet.from_name(TINY, num_classes=classes, padding="symmetric")


def test_only_weights_of_convolutions_and_the_classifier_decay() -> None:
    model = _tiny()
    decayed, others = parameter_groups(model, 0.1)
    names = {id(p): n for n, p in model.named_parameters()}
    assert decayed["weight_decay"] == 0.1
    assert others["weight_decay"] == 0.0
    kept = [names[id(p)] for p in others["params"]]  # type: ignore[attr-defined]
    assert all("norm" in name or name.endswith("bias") for name in kept)
    shrunk = [names[id(p)] for p in decayed["params"]]  # type: ignore[attr-defined]
    assert not any("norm" in name or name.endswith("bias") for name in shrunk)
    assert len(kept) + len(shrunk) == len(names)


def test_frozen_weights_reach_no_optimiser() -> None:
    model = _tiny()
    model.stem.requires_grad_(False)
    trained = sum(len(g["params"]) for g in parameter_groups(model, 0.1))  # type: ignore[arg-type]
    assert trained == len(list(model.parameters())) - len(list(model.stem.parameters()))


@pytest.mark.parametrize("name", ["adamw", "rmsprop"])
def test_each_optimiser_learns(name: str) -> None:
    torch.manual_seed(0)
    model = nn.Linear(4, 2)
    optimizer = make_optimizer(name, parameter_groups(model, 0.0), lr=0.0)
    set_learning_rate(optimizer, 0.02, (1.0, 0.5))
    assert [group["lr"] for group in optimizer.param_groups] == [0.02, 0.01]
    x, y = torch.randn(16, 4), torch.arange(16) % 2
    losses = []
    for _ in range(20):
        loss = nn.functional.cross_entropy(model(x), y)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        losses.append(loss.item())
    assert losses[-1] < losses[0]


def test_the_average_trails_weights_and_statistics() -> None:
    model = _tiny()
    average = WeightAverage(model, 0.5)
    before = model.stem.conv.weight.clone()
    with torch.no_grad():
        model.stem.conv.weight += 1
        model.stem.norm.running_mean += 1
    average.update(model, step=1000)
    torch.testing.assert_close(average.model.stem.conv.weight, before + 0.5)
    torch.testing.assert_close(average.model.stem.norm.running_mean, torch.full((16,), 0.5))
    assert not any(p.requires_grad for p in average.model.parameters())


def test_the_average_forgets_the_first_weights_faster() -> None:
    model = _tiny()
    average = WeightAverage(model, 0.999)
    with torch.no_grad():
        model.stem.norm.running_mean += 1
    average.update(model, step=0)
    torch.testing.assert_close(average.model.stem.norm.running_mean, torch.full((16,), 0.9))


def test_every_process_takes_its_part_of_the_same_batch() -> None:
    order = ordered(23, seed=3, epoch=1)
    whole = list(local_batches(iter(order), first=0, steps=5, batch_size=4, rank=0, world=1))
    parts = [list(local_batches(iter(order), first=0, steps=5, batch_size=4, rank=r, world=2)) for r in (0, 1)]
    assert [sorted(a + b) for a, b in zip(*parts, strict=True)] == [sorted(batch) for batch in whole]
    later = list(local_batches(iter(order), first=3, steps=5, batch_size=4, rank=0, world=1))
    assert later == whole[3:]
    assert sorted(order) == list(range(23))


@pytest.mark.parametrize("workers", [0, 3])
def test_batches_come_in_order_whatever_the_threads_do(workers: int) -> None:
    def read(item: Item) -> tuple[np.ndarray, int]:
        time.sleep(0.002 * (item.number % 3))
        return np.full((2, 2, 3), item.number, dtype=np.uint8), item.label

    batches = [[Item(4 * b + i, i) for i in range(4)] for b in range(6)]
    got = list(iterate(batches, read, workers=workers))
    assert [batch.pixels[:, 0, 0, 0].tolist() for batch in got] == [[i.number for i in b] for b in batches]
    assert got[0].labels.tolist() == [0, 1, 2, 3]


def test_an_error_of_a_reader_comes_through_and_the_threads_end() -> None:
    def read(item: Item) -> tuple[np.ndarray, int]:
        if item.number == 5:
            raise InputError("five is unreadable")
        return np.zeros((2, 2, 3), dtype=np.uint8), 0

    before = threading.active_count()
    with pytest.raises(InputError, match="five"):
        list(iterate([[Item(i, 0)] for i in range(50)], read, workers=2))
    assert threading.active_count() == before


def test_batches_are_normalised_as_images_are_in_channels_last() -> None:
    preprocess = Preprocess(crop=4, resize=4)
    pixels = np.random.default_rng(0).integers(0, 256, (2, 4, 4, 3), dtype=np.uint8)
    x, labels = to_input(Batch(pixels, np.array([1, 0])), preprocess, torch.device("cpu"))
    torch.testing.assert_close(x, preprocess.normalize(pixels), rtol=1e-5, atol=1e-5)
    assert x.is_contiguous(memory_format=torch.channels_last)
    assert labels.tolist() == [1, 0]


def test_recomputed_statistics_are_those_of_the_images() -> None:
    model = _tiny()
    torch.manual_seed(1)
    inputs = [3 + 2 * torch.randn(8, 3, 32, 32) for _ in range(3)]
    recompute_statistics(model, inputs)
    with torch.no_grad():
        activations = torch.cat([model.stem.conv(x) for x in inputs])
    torch.testing.assert_close(model.stem.norm.running_mean, activations.mean((0, 2, 3)), rtol=1e-3, atol=1e-4)
    assert not model.training
    assert not any(module.training for module in model.modules())
    assert model.stem.norm.momentum == 0.01


def test_a_frozen_backbone_keeps_its_statistics() -> None:
    model = _tiny()
    set_training_mode(model, "backbone")
    before = model.stem.norm.running_mean.clone()
    model(torch.randn(2, 3, 32, 32))
    torch.testing.assert_close(model.stem.norm.running_mean, before)
    assert model.dropout.training


def test_precision_names() -> None:
    cpu = torch.device("cpu")
    assert choose_precision("bf16", cpu) == torch.bfloat16
    assert choose_precision("fp32", cpu) == torch.float32
    assert choose_precision("auto", cpu) in (torch.float32, torch.bfloat16)
    with pytest.raises(InputError, match="fp16 needs a GPU"):
        choose_precision("fp16", cpu)
