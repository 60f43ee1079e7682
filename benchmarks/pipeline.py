"""What `quantize` takes, stage by stage and B0 to B7, against other toolchains on the same network and images.

    pip install -e ".[benchmarks]"      (in an environment of its own)
    python benchmarks/pipeline.py --weights B0.pth --data DIR [--variant b0 ...] [--calibration b7=16] [--peer ...]
        [--turns 1] [--add]

Five tables: seconds and memory of each toolchain; seconds of each stage of `quantize`; graph rewriting by number of
layers; images a second in calibration as a share of plain eager inference; decoding beside the network. Weights
and images given are B0's; the other variants have random weights and drawn pictures at their own image size.
`quantize` is timed as users run it, a process from start to end, with the evaluation that the peers do not do; "to
the program" is the part that they do too. Memory is the sum over a toolchain's processes. Writes
`benchmarks/results/pipeline.md` and `.json`.
"""

from __future__ import annotations

import argparse
import json
import sys
import tempfile
from pathlib import Path

import torch
from calibration_speed import measure_speed
from decoding import measure_decoding
from graph_work import measure_graph_work
from peers.table import PEERS, child_of, environment, figures_of
from pipeline_material import Subject, make_subject
from pipeline_tables import Findings, Run
from process_tree import run_watched
from tables import RESULTS, write_tables

from apps.cli.process import keep_freed_memory
from edge_effnet.weights import load_pretrained
from quant.data.batches import batch_size_for
from quant.graph.memory import give_back_freed_memory
from quant.thresholds import DEFAULT_CALIBRATION

VARIANTS = ("b0", "b1", "b2", "b3", "b4", "b5", "b6", "b7")

DEFAULT_PEERS = ("onnxruntime", "nncf", "ai-edge-quantizer")
"""Of `PEERS`, those that are run unless others are asked for."""

TO_PROGRAM = ("export", "quantize", "lower")
"""Stages of `quantize` that peers do too: from the float network to the program's file."""

TURNS = 3
"""Of whatever is measured in this process, unless told otherwise: one of B7 takes minutes."""


def run_ours(subject: Subject) -> Run:
    """Time one `quantize` as users run it."""
    folder, images = subject.material.folder, len(subject.calibration)
    command = [
        sys.executable, "-m", "apps.cli.commands.quantize", "--variant", subject.variant,
        "--weights", subject.weights, "--data", subject.data, "--calibration", str(images),
        "--out", str(folder / "ours"), "--json",
    ]  # fmt: skip
    log = folder / "ours.log"
    done = run_watched(command, environment(), log)
    if done.returncode not in (0, 1):  # a random network may well fail its verdict
        raise SystemExit(f"{' '.join(command)}: exit code {done.returncode}\n{log.read_text()[-2000:]}")
    stages: dict[str, float] = json.loads(done.output)["seconds"]
    return Run(
        variant=subject.variant,
        toolchain="this project",
        images=images,
        to_program_s=sum(stages[stage] for stage in TO_PROGRAM),
        whole_s=done.seconds,
        peak_bytes=done.peak_bytes,
        stages=stages,
        versions={},
    )


def run_peer(name: str, subject: Subject) -> Run:
    """Time one peer's own quantization."""
    log = subject.material.folder / f"{name}.log"
    done = run_watched(*child_of(name, subject.material), log)
    if done.returncode:
        raise SystemExit(f"{name}: exit code {done.returncode}\n{log.read_text()[-2000:]}")
    figures = figures_of(name, subject.material)
    return Run(
        variant=subject.variant,
        toolchain=figures["title"],
        images=len(subject.calibration),
        to_program_s=figures["seconds"],
        whole_s=done.seconds,
        peak_bytes=done.peak_bytes,
        stages={},
        versions=figures["versions"],
    )


def measure(subject: Subject, peers: list[str], turns: int, findings: Findings) -> None:
    """Measure all of one network but its graph work."""
    for name in (None, *peers):
        findings.runs.append(run_ours(subject) if name is None else run_peer(name, subject))
        print(findings.runs[-1], flush=True)
    checkpoint = load_pretrained(subject.weights, variant=subject.variant)
    images = torch.from_numpy(subject.material.images("calibration").copy())
    batches = images.split(batch_size_for(subject.side))
    findings.speeds[subject.variant] = measure_speed(checkpoint.model, batches, turns)
    findings.decodings[subject.variant] = measure_decoding(
        checkpoint.model, subject.calibration, checkpoint.preprocess, turns
    )


def main() -> None:
    """Measure and write tables and JSON."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--variant", action="append", choices=VARIANTS, help="only these; all by default")
    parser.add_argument("--weights", help="of B0; random without")
    parser.add_argument("--data", help="images for B0; drawn without")
    parser.add_argument("--calibration", action="append", default=[], metavar="VARIANT=N", help="images")
    parser.add_argument(
        "--peer", action="append", choices=(*PEERS, "none"), help=f"{', '.join(DEFAULT_PEERS)} by default"
    )
    parser.add_argument("--turns", type=int, default=TURNS, help=f"{TURNS} by default")
    parser.add_argument("--name", default="pipeline", help="of the results' files")
    parser.add_argument("--add", action="store_true", help="to the other networks of the results that are there")
    options = parser.parse_args()
    keep_freed_memory()
    peers = [name for name in options.peer or DEFAULT_PEERS if name != "none"]
    counts = {name: int(count) for name, count in (pair.split("=") for pair in options.calibration)}
    variants = options.variant or VARIANTS
    findings = Findings()
    if options.add:
        findings = Findings.from_json(json.loads((RESULTS / f"{options.name}.json").read_text())).without(variants)
    for variant in variants:
        findings.graph_work[variant] = [measure_graph_work(variant) for _ in range(options.turns)]
    for variant in variants:
        # Toolchains need it: of B7 they take more than a small network's tables leave.
        give_back_freed_memory()
        own = variant == "b0"
        with tempfile.TemporaryDirectory() as temporary:
            subject = make_subject(
                variant,
                str(Path(options.weights).resolve()) if own and options.weights else None,
                options.data if own else None,
                counts.get(variant, DEFAULT_CALIBRATION),
                Path(temporary, variant),
            )
            measure(subject, peers, options.turns, findings)
        # After each: the larger networks take long, and what was measured before them is worth keeping.
        write_tables(
            options.name, "What quantizing takes", findings.tables(), findings.versions(), data=findings.to_json()
        )


if __name__ == "__main__":
    main()
