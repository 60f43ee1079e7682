"""Int8 toolchains against each other, ours among them, on the same weights and images, in one run.

    pip install -e ".[benchmarks]"      (in an environment of its own)
    python benchmarks/accuracy.py --variant b0 --weights W --data DIR [--name NAME] [--peer PEER ...]

Every program is run over the images of `val/` (each one that nothing was fitted on) and compared with the float
network in PyTorch. Peers get the calibration images decoded and preprocessed; this project's seconds contain
that work. Writes `benchmarks/results/accuracy-NAME.md` and `.json`.
"""

from __future__ import annotations

import argparse
import json
import tempfile
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np
import torch
from command import network_parser, run_quantize
from peers.peer import Material
from peers.table import PEERS, run_peer
from tables import versions_of, write_results

from edge_effnet.weights import load_pretrained
from quant.data.collect import Source
from quant.data.split import DataSplit, ImageRecord, split_images
from quant.metrics import metrics
from quant.thresholds import DEFAULT_CALIBRATION

COLUMNS = ("", "agreement, %", "SQNR, dB", "top-1, %", "MB", "seconds")

OURS = ("int8", "int8-strict")
"""Recipes of this project in the table."""

STAGES = ("export", "quantize", "lower")
"""Of a `quantize` run, what peers are timed for; the float program is lowered too."""

VALIDATION = 250
"""Images that a peer which looks for float layers may choose them on."""


@dataclass(frozen=True, kw_only=True)
class Result:
    """One toolchain's program."""

    title: str
    versions: dict[str, str]
    agreement: float
    """Share of 1."""
    sqnr_db: float
    top1: float
    """Share of 1."""
    size_bytes: int
    seconds: float
    """From the float network to the program's file."""

    def cells(self) -> list[str]:
        """Row of the table."""
        return [
            self.title,
            f"{100 * self.agreement:.1f}",
            f"{self.sqnr_db:.1f}",
            f"{100 * self.top1:.1f}",
            f"{self.size_bytes / 1e6:.2f}",
            f"{self.seconds:.0f}",
        ]


def prepare(arguments: argparse.Namespace, folder: Path) -> tuple[Material, DataSplit]:
    """Split and decode the images as `quantize` does."""
    checkpoint = load_pretrained(arguments.weights, variant=arguments.variant)
    split = split_images(
        Source(data=arguments.data, class_names=checkpoint.class_names, num_classes=checkpoint.num_classes),
        calibration=DEFAULT_CALIBRATION,
        seed=0,
        selection=VALIDATION,
    )
    if split.class_names is None:
        raise SystemExit(f"{arguments.data}: top-1 and accuracy control need class folders.")
    material = Material(folder, arguments.variant, arguments.weights)
    sets: dict[str, Sequence[ImageRecord]] = {
        "calibration": split.calibration, "validation": split.selection, "judged": split.evaluation,
    }  # fmt: skip
    for name, listed in sets.items():
        material.decode(name, [image.path for image in listed], checkpoint.preprocess)
        np.save(folder / f"{name}-labels.npy", np.array([image.label for image in listed]))
    return material, split


def reference(material: Material) -> torch.Tensor:
    """Logits of the float network, [images, classes]."""
    with torch.no_grad():
        return torch.cat([material.network(torch.from_numpy(x)) for x in material.batches("judged")])


def judge_peer(name: str, material: Material, expected: torch.Tensor) -> Result:
    """Quantize and run one peer in its own process."""
    figures = run_peer(name, material)
    # What `latency.py` loads; a row has no use for it.
    del figures["file"]
    logits = torch.from_numpy(np.load(material.folder / name / "logits.npy"))
    labels = torch.from_numpy(material.labels("judged"))
    return Result(
        agreement=metrics.agreement(expected, logits),
        sqnr_db=metrics.sqnr_db(expected, logits),
        top1=metrics.topk_accuracy(logits, labels, 1),
        **figures,
    )


def run_ours(recipe: str, arguments: argparse.Namespace, split: DataSplit, folder: Path) -> tuple[Result, float]:
    """One `quantize` as users run it; returns float's top-1 too."""
    out = folder / f"ours-{recipe}"
    found = run_quantize(recipe, arguments, out)
    fitted = json.loads((out / "manifest.json").read_text())["photographs"]
    same = sorted(image.sha256 for image in split.calibration)
    if sorted(image["sha256"] for image in fitted["calibration"]) != same:
        raise SystemExit("the command calibrated on other images than the peers: the comparison would mean nothing.")
    result = Result(
        title=f"this project, `{recipe}`",
        versions={},
        agreement=found["pte"]["agreement"],
        sqnr_db=found["pte"]["sqnr_db"],
        top1=found["pte"]["top1"],
        size_bytes=found["pte"]["size_bytes"],
        seconds=sum(found["seconds"][stage] for stage in STAGES),
    )
    return result, found["float"]["top1"]


def main() -> None:
    """Measure and write table and JSON."""
    parser = network_parser(__doc__)
    parser.add_argument("--peer", action="append", choices=PEERS, help="only these; all by default")
    arguments = parser.parse_args()
    arguments.weights = str(Path(arguments.weights).resolve())
    results = []
    with tempfile.TemporaryDirectory() as temporary:
        folder = Path(temporary)
        material, split = prepare(arguments, folder)
        expected = reference(material)
        for recipe in OURS:
            result, top1 = run_ours(recipe, arguments, split, folder)
            results.append(result)
            print(" | ".join(result.cells()), flush=True)
        for name in arguments.peer or PEERS:
            results.append(judge_peer(name, material, expected))
            print(" | ".join(results[-1].cells()), flush=True)
    write_results(
        f"accuracy-{arguments.name}",
        f"Int8 toolchains on {arguments.name}",
        COLUMNS,
        [result.cells() for result in results],
        f"{versions_of(result.versions for result in results)}, {len(split.calibration)} images to calibrate, "
        f"{len(split.evaluation)} judged, float top-1 {100 * top1:.1f} %",
        data={"float_top1": top1, "results": [asdict(result) for result in results]},
    )


if __name__ == "__main__":
    main()
