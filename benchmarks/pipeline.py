"""What `quantize` takes, stage by stage and B0 to B7, against other toolchains on the same network and photographs.

    pip install -e ".[benchmarks]"      (in an environment of its own)
    python benchmarks/pipeline.py --weights B0.pth --data DIR [--variant b0 ...] [--calibration b7=16] [--peer ...]

Four tables: seconds and memory of each toolchain; seconds of each stage of `quantize`; graph rewriting by number of
layers; photographs a second in calibration as a share of plain eager inference. Weights and photographs given are
B0's; the other variants have random weights and drawn pictures at their own image size. `quantize` is timed as users
run it, a process from start to end, with the evaluation that the peers do not do; "to the program" is the part that
they do too. Memory is the sum over the processes. Writes `benchmarks/results/pipeline.md` and `.json`.
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import sys
import tempfile
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import torch
from calibration_speed import Speed, measure_speed
from graph_work import GraphWork, measure_graph_work
from peers.table import PEERS
from pipeline_material import Subject, make_subject
from process_tree import Finished, run_watched
from tables import Table, write_tables

from apps.cli.allocator import keep_freed_memory
from edge_effnet.weights import load_pretrained
from quant.batches import batch_size_for
from quant.tolerances import DEFAULT_CALIBRATION

VARIANTS = ("b0", "b1", "b2", "b3", "b4", "b5", "b6", "b7")

OWN_PEERS = tuple(name for name in PEERS if name != "nncf-accuracy-control")

STAGES = ("load", "export", "quantize", "analyze", "lower", "evaluate", "total")
"""Of a `quantize` run."""

TO_PROGRAM = ("export", "quantize", "lower")
"""What peers do too: from the float network to the program's file."""

TURNS = 3
"""Of the calibration speed, and runs of the graph rewriting."""

_GIB = 2**30


@dataclass(frozen=True, kw_only=True)
class Run:
    """One toolchain on one network."""

    variant: str
    toolchain: str
    photographs: int
    to_program_s: float
    whole_s: float
    """The process, from start to end."""
    peak_bytes: int
    stages: dict[str, float]
    """Seconds by stage; of `quantize` alone."""
    versions: dict[str, str]


def run_ours(subject: Subject, calibration: int) -> Run:
    """Time one `quantize` as users run it."""
    folder = subject.material.folder
    command = [
        sys.executable, "-m", "apps.cli.quantize", "--variant", subject.variant, "--weights", subject.weights,
        "--data", subject.data, "--calibration", str(calibration), "--out", str(folder / "ours"), "--json",
    ]  # fmt: skip
    log = folder / "ours.log"
    done = run_watched(command, _environment(), log)
    if done.returncode not in (0, 1):  # a random network may well fail its verdict
        raise SystemExit(f"{' '.join(command)}: exit code {done.returncode}\n{log.read_text()[-2000:]}")
    stages: dict[str, float] = json.loads(done.output)["seconds"]
    return _run(subject, calibration, "this project", done, sum(stages[s] for s in TO_PROGRAM), stages, {})


def run_peer(name: str, subject: Subject, calibration: int) -> Run:
    """Time one peer's own quantization."""
    material = subject.material
    command = [
        sys.executable, "-m", "peers.child", name, str(material.folder), material.variant, material.weights
    ]  # fmt: skip
    log = material.folder / f"{name}.log"
    done = run_watched(command, _environment(), log)
    if done.returncode:
        raise SystemExit(f"{name}: exit code {done.returncode}\n{log.read_text()[-2000:]}")
    figures = json.loads((material.folder / name / "figures.json").read_text())
    return _run(subject, calibration, figures["title"], done, figures["seconds"], {}, figures["versions"])


def _run(
    subject: Subject,
    calibration: int,
    toolchain: str,
    done: Finished,
    to_program_s: float,
    stages: dict[str, float],
    versions: dict[str, str],
) -> Run:
    run = Run(
        variant=subject.variant,
        toolchain=toolchain,
        photographs=calibration,
        to_program_s=to_program_s,
        whole_s=done.seconds,
        peak_bytes=done.peak_bytes,
        stages=stages,
        versions=versions,
    )
    print(f"{run.variant} {run.toolchain}: {run.to_program_s:.1f} s, {run.peak_bytes / _GIB:.2f} GiB", flush=True)
    return run


def _environment() -> dict[str, str]:
    return os.environ | {"PYTHONPATH": os.pathsep.join([str(Path(__file__).parent), *sys.path])}


