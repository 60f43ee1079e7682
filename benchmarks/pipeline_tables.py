"""The tables of `benchmarks/pipeline.py`, and the same figures for machines."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass, field
from typing import Any

from calibration_speed import Speed
from decoding import Decoding
from graph_work import GraphWork
from tables import Table, versions_of

STAGES = ("load", "export", "quantize", "analyze", "lower", "evaluate", "total")
"""Of a `quantize` run."""

_GIB = 2**30


@dataclass(frozen=True, kw_only=True)
class Run:
    """One toolchain on one network."""

    variant: str
    toolchain: str
    images: int
    to_program_s: float
    """From the float network to the program's file."""
    whole_s: float
    """The process, from start to end."""
    peak_bytes: int
    stages: dict[str, float]
    """Seconds by stage; of `quantize` alone."""
    versions: dict[str, str]

    def __str__(self) -> str:
        return (
            f"{self.variant}, {self.toolchain}: {self.to_program_s:.1f} of {self.whole_s:.1f} s, "
            f"{self.peak_bytes / _GIB:.2f} GiB"
        )


@dataclass(frozen=True, kw_only=True)
class Findings:
    """Everything measured; by variant, but for the runs."""

    runs: list[Run] = field(default_factory=list)
    graph_work: dict[str, list[GraphWork]] = field(default_factory=dict)
    speeds: dict[str, Speed] = field(default_factory=dict)
    decodings: dict[str, Decoding] = field(default_factory=dict)

    @classmethod
    def from_json(cls, values: dict[str, Any]) -> Findings:
        """Read what `to_json` gave; ratios are computed again."""
        return cls(
            runs=[Run(**run) for run in values["runs"]],
            graph_work={
                variant: [GraphWork(**work) for work in runs] for variant, runs in values["graph_work"].items()
            },
            speeds={
                variant: Speed(plain=tuple(found["plain"]), calibration=tuple(found["calibration"]))
                for variant, found in values["calibration"].items()
            },
            decodings={
                variant: Decoding(**{key: value for key, value in found.items() if key != "hidden"})
                for variant, found in values["decoding"].items()
            },
        )

    def without(self, variants: Sequence[str]) -> Findings:
        """Leave out networks that are to be measured again."""
        return Findings(
            runs=[run for run in self.runs if run.variant not in variants],
            **{
                name: {variant: found for variant, found in getattr(self, name).items() if variant not in variants}
                for name in ("graph_work", "speeds", "decodings")
            },
        )

    def tables(self) -> list[Table]:
        """Return all of it as tables, small networks first."""
        runs = sorted(self.runs, key=lambda run: run.variant)
        return [
            _toolchains(runs),
            _stages(runs),
            *(
                table(dict(sorted(found.items())))
                for table, found in (
                    (_graph_work, self.graph_work),
                    (_speeds, self.speeds),
                    (_decodings, self.decodings),
                )
            ),
        ]

    def versions(self) -> str:
        """Return what the peers' packages are."""
        return versions_of(run.versions for run in self.runs) or "no peers"

    def to_json(self) -> dict[str, Any]:
        """Return the same for machines."""
        return {
            "runs": [asdict(run) for run in self.runs],
            "graph_work": {variant: [asdict(work) for work in runs] for variant, runs in self.graph_work.items()},
            "calibration": {v: asdict(speed) | {"ratios": speed.ratios} for v, speed in self.speeds.items()},
            "decoding": {v: asdict(found) | {"hidden": found.hidden} for v, found in self.decodings.items()},
        }


def _toolchains(runs: Sequence[Run]) -> Table:
    """Seconds and memory, with the ratio to this project's on the same network."""
    ours = {run.variant: run for run in runs if run.stages}
    rows = [
        [
            f"{run.variant.upper()}, {run.toolchain}",
            str(run.images),
            f"{run.to_program_s:.0f}",
            f"{run.to_program_s / ours[run.variant].to_program_s:.2f}",
            f"{run.whole_s:.0f}",
            f"{run.peak_bytes / _GIB:.2f}",
        ]
        for run in runs
    ]
    columns = ("", "images", "to the program, s", "of ours", "whole process, s", "peak, GiB")
    return Table(columns=columns, rows=rows, caption="Toolchains. The whole process of ours also evaluates.")


def _stages(runs: Sequence[Run]) -> Table:
    """Seconds of the stages of `quantize`."""
    rows = [
        [run.variant.upper(), str(run.images), *(f"{run.stages[stage]:.1f}" for stage in STAGES)]
        for run in runs
        if run.stages
    ]
    return Table(columns=("", "images", *STAGES), rows=rows, caption="`quantize`, seconds by stage.")


def _graph_work(works: dict[str, list[GraphWork]]) -> Table:
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


def _speeds(speeds: dict[str, Speed]) -> Table:
    """Calibration against plain inference."""
    return Table(
        columns=("", "plain, images/s", "calibration, images/s", "ratio", "spread"),
        rows=[[variant.upper(), *speed.cells()] for variant, speed in speeds.items()],
        caption="Calibration (all passes that choose ranges) and plain eager inference, medians of turns.",
    )


def _decodings(decodings: dict[str, Decoding]) -> Table:
    """Decoding and the float network, apart and together."""
    return Table(
        columns=("", "images", "decoding, s", "network, s", "together, s", "hidden, %"),
        rows=[[variant.upper(), *decoding.cells()] for variant, decoding in decodings.items()],
        caption="Decoding calibration images beside the float network, least of the turns.",
    )
