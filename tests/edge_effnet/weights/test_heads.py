"""What is told of a head by its tensors, what is asked for with `--head`, and which layer is which."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import save_file
from torch import nn

from edge_effnet import load_checkpoint
from tests.support.refusals import refusal_of
from tests.support.weight_files import CLASSES, load_saved, state_dict

FEATURES = 1280
Tensors = dict[str, torch.Tensor]


def linear(module: str, inputs: int, outputs: int, *, bias: bool = True) -> Tensors:
    made = nn.Linear(inputs, outputs, bias=bias).state_dict()
    return {f"{module}.{name}": tensor for name, tensor in made.items()}


def norm(module: str, width: int, made: type[nn.BatchNorm1d | nn.LayerNorm] = nn.BatchNorm1d) -> Tensors:
    return {f"{module}.{name}": tensor for name, tensor in made(width).state_dict().items()}


def with_head(*layers: Tensors) -> Tensors:
    """A network of timm with these behind it instead of its classifier."""
    found = {key: tensor for key, tensor in state_dict("timm").items() if not key.startswith("classifier.")}
    return found | {key: tensor for layer in layers for key, tensor in layer.items()}


def refused(tensors: Tensors, folder: Path, **options: Any) -> str:
    torch.save(tensors, folder / "weights.pth")
    return refusal_of(load_checkpoint, folder / "weights.pth", origin="timm", **options)


# The layers, and what the message proposes first.
ASKED: dict[str, tuple[Callable[[], list[Tensors]], str]] = {
    "a ModuleList, its activation in code": (
        lambda: [linear("classifier.layers.0", FEATURES, 8), linear("classifier.layers.1", 8, CLASSES)],
        "--head linear-relu-linear or --head linear-linear (",
    ),
    "a ModuleList with norms": (
        lambda: [
            *(norm("head.0", FEATURES), linear("head.1", FEATURES, 8)),
            *(norm("head.2", 8), linear("head.3", 8, CLASSES)),
        ],
        "--head batchnorm-linear-batchnorm-relu-linear or --head batchnorm-linear-relu-batchnorm-linear or --head "
        "batchnorm-linear-batchnorm-linear (",
    ),
    "a weight and a bias of any norm": (
        lambda: [norm("classifier.0", FEATURES, nn.LayerNorm), linear("classifier.1", FEATURES, CLASSES)],
        "--head layernorm-linear, if it is a LayerNorm: GroupNorm",
    ),
    "layers by name": (
        lambda: [linear("fc1", FEATURES, 8), linear("fc2", 8, CLASSES)],
        "--head linear-relu-linear or --head linear-linear (",
    ),
    "timm's Mlp": (
        lambda: [linear("classifier.fc1", FEATURES, 8), linear("classifier.fc2", 8, CLASSES)],
        "--head linear-relu-linear or",
    ),
    "a layer behind the classifier": (
        lambda: [linear("classifier", FEATURES, 100), linear("fc", 100, CLASSES)],
        "--head linear-relu-linear or --head linear-linear (",
    ),
    "layers in the order of names": (
        lambda: [linear("final", 8, CLASSES), norm("middle", 8), linear("project", FEATURES, 8)],
        "--head linear-batchnorm-relu-linear or",
    ),
    "a norm in front": (
        lambda: [linear("fc", FEATURES, CLASSES), norm("norm", FEATURES, nn.LayerNorm)],
        "--head layernorm-linear, if it is a LayerNorm: GroupNorm",
    ),
    "a norm at the end": (
        lambda: [linear("neck.0", FEATURES, 8), norm("neck.1", 8)],
        "--head linear-batchnorm (",
    ),
    "fastai's": (
        lambda: [
            *(norm("1.2", FEATURES), linear("1.4", FEATURES, 8, bias=False)),
            *(norm("1.6", 8), linear("1.8", 8, CLASSES, bias=False)),
        ],
        "--head batchnorm-linear-relu-batchnorm-linear or --head batchnorm-linear-batchnorm-relu-linear (",
    ),
    "one gap, behind the norm": (
        lambda: [linear("head.0", FEATURES, 8), norm("head.1", 8), linear("head.3", 8, CLASSES)],
        "--head linear-batchnorm-relu-linear (",
    ),
    "one gap, before the norm": (
        lambda: [linear("head.0", FEATURES, 8), norm("head.2", 8), linear("head.3", 8, CLASSES)],
        "--head linear-relu-batchnorm-linear (",
    ),
}


@pytest.mark.parametrize("name", ASKED)
def test_what_tensors_do_not_prove_is_asked_for(name: str, tmp_path: Path) -> None:
    layers, proposal = ASKED[name]
    message = refused(with_head(*layers()), tmp_path)
    assert f"such as {proposal}" in message
    assert "leave them out" not in message


def test_layers_that_form_no_row_are_named(tmp_path: Path) -> None:
    message = refused(state_dict("timm") | linear("colour", FEATURES, 3), tmp_path)
    assert "there are colour.weight, colour.bias, which may take part" in message
    message = refused(with_head(linear("acc", FEATURES, 3), linear("fc", FEATURES, CLASSES)), tmp_path)
    assert "acc.weight, acc.bias, fc.weight, fc.bias" in message and "takes no part in it, leave out" in message


@pytest.mark.parametrize(
    ("name", "layers"),
    [
        ("scaler", lambda: [linear("scaler", FEATURES, FEATURES), linear("fc", FEATURES, CLASSES)]),
        ("f1", lambda: [linear("f1", FEATURES, 8), linear("f2", 8, CLASSES)]),
        ("f1", lambda: [linear("scaler", FEATURES, 8), linear("f1", 8, CLASSES)]),
        ("scaler", lambda: [norm("scaler", FEATURES, nn.LayerNorm), linear("fc", FEATURES, CLASSES)]),
        ("metric", lambda: [norm("metric", FEATURES), linear("fc", FEATURES, CLASSES)]),
        ("val_acc", lambda: [linear("fc", FEATURES, CLASSES), linear("val_acc.0", FEATURES, 3)]),
        ("last_loss", lambda: [linear("fc", FEATURES, 8), linear("last_loss", 8, CLASSES)]),
    ],
)
def test_a_layer_is_kept_whatever_its_name(name: str, layers: Callable[[], list[Tensors]], tmp_path: Path) -> None:
    message = refused(with_head(*layers()), tmp_path)
    assert f"{name}." in message.partition("tensors do not tell")[0]


def test_what_only_training_needs_is_left_out(tmp_path: Path) -> None:
    beside = {
        "val_acc.confmat": torch.zeros(CLASSES, CLASSES),
        "f1.tp": torch.zeros(CLASSES),
        "f1.class_weight": torch.ones(CLASSES),
        "metrics.weight": torch.tensor(3.0),
        "scaler.scale": torch.tensor([65536.0]),
        "criterion.weight": torch.ones(CLASSES),
        "arc_loss.weight": torch.zeros(9, FEATURES),
        "metrics.lpips.0.weight": torch.zeros(64, CLASSES, 3, 3),
        "metrics.lpips.0.bias": torch.zeros(64),
    }
    checkpoint = load_saved(state_dict("timm") | beside, tmp_path / "weights.pth", origin="timm")
    (note,) = (note for note in checkpoint.notes if note.startswith("Left out, as no part"))
    assert all(name in note for name in list(beside)[:7])


HIDDEN = 8
STEPS = "linear-relu-linear-relu-linear-relu-linear"


def four(*names: str) -> list[Tensors]:
    widths = [FEATURES, *[HIDDEN] * 3, CLASSES]
    return [linear(name, *pair) for name, *pair in zip(names, widths, widths[1:], strict=False)]


def loaded_sorted(tensors: Tensors, folder: Path, how: str) -> Any:
    if how == "pth":
        return load_saved(dict(sorted(tensors.items())), folder / "weights.pth", origin="timm", head=STEPS)
    save_file(tensors, folder / "weights.safetensors")
    return load_checkpoint(folder / "weights.safetensors", origin="timm", head=STEPS)


@pytest.mark.parametrize("how", ["safetensors", "pth"])
@pytest.mark.parametrize(
    "names",
    [
        ("classifier.0", "classifier.3", "classifier.12", "classifier.14"),
        ("in", "fc9", "fc10", "a_last"),
        ("head.0.fc", "head.2.fc", "head.10.fc", "head.11.fc"),
    ],
)
def test_numbers_and_widths_tell_the_order(names: tuple[str, ...], how: str, tmp_path: Path) -> None:
    layers = four(*names)
    checkpoint = loaded_sorted(with_head(*layers), tmp_path, how)
    found = [checkpoint.model.classifier[index].weight for index in (0, 2, 4, 6)]
    assert all(
        torch.equal(ours, theirs[f"{name}.weight"]) for ours, name, theirs in zip(found, names, layers, strict=True)
    )


@pytest.mark.parametrize("how", ["safetensors", "pth"])
def test_an_order_that_nothing_tells_is_asked_for(how: str, tmp_path: Path) -> None:
    tensors = with_head(*four("fc_in", "second", "residual", "to_logits"))
    message = refusal_of(loaded_sorted, tensors, tmp_path, how)
    assert "the order of residual and second in the head is unknown" in message
    assert "torch.save(model.state_dict()" in message


def test_a_modules_own_order_tells(tmp_path: Path) -> None:
    layers = four("fc_in", "second", "residual", "to_logits")
    # The last one first, as where a class has its classifier before a subclass adds others.
    checkpoint = load_saved(with_head(*layers[-1:], *layers[:-1]), tmp_path / "w.pth", origin="timm", head=STEPS)
    for index, layer in enumerate(layers):
        assert torch.equal(checkpoint.model.classifier[2 * index].weight, next(iter(layer.values())))


@pytest.mark.parametrize(
    ("layers", "said"),
    [
        (
            lambda: [linear("classifier", 2 * FEATURES, CLASSES)],
            "2 x 1280: average and maximum pooling joined, which",
        ),
        (
            lambda: [norm("1.2", 2 * FEATURES), linear("1.4", 2 * FEATURES, CLASSES)],
            "1.2 (batchnorm 2560) reads 2 x 1280: average and maximum",
        ),
        (lambda: [linear("fc", 49 * FEATURES, CLASSES)], "49 x 1280: several poolings, or the features of several"),
        (
            lambda: [{"global_pool.p": torch.tensor([3.0])}, linear("classifier", FEATURES, CLASSES)],
            "global_pool.p is a number of a pooling that learns (GeM), which",
        ),
    ],
)
@pytest.mark.parametrize("head", [None, "batchnorm-linear", "linear"])
def test_another_pooling_is_named(
    layers: Callable[[], list[Tensors]], said: str, head: str | None, tmp_path: Path
) -> None:
    message = refused(with_head(*layers()), tmp_path, head=head)
    assert said in message
    assert "retrain on average pooling, or say --head none" in message
    assert load_checkpoint(tmp_path / "weights.pth", origin="timm", head="none").model.head_steps == "none"


def test_names_of_any_length_and_alphabet_are_no_numbers_that_break(tmp_path: Path) -> None:
    for name in ("head.²", f"head.{'9' * 5000}"):
        layers = [linear("head.0", FEATURES, 8), linear(name, 8, CLASSES)]
        assert "such as --head linear-" in refused(with_head(*layers), tmp_path)


def test_a_classifier_without_a_bias_may_be_a_cosine_head(tmp_path: Path) -> None:
    tensors = with_head(linear("fc", FEATURES, CLASSES, bias=False))
    checkpoint = load_saved(tensors, tmp_path / "weights.pth", origin="timm")
    (said,) = checkpoint.unproven
    assert said in checkpoint.notes
    assert "'fc' has no bias and was read as a Linear; cosine and ArcFace heads" in said
    for options in ({"head": "linear"}, {"num_classes": 3}, {"include_top": False}):
        assert load_checkpoint(tmp_path / "weights.pth", origin="timm", **options).unproven == ()
