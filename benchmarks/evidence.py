"""What a network's own answers and statistics say about geometry, origin and activation (docs/preprocessing.md).

    python benchmarks/evidence.py geometry WEIGHTS PHOTOS --labels ID.txt --images 160
    python benchmarks/evidence.py statistics WEIGHTS PHOTOS

`geometry` pretends that each usual geometry was asked for, and counts over draws how often the check names another
one. `statistics` prints BatchNorm's misfit by origin and by activation.
"""

from __future__ import annotations

import argparse
import copy
import random
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import torch

from edge_effnet import EfficientNet, Preprocess, load_checkpoint
from edge_effnet.activations import swap_activation
from edge_effnet.images import IMAGE_SUFFIXES
from quant.checks.preprocessing_probe import Comparison, best_geometry, usual_geometries
from quant.data.batches import iterate_batches
from quant.data.calibration_check import norm_misfit, preferred
from quant.data.split import ImageRecord

DRAWS, DRAWN = 100, 128


def rates(model: EfficientNet, own: Preprocess, records: list[ImageRecord]) -> None:
    """Print how often another geometry is named."""
    whole = replace(own, resize=own.crop)
    asked = [own, *(replace(whole, resize_mode=mode) for mode in ("shorter", "squash", "pad", "pad-black"))]
    paths, labels = [record.path for record in records], torch.tensor([record.label for record in records])
    logits: dict[Preprocess, torch.Tensor] = {}
    for geometry in {*asked, *usual_geometries(own).values()}:
        with torch.no_grad():
            logits[geometry] = torch.cat([model(x) for x in iterate_batches(paths, geometry)])
    for now in dict.fromkeys(asked):

        def compare(other: Preprocess, rows: Sequence[int], now: Preprocess = now) -> Comparison:
            return Comparison.of(logits[now][list(rows)], logits[other][list(rows)], labels[list(rows)])

        right = float((logits[now].argmax(1) == labels).double().mean())
        draws = [random.Random(i).sample(range(len(paths)), min(DRAWN, len(paths))) for i in range(DRAWS)]
        named = sum(best_geometry(compare, now, rows) is not None for rows in draws)
        print(
            f"{now.resize_mode} {now.resize}: top-1 {100 * right:.1f} %, another named in {named} of {DRAWS} draws "
            f"of {len(draws[0])} images"
        )


def statistics(weights: Path, paths: list[Path]) -> None:
    """Print misfits, and what speaks for the second of each pair."""
    own = load_checkpoint(weights)
    batches = list(iterate_batches(paths, own.preprocess))
    found = {}
    for origin, padding, eps in (("timm", "symmetric", 1e-5), ("timm-tf", "same", 1e-3)):
        model = load_checkpoint(weights, padding=padding).model
        for module in model.modules():
            if isinstance(module, torch.nn.BatchNorm2d):
                module.eps = eps
        found[origin] = norm_misfit(model, batches)
        print(f"as {origin}: misfit {float(found[origin].mean()):.3f}")
    print(preferred(found["timm"], found["timm-tf"]))
    now = norm_misfit(own.model, batches)
    for name in ("swish", "hardswish", "relu", "relu6"):
        other = norm_misfit(swap_activation(copy.deepcopy(own.model), name), batches)
        print(f"with {name}: misfit {float(other.mean()):.3f}, {preferred(now, other)}")


def main() -> None:
    """Parse and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("what", choices=["geometry", "statistics"])
    parser.add_argument("weights", type=Path)
    parser.add_argument("photos", type=Path)
    parser.add_argument("--labels", type=Path, help="names of all classes in the outputs' order: of folders or files")
    parser.add_argument("--images", type=int, default=64)
    given = parser.parse_args()
    paths = sorted(path for path in given.photos.rglob("*") if path.suffix.lower() in IMAGE_SUFFIXES)
    paths = random.Random(0).sample(paths, min(given.images, len(paths)))
    if given.what == "statistics":
        statistics(given.weights, paths)
        return
    names = given.labels.read_text().split() if given.labels else sorted({path.parent.name for path in paths})
    index = {name: label for label, name in enumerate(names)}
    records = [
        ImageRecord(path=p, name=p.name, label=index.get(p.stem, index.get(p.parent.name)), sha256="") for p in paths
    ]
    checkpoint = load_checkpoint(given.weights)
    rates(checkpoint.model, checkpoint.preprocess, records)


if __name__ == "__main__":
    main()
