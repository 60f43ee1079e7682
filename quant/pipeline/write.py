"""The stage that writes: an artifact folder for each program, and of several the page that compares them."""

from __future__ import annotations

import json
import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import torch

from edge_effnet.errors import InputError
from quant.artifact.bundle import bundle_program, verify_bundle
from quant.artifact.golden import golden_images, golden_pairs
from quant.artifact.model import Artifact
from quant.artifact.recognise import require_replaceable
from quant.artifact.write import write_artifact
from quant.common.atomic_io import atomic_folder
from quant.common.findings import Severity, messages
from quant.lower.choices import Choice
from quant.pipeline.evaluate import FLOAT
from quant.pipeline.judge import Run, judge
from quant.pipeline.manifest import describe
from quant.pipeline.programs import Program
from quant.pipeline.results import FAILED, MEASURED, MISSING, NOT_HERE, ProgramRow, RunOutcome, ranked
from quant.report.comparison import opened, render_comparison
from quant.report.single import Sources, render_report
from quant.verdict.outcome import Outcome, fidelity_json


def write_one(run: Run) -> tuple[Artifact, Outcome]:
    """Judge the one program of a run and write its artifact."""
    (program,) = run.programs.chosen
    outcome = judge(run, program, str(run.request.out))
    return _write(run, program, run.request.out, outcome.to_json()), outcome


def write_many(run: Run) -> RunOutcome:
    """Judge every program that this host runs, and write all artifacts into one folder, whole or not at all."""
    request = run.request
    with atomic_folder(request.out) as folder:
        with run.watch.measure("write"):
            failed = {**run.programs.failed, **run.evaluated.failed}
            whole = [program for program in run.programs.chosen if program.choice.name not in failed]
            rows = _rows(run, whole, folder, failed)
            _share_float_program([folder / row.name / "float.pte" for row in rows])
        outcome = RunOutcome(
            folder=str(request.out),
            variant=request.spec.name,
            recipe=request.recipe.name,
            rows=ranked([*rows, *_without_program(request.choices, failed)]),
            findings=(*run.network.findings, *run.int8.findings, *run.evaluated.findings),
            seconds=run.watch.total(),
        )
        (folder / "fleet.json").write_text(json.dumps(outcome.to_json(), indent=2) + "\n")
        (folder / "report.html").write_bytes(render_comparison(opened([folder]), beside=folder))
        # Minutes have passed.
        require_replaceable(request.out)
    return outcome


def _rows(run: Run, programs: Sequence[Program], folder: Path, failed: dict[str, str]) -> list[ProgramRow]:
    """Judge and write each program; one whose emulator ends meanwhile is added to those that failed."""
    rows = []
    for program in programs:
        try:
            rows.append(_row(run, program, folder))
        except InputError as error:
            if program.choice.backend.emulated is None:
                raise
            failed[program.choice.name] = str(error)
    return rows


def _row(run: Run, program: Program, folder: Path) -> ProgramRow:
    choice, logits = program.choice, run.evaluated.logits
    outcome, simulated, reason = None, None, ""
    measured, artifact = choice.name in run.evaluated.measured, str(run.request.out / choice.name)
    if measured:
        outcome = judge(run, program, artifact)
        verdict = outcome.to_json()
    else:
        reason = f"not measured here: runs on {choice.backend.devices} only"
        if choice.placement is not None:
            simulated = run.network.task.fidelity(logits[FLOAT], logits[choice.placement])
        verdict = {
            "verdict": NOT_HERE,
            "reasons": [reason],
            "artifact": artifact,
            "float": {"size_bytes": len(run.programs.float.data)},
            "pte": {"size_bytes": len(program.lowered.data)},
            "simulated": None if simulated is None else fidelity_json(simulated),
        }
    _write(run, program, folder / choice.name, verdict)
    return ProgramRow(
        name=choice.name,
        backend=choice.backend.name,
        precision=choice.precision,
        devices=choice.backend.devices,
        status=MEASURED if measured else NOT_HERE,
        reason=reason,
        size_bytes=len(program.lowered.data),
        report=program.delegation,
        outcome=outcome,
        simulated=simulated,
        simulated_images=None if simulated is None else len(logits[FLOAT]),
        bundle="verified here" if measured and not program.lowered.reference else "written, not run here",
        warnings=messages(run.device_findings(program), *Severity),
    )


def _write(run: Run, program: Program, folder: Path, verdict: dict[str, Any]) -> Artifact:
    network, choice, logits = run.network, program.choice, run.evaluated.logits
    measured, pixels = run.evaluated.measured.get(choice.name), run.request.config.embed_preprocess
    expected = logits[choice.placement or ("swapped" if "swapped" in logits else FLOAT)]
    # Of a program that does not run here: what the graph gives that it was made from.
    golden = golden_pairs(
        network.split.evaluation,
        network.preprocess,
        lambda x, rows: (
            program.output.values(network.task.logits(expected[rows])) if measured is None else measured.run(x)
        ),
        run.evaluated.measured[FLOAT].run,
        takes_pixels=pixels,
    )
    compute = torch.no_grad()(program.graph) if measured is None else measured.run
    bundle = bundle_program(program.lowered.data, golden, int8_output=program.output.int8)
    if measured is not None and not program.lowered.reference:
        verify_bundle(measured.runtime, bundle, len(golden))
    layers = list(run.layers_of(choice))
    return write_artifact(
        folder,
        model=program.lowered.data,
        float_model=run.programs.float.data,
        classes=network.output_names,
        golden=golden,
        images=golden_images(network.preprocess, compute, takes_pixels=pixels),
        layers=layers,
        manifest=describe(run, program, verdict),
        extra={
            "model.bpte": bundle,
            **{f"model{suffix}": data for suffix, data in program.lowered.reference.items()},
            "delegation.json": (json.dumps(program.delegation.to_json(), indent=1) + "\n").encode(),
        },
        report=lambda manifest: render_report(
            manifest, Sources(layers=layers, delegation=program.delegation, images=network.split.evaluation)
        ),
    )


def _share_float_program(paths: Sequence[Path]) -> None:
    """Let all artifacts share one float.pte on the disk, where it can."""
    for path in paths[1:]:
        link = path.with_suffix(".link")
        try:
            os.link(paths[0], link)
        except OSError:
            return
        link.replace(path)


def _without_program(choices: Sequence[Choice], failed: Mapping[str, str]) -> list[ProgramRow]:
    """Say what a backend that was asked for lacks here, or why it made no program."""
    return [
        ProgramRow(
            name=choice.name,
            backend=choice.backend.name,
            precision=choice.precision,
            devices=choice.backend.devices,
            status=MISSING if choice.missing else FAILED,
            reason=reason,
        )
        for choice in choices
        if (reason := choice.missing or failed.get(choice.name)) is not None
    ]
