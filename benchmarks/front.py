"""What recipes keep of a network and what they cost: the simulation on several evaluation sets, ARM instructions.

    python benchmarks/front.py --variant b0 --weights W --data DIR [--more DIR ...] [--recipe NAME ...] [--arm DIR]
        [--pixels]

Quantizes once a recipe, with the images that the command would draw from DIR's training half, and runs the bit-exact
simulation over DIR's evaluation half and all of each `--more`, as float and as int8. `--arm` counts the program's
instructions on a cortex-a76 (`arm_instructions.py`); `--pixels` adds the programs of `--embed-preprocess`. Writes
`benchmarks/results/front-NAME.md` and `.json`.
"""

from __future__ import annotations

import tempfile
from collections.abc import Iterator, Sequence
from itertools import product
from pathlib import Path
from typing import Any

import torch
from arm_instructions import count
from command import network_parser
from tables import write_results
from toolchains import Program
from torch import fx

from apps.cli.process import keep_freed_memory
from edge_effnet import load_checkpoint
from edge_effnet.fuse import fold_for_inference
from quant.common.progress import NoProgress
from quant.data.batches import iterate_batches, read_batches
from quant.data.collect import Source
from quant.data.split import ImageRecord, evaluation_images, split_images
from quant.graph.export import export_graph
from quant.graph.parallel import in_parallel
from quant.lower.options import Normalization
from quant.lower.xnnpack.lower import lower_xnnpack
from quant.lower.xnnpack.simulator import simulation_of
from quant.metrics.metrics import agreement, sqnr_db
from quant.ptq.quantizers import PLACEMENTS
from quant.ptq.steps import Context, finish, quantize_graph
from quant.recipes import RECIPES

CPU = "cortex-a76"


def figures(reference: torch.Tensor, found: torch.Tensor, labels: torch.Tensor | None) -> dict[str, float]:
    """SQNR, dB; agreement and, with labels, what top-1 loses, and the images lost and won, %."""
    result = {"sqnr_db": sqnr_db(reference, found), "agreement": 100 * agreement(reference, found)}
    if labels is not None:
        right, still = (logits.argmax(dim=1) == labels for logits in (reference, found))
        lost, won = (100 * (a & ~b).double().mean().item() for a, b in ((right, still), (still, right)))
        result |= {"drop": lost - won, "lost": lost, "won": won}
    return result


def cells(recipe: str, row: dict[str, Any]) -> Iterator[str]:
    """Row of the table."""
    yield f"`{recipe}`"
    for found in row["sets"]:
        yield from (f"{found['sqnr_db']:.2f}", f"{found['agreement']:.1f}")
        yield f"{found['drop']:.2f} ({found['lost']:.1f}, {found['won']:.1f})" if "drop" in found else "-"
    yield "-" if row["instructions"] is None else f"{row['instructions']:.1f}"


def logits_of(graph: fx.GraphModule, images: Sequence[ImageRecord], preprocess: Any) -> torch.Tensor:
    """Outputs on some images, [N, classes]."""
    batches = iterate_batches([image.path for image in images], preprocess, batch_size=64)
    parts = (
        part
        for batch in batches
        for part in in_parallel(graph, batch.contiguous(memory_format=torch.channels_last).split(8))
    )
    return torch.cat(list(parts))


def main() -> None:
    """Measure and write table and JSON."""
    parser = network_parser(__doc__)
    parser.add_argument("--more", nargs="+", type=Path, default=[])
    parser.add_argument("--recipe", nargs="+", choices=RECIPES, default=list(RECIPES))
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--calibration", type=int, default=256)
    parser.add_argument("--pixels", action="store_true")
    parser.add_argument("--arm", type=Path)
    parser.add_argument("--tools", type=Path, default=Path("../shared/tools/arm64"))
    arguments = parser.parse_args()
    keep_freed_memory()
    checkpoint = load_checkpoint(arguments.weights, arguments.variant)
    preprocess, classes = checkpoint.preprocess, checkpoint.model.num_classes
    graph = export_graph(fold_for_inference(checkpoint.model, preprocess.crop), preprocess.crop)
    shape = (1, checkpoint.model.in_channels, preprocess.crop, preprocess.crop)
    source = Source(data=arguments.data, num_classes=classes)
    split = split_images(source, calibration=arguments.calibration, seed=arguments.seed)
    more = [evaluation_images(Source(data=d, num_classes=classes), calibrated_on=frozenset()) for d in arguments.more]
    sets = [split.evaluation, *(each.evaluation for each in more)]
    inputs = read_batches(split.calibration, preprocess, NoProgress())
    references = [logits_of(graph, images, preprocess) for images in sets]
    rows = {}
    taking = (None, Normalization(mean=preprocess.mean, std=preprocess.std)) if arguments.pixels else (None,)
    for recipe, pixels in product(arguments.recipe, taking):
        name = recipe if pixels is None else f"{recipe} --embed-preprocess"
        context = Context(inputs=inputs, recipe=RECIPES[recipe], seed=arguments.seed, progress=NoProgress())
        quantized = quantize_graph(
            graph, inputs, RECIPES[recipe], seed=arguments.seed, progress=NoProgress(), normalization=pixels
        )
        finish(quantized, PLACEMENTS["xnnpack"], context)
        simulation = simulation_of(quantized.converted).module
        found = []
        for images, reference in zip(sets, references, strict=True):
            labels = None if images[0].label is None else torch.tensor([image.label for image in images])
            found.append(figures(reference, logits_of(simulation, images, preprocess), labels))
        millions = None
        if arguments.arm:
            with tempfile.TemporaryDirectory() as folder:
                path = Path(folder, "program.pte")
                path.write_bytes(lower_xnnpack(quantized.converted, shape, normalization=pixels).data)
                program = Program(toolchain=name, title=name, path=path, size_bytes=0, versions={})
                millions = count(program, preprocess.crop, CPU, arguments.arm.resolve(), arguments.tools)["TOTAL"]
        rows[name] = {"sets": found, "instructions": millions}
        print(" | ".join(cells(name, rows[name])), flush=True)
    heads = [
        f"{kind}, {len(images)} images" for images in sets for kind in ("SQNR, dB", "agreement, %", "drop, points")
    ]
    write_results(
        f"front-{arguments.name}",
        f"Recipes on {arguments.name}: what they keep and what they cost",
        ("recipe", *heads, f"instructions, M ({CPU})"),
        [list(cells(name, row)) for name, row in rows.items()],
        f"{len(split.calibration)} images to calibrate; drop with images lost and won, %",
        data={"rows": rows},
    )


if __name__ == "__main__":
    main()
