"""How near to float's weights the reconstruction should stay, and how many images it takes.

    python benchmarks/ridge.py --variant b0 --weights W --data DIR [--draws N] [--recipe NAME] [--name NAME]

For each draw of calibration images, channel groups and ranges are found once; then the network is reconstructed with
each ridge on each number of images, and the bit-exact simulation is compared with float on DIR's evaluation half.
Writes `benchmarks/results/ridge-NAME.md`.
"""

from __future__ import annotations

from itertools import product
from statistics import mean

from command import network_parser
from front import figures, logits_of
from tables import write_results

import quant.ptq.reconstruct
import quant.ptq.steps
from apps.cli.process import keep_freed_memory
from edge_effnet import load_checkpoint
from edge_effnet.fuse import fold_for_inference
from quant.common.progress import NoProgress
from quant.data.batches import read_batches
from quant.data.collect import Source
from quant.data.split import split_images
from quant.graph.export import export_graph
from quant.lower.xnnpack.simulator import simulation_of
from quant.ptq.quantizers import PLACEMENTS
from quant.ptq.steps import Context, Phase, State, finish, quantize_program, run_steps
from quant.recipes import RECIPES

RIDGES, IMAGES = (0.05, 0.5, 4.0), (32, 64, 256)


def main() -> None:
    """Measure and write the table."""
    parser = network_parser(__doc__)
    parser.add_argument("--recipe", choices=RECIPES, default="int8")
    parser.add_argument("--draws", type=int, default=2)
    parser.add_argument("--calibration", type=int, default=256)
    arguments = parser.parse_args()
    keep_freed_memory()
    checkpoint = load_checkpoint(arguments.weights, arguments.variant)
    preprocess = checkpoint.preprocess
    graph = export_graph(fold_for_inference(checkpoint.model, preprocess.crop), preprocess.crop)
    source = Source(data=arguments.data, num_classes=checkpoint.model.num_classes)
    found: dict[tuple[float, int], list[dict[str, float]]] = {case: [] for case in product(RIDGES, IMAGES)}
    for seed in range(arguments.draws):
        split = split_images(source, calibration=arguments.calibration, seed=seed)
        reference = logits_of(graph, split.evaluation, preprocess)
        inputs = read_batches(split.calibration, preprocess, NoProgress())
        context = Context(inputs=inputs, recipe=RECIPES[arguments.recipe], seed=seed, progress=NoProgress())
        network = run_steps(Phase.NETWORK, State(graph=graph), context)
        for (ridge, images), each in found.items():
            quant.ptq.reconstruct.NEAR, quant.ptq.steps.RECONSTRUCTION = ridge, images
            quantized = quantize_program(network, context)
            finish(quantized, PLACEMENTS["xnnpack"], context)
            logits = logits_of(simulation_of(quantized.converted).module, split.evaluation, preprocess)
            each.append(figures(reference, logits, None))
            print(seed, ridge, images, each[-1], flush=True)
    rows = [
        [f"{ridge:g}", str(images), *(f"{mean(one[key] for one in each):.1f}" for key in ("sqnr_db", "agreement"))]
        for (ridge, images), each in found.items()
    ]
    write_results(
        f"ridge-{arguments.name}",
        f"The reconstruction's ridge and images on {arguments.name}",
        ("ridge", "images", "SQNR, dB", "agreement, %"),
        rows,
        f"means of {arguments.draws} draws of {arguments.calibration} images to calibrate, {len(reference)} judged",
    )


if __name__ == "__main__":
    main()