def toolchain_table(runs: Sequence[Run]) -> Table:
    """Seconds and memory, with the ratio to this project's on the same network."""
    ours = {run.variant: run for run in runs if run.stages}
    rows = [
        [
            f"{run.variant.upper()}, {run.toolchain}",
            str(run.photographs),
            f"{run.to_program_s:.0f}",
            f"{run.to_program_s / ours[run.variant].to_program_s:.2f}",
            f"{run.whole_s:.0f}",
            f"{run.peak_bytes / _GIB:.2f}",
        ]
        for run in runs
    ]
    columns = ("", "photographs", "to the program, s", "of ours", "whole process, s", "peak, GiB")
    return Table(columns=columns, rows=rows, caption="Toolchains. The whole process of ours also evaluates.")


def stage_table(runs: Sequence[Run]) -> Table:
    """Seconds of the stages of `quantize`."""
    rows = [
        [run.variant.upper(), str(run.photographs), *(f"{run.stages[stage]:.1f}" for stage in STAGES)]
        for run in runs
        if run.stages
    ]
    return Table(columns=("", "photographs", *STAGES), rows=rows, caption="`quantize`, seconds by stage.")


def graph_table(works: dict[str, list[GraphWork]]) -> Table:
    """Graph rewriting: the run with the median total, and the spread of the totals."""
    rows = []
    for variant, runs in works.items():
        ordered = sorted(runs, key=lambda work: work.total)
        spread = f"{ordered[0].total:.1f}-{ordered[-1].total:.1f}"
        rows.append([variant.upper(), *ordered[len(ordered) // 2].cells(), spread])
    steps = next(iter(works.values()))[0].seconds
    return Table(
        columns=("", "layers", *steps, "total, s", "ms a layer", "spread, s"),
        rows=rows,
        caption="Rewriting the graph, seconds; the input is so small that the network itself takes no time.",
    )


def speed_table(speeds: dict[str, Speed]) -> Table:
    """Calibration against plain inference."""
    return Table(
        columns=("", "plain, photographs/s", "calibration, photographs/s", "ratio", "spread"),
        rows=[[variant.upper(), *speed.cells()] for variant, speed in speeds.items()],
        caption="Calibration (all passes that choose ranges) and plain eager inference, medians of turns.",
    )


def measure_calibration(subject: Subject) -> Speed:
    """Compare on the subject's own network and photographs."""
    model = load_pretrained(subject.weights, variant=subject.variant).model
    photographs = torch.from_numpy(subject.material.photographs("calibration").copy())
    return measure_speed(model, photographs.split(batch_size_for(subject.side)), TURNS)


def _counts(pairs: Sequence[str]) -> dict[str, int]:
    return {name: int(count) for name, count in (pair.split("=") for pair in pairs)}


def main() -> None:
    """Measure and write tables and JSON."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--variant", action="append", choices=VARIANTS, help="only these; all by default")
    parser.add_argument("--weights", help="of B0; random without")
    parser.add_argument("--data", help="photographs for B0; drawn without")
    parser.add_argument("--calibration", action="append", default=[], metavar="VARIANT=N", help="photographs")
    parser.add_argument("--peer", action="append", choices=(*OWN_PEERS, "none"), help="only these; all by default")
    parser.add_argument("--name", default="pipeline", help="of the results' files")
    options = parser.parse_args()
    keep_freed_memory()
    peers = [name for name in options.peer or OWN_PEERS if name != "none"]
    counts, variants = _counts(options.calibration), options.variant or VARIANTS
    works = {variant: [measure_graph_work(variant) for _ in range(TURNS)] for variant in variants}
    runs: list[Run] = []
    speeds: dict[str, Speed] = {}
    for variant in variants:
        given = variant == "b0"
        photographs = counts.get(variant, DEFAULT_CALIBRATION)
        with tempfile.TemporaryDirectory() as temporary:
            weights = str(Path(options.weights).resolve()) if given and options.weights else None
            data = options.data if given else None
            subject = make_subject(variant, weights, data, photographs, Path(temporary, variant))
            runs.append(run_ours(subject, photographs))
            runs += [run_peer(name, subject, photographs) for name in peers]
            speeds[variant] = measure_calibration(subject)
    write_tables(
        options.name,
        "What quantizing takes",
        [toolchain_table(runs), stage_table(runs), graph_table(works), speed_table(speeds)],
        ", ".join(f"{package} {number}" for run in runs for package, number in run.versions.items()) or "no peers",
        data=_data(runs, works, speeds),
    )


def _data(runs: Sequence[Run], works: dict[str, list[GraphWork]], speeds: dict[str, Speed]) -> dict[str, Any]:
    return {
        "runs": [asdict(run) for run in runs],
        "graph_work": {variant: [asdict(work) for work in found] for variant, found in works.items()},
        "graph_work_median_s": {v: statistics.median(w.total for w in found) for v, found in works.items()},
        "calibration": {variant: asdict(speed) | {"ratios": speed.ratios} for variant, speed in speeds.items()},
    }


if __name__ == "__main__":
    main()
