"""The stage that judges: from what a program put out to its outcome."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from quant.analysis.fallback_cost import FloatLayer, float_layers
from quant.analysis.layer_report import LayerReport
from quant.checks.program_identity import check_programs
from quant.common.findings import Finding
from quant.common.progress import Stopwatch
from quant.common.subsample import subsample
from quant.graph.footprint import Footprint, check_footprint
from quant.lower.choices import Choice, reports_on
from quant.pipeline.evaluate import FLOAT, Evaluated
from quant.pipeline.int8_graphs import Int8Graphs, Trained
from quant.pipeline.load import Calibration, Loaded
from quant.pipeline.programs import Program, Programs
from quant.pipeline.request import Request
from quant.program.reader import parse_pte
from quant.ptq.quantizers import PLACEMENTS
from quant.verdict.assemble import assemble
from quant.verdict.outcome import Evidence, Outcome, Simulated


@dataclass(frozen=True, kw_only=True, slots=True)
class Run:
    """Everything that was made and found out, before anything is judged or written."""

    request: Request
    network: Loaded
    int8: Int8Graphs
    trained: Trained | None
    layers: Mapping[str, Sequence[LayerReport]]
    """The analysis by placement, where there is one."""
    programs: Programs
    evaluated: Evaluated
    footprint: Footprint
    calibration: Calibration
    """The images that ranges were fitted on."""
    watch: Stopwatch
    """Of the stages."""

    def layers_of(self, choice: Choice) -> Sequence[LayerReport]:
        """The analysis of a program's network; empty where there is none."""
        return () if choice.placement is None else self.layers.get(choice.placement, ())

    def device_findings(self, program: Program) -> tuple[Finding, ...]:
        """What a program asks too much of a phone, and what is known against those that run it."""
        too_much = check_footprint(self.footprint, len(program.lowered.data))
        return (*too_much, *reports_on(program.choice.backend.name))


def judge(run: Run, program: Program, artifact: str) -> Outcome:
    """Judge one of `run.programs` that this host runs; `artifact` is the path of its folder.

    Raises:
        InputError: a broken program.
    """
    request, network, choice, logits = run.request, run.network, program.choice, run.evaluated.logits
    rows = subsample(len(network.split.evaluation), choice.backend.images)
    data = {"pte" if request.alone else choice.name: program.lowered.data}
    if request.alone:
        data["float"] = run.programs.float.data
    dead = check_programs({name: parse_pte(file, name) for name, file in data.items()})
    return assemble(
        Evidence(
            task=request.task,
            artifact=artifact,
            variant=request.spec.name,
            activation=request.final_activation,
            # Where none was applied, the precision.
            recipe=request.recipe.name if choice.placement is not None else choice.precision,
            backend=choice.backend.name,
            threads=request.config.threads,
            # On the images that the program saw.
            logits={
                **{name: logits[name][rows] for name in (FLOAT, "swapped", "ptq") if name in logits},
                "pte": logits[choice.name],
            },
            simulated=_simulated(run, choice, rows),
            images=[network.split.evaluation[i] for i in rows],
            class_names=network.class_names,
            float_program=run.evaluated.measured[FLOAT].figures,
            pte_program=run.evaluated.measured[choice.name].figures,
            delegation=program.lowered.delegation,
            calibration_images=len(network.split.calibration) if choice.placement else 0,
            search=run.int8.search,
            training=None if run.trained is None else run.trained.report,
            layers=run.layers_of(choice),
            float_layers=_float_layers(run, choice),
            findings=(
                *dead,
                *network.findings,
                *run.calibration.findings,
                *run.int8.findings,
                *run.evaluated.findings,
                *run.device_findings(program),
            ),
            seconds=run.watch.total(),
            program=hashlib.sha256(program.lowered.data).hexdigest(),
            temperature=run.evaluated.temperature,
        ),
        request.limits,
    )


def _simulated(run: Run, choice: Choice, rows: Sequence[int]) -> Simulated | None:
    """What the quantized network gave, of the images that the program saw too."""
    if choice.placement is None:
        return None
    logits = run.evaluated.logits[choice.placement]
    at = {image: row for row, image in enumerate(subsample(len(run.network.split.evaluation), len(logits)))}
    both = [place for place, image in enumerate(rows) if image in at]
    return Simulated(rows=both, logits=logits[[at[rows[place]] for place in both]])


def _float_layers(run: Run, choice: Choice) -> tuple[FloatLayer, ...]:
    placement = choice.placement
    if placement is None or not PLACEMENTS[placement].to_the_bit:
        return ()
    quantized = run.int8.by_placement[placement]
    reason = "the search for the target" if run.int8.search else f"recipe {run.request.recipe.name}"
    return float_layers(quantized.reference, quantized.converted, reason=reason)
