"""Judge each program and write its artifact."""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import torch
from torch import fx

from edge_effnet.errors import InputError
from quant.artifact.bundle import bundle_program, verify_bundle
from quant.artifact.golden import golden_images, golden_pairs
from quant.artifact.model import write_artifact
from quant.checks.dead_layers import program_doubts
from quant.common.subsample import subsample
from quant.graph.footprint import phone_warnings
from quant.lower.choices import Choice
from quant.metrics.evaluate import Fidelity, fidelity
from quant.pipeline.fleet_context import Context
from quant.pipeline.fleet_programs import Made
from quant.pipeline.fleet_report import MEASURED, MISSING, NOT_HERE, FleetRow
from quant.pipeline.manifest import describe
from quant.program.host import HostRuntime
from quant.program.reader import parse_pte
from quant.program.timing import Measured
from quant.report.single import Sources, render_report
from quant.verdict.assemble import Evidence, summarize
from quant.verdict.outcome import Outcome


def write_program(
    folder: Path,
    context: Context,
    made: Made,
    measured: Mapping[str, Measured],
    logits: Mapping[str, torch.Tensor],
    graphs: Mapping[str | None, fx.GraphModule],
    runtime: HostRuntime,
    doubts: tuple[str, ...],
) -> FleetRow:
    """Judge one program and write its artifact."""
    choice = made.choice
    program = measured.get(choice.name)
    placement = choice.backend.precisions[choice.precision].placement
    expected = logits[placement or ("swapped" if "swapped" in logits else "float")]
    golden = golden_pairs(
        context.images,
        context.network.preprocess,
        # Of a program that does not run here: what the graph gives that it was made from.
        lambda x, rows: expected[rows] if program is None else program.run(x),
        measured["float"].run,
    )
    bundle = bundle_program(made.program.data, golden)
    if program is not None:
        verify_bundle(runtime, bundle, len(golden))
    outcome = None if program is None else _judge(context, made, program, measured["float"], logits, doubts)
    simulated = fidelity(logits["float"], logits[placement]) if placement and program is None else None
    row = FleetRow(
        name=choice.name,
        backend=choice.backend.name,
        precision=choice.precision,
        devices=choice.backend.devices,
        status=NOT_HERE if program is None else MEASURED,
        reason=f"not measured here: runs on {choice.backend.devices} only" if program is None else "",
        size_bytes=len(made.program.data),
        report=made.report,
        outcome=outcome,
        simulated=simulated,
        bundle="verified here" if program is not None else "written, not run here",
        warnings=phone_warnings(context.footprint, len(made.program.data)),
    )
    write_artifact(
        folder / choice.name,
        model=made.program.data,
        float_model=context.float_program.data,
        classes=context.network.class_names,
        golden=golden,
        images=golden_images(
            context.network.preprocess,
            # Of a program that does not run here: what the graph gives that it was made from.
            program.run if program is not None else torch.no_grad()(graphs[placement]),
            takes_pixels=False,
        ),
        layers=[],
        manifest=_manifest(context, made, row, simulated),
        extra={
            "model.bpte": bundle,
            "delegation.json": (json.dumps(made.report.to_json(), indent=1) + "\n").encode(),
        },
        report=lambda manifest: render_report(
            manifest, Sources(layers=(), delegation=made.report, images=context.images)
        ),
    )
    return row


def _judge(
    context: Context,
    made: Made,
    program: Measured,
    float_program: Measured,
    logits: Mapping[str, torch.Tensor],
    doubts: tuple[str, ...],
) -> Outcome:
    choice, request = made.choice, context.request
    rows = subsample(len(context.images), choice.backend.images)
    placement = choice.backend.precisions[choice.precision].placement
    seen = {name: logits[name][rows] for name in ("float", "swapped") if name in logits}
    seen["pte"] = logits[choice.name]
    if placement is not None:
        seen["quantized"] = logits[placement][rows]
    broken = int((~seen["pte"].isfinite().all(dim=1)).sum())
    if broken:
        raise InputError(
            f"{choice.name}: the output for {broken} images is not finite: values beyond what "
            f"{choice.precision} holds; leave this backend out."
        )
    return summarize(
        Evidence(
            artifact=str(request.out / choice.name),
            variant=request.spec.name,
            activation=request.final_activation,
            recipe=_recipe_name(context, choice),
            backend=choice.backend.name,
            threads=request.threads,
            logits=seen,
            images=[context.images[i] for i in rows],
            class_names=context.network.class_names,
            float_program=float_program.figures,
            pte_program=program.figures,
            delegation=made.program.delegation,
            calibration_images=len(context.network.split.calibration) if placement else 0,
            search=None,
            training=None,
            notes=context.notes,
            seconds={"total": 0.0},
            program=hashlib.sha256(made.program.data).hexdigest(),
            doubts=(*doubts, *program_doubts({choice.name: parse_pte(made.program.data, choice.name)})),
        ),
        max_drop=request.max_drop,
        min_agreement=request.min_agreement,
    )


def _recipe_name(context: Context, choice: Choice) -> str:
    """The recipe where one was applied, else the precision."""
    placed = choice.backend.precisions[choice.precision].placement is not None
    return str(context.request.recipe.name) if placed else choice.precision


def _manifest(context: Context, made: Made, row: FleetRow, simulated: Fidelity | None) -> dict[str, Any]:
    choice = made.choice
    if row.outcome is not None:
        verdict = row.outcome.to_json()
    else:
        verdict = {
            "verdict": NOT_HERE,
            "reasons": [row.reason],
            "float": {"size_bytes": len(context.float_program.data)},
            "pte": {"size_bytes": row.size_bytes},
            "simulated": None
            if simulated is None
            else {"agreement": simulated.agreement, "sqnr_db": simulated.sqnr_db},
        }
    complete = describe(context.request, context.network, made.program, verdict, context.calibrated)
    complete |= {"backend": choice.backend.name, "precision": choice.precision}
    if choice.backend.precisions[choice.precision].placement is None:
        complete["recipe"] = {"name": choice.precision, "seed": context.request.seed}
    return complete


def share_float_program(paths: Sequence[Path]) -> None:
    """Let all artifacts share one float.pte on the disk, where it can."""
    for path in paths[1:]:
        link = path.with_suffix(".link")
        try:
            os.link(paths[0], link)
        except OSError:
            return
        link.replace(path)


def missing_row(choice: Choice) -> FleetRow:
    """Say what a backend that was asked for lacks here."""
    assert choice.missing is not None
    return FleetRow(
        name=choice.name,
        backend=choice.backend.name,
        precision=choice.precision,
        devices=choice.backend.devices,
        status=MISSING,
        reason=choice.missing,
    )
