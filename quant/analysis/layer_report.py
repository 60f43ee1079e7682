"""What is known of one layer of a quantized network, and how it is kept in layers.json."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any

BROKEN_SQNR_DB = 10.0
"""Of a program that failed, the first layer whose output is below this is named as where the signal was lost. It
fails no program: outputs in a near-lossless B0 stay above 11 dB."""

_DIGITS = {"seen": 5, "grid": 5, "clipped": 7, "sqnr_db": 3, "noise": 9, "noise_share": 7, "estimated_ms": 5}
"""Decimals of the figures in JSON."""


@dataclass(frozen=True, kw_only=True, slots=True)
class LayerReport:
    """One activation of the network, from input to output."""

    node: str
    """Name in the exported graph."""
    layer: str
    """Module that computes it, such as `stages.1.0.expand.conv`."""
    operator: str
    """What computes it there: convolution, sigmoid, product, ..."""
    precision: str
    """`int8` or `float`."""
    seen: tuple[float, float]
    """Smallest and largest value on the images."""
    grid: tuple[float, float] | None
    """What the int8 grid covers; None in float."""
    clipped: float | None
    """Share of the values outside the grid; None in float."""
    sqnr_db: float
    """The int8 stream against the float one, here."""
    noise: float
    """What quantizing this tensor alone does to the logits: sum of squares over the images, first order."""
    noise_share: float
    """Part of the first-order noise in the logits that this tensor's own quantization makes, 0..1."""
    estimated_ms: float | None = None
    """Of the operator in its precision, by `quant.graph.latency_model`; None in analyses of earlier versions."""

    @property
    def group(self) -> str:
        """Which of the two groups of channels it is of, in words; empty where channels are not split."""
        # As `quant.ptq.channel_groups` names them.
        found = re.search(r"_g([01])$", self.node)
        return f"group {int(found[1]) + 1} of 2" if found else ""

    @property
    def operation(self) -> str:
        """What computes it, and which of the groups of its channels it is."""
        return ", ".join(filter(None, (self.operator, self.group)))


def outputs_of(reports: Sequence[LayerReport]) -> list[LayerReport]:
    """What each layer hands on, in their order: of its channels' groups the worst.

    What SiLU reads inside a layer may be worse in a program that passes, since ranges clip the negative values that
    SiLU makes zero.
    """
    last = {_unit(report): report for report in reports}
    ends = {unit: (report.layer, report.operator) for unit, report in last.items()}
    worst: dict[str, LayerReport] = {}
    for report in sorted(reports, key=lambda report: report.sqnr_db):
        if (report.layer, report.operator) == ends[_unit(report)]:
            worst.setdefault(_unit(report), report)
    return [worst[unit] for unit in last]


def first_broken(reports: Sequence[LayerReport]) -> LayerReport | None:
    """Return the first activation below `BROKEN_SQNR_DB` of a layer whose output is below it; None without any."""
    lost = {_unit(report) for report in outputs_of(reports) if report.sqnr_db < BROKEN_SQNR_DB}
    return next((report for report in reports if report.sqnr_db < BROKEN_SQNR_DB and _unit(report) in lost), None)


def _unit(report: LayerReport) -> str:
    """A convolution and the activation behind it, or a squeeze-excite: `stem`, `stages.1.0.expand`."""
    parts = report.layer.split(".")
    return ".".join(parts[:4] if parts[0] == "stages" else parts[:1])


def reports_json(reports: Sequence[LayerReport]) -> list[dict[str, Any]]:
    """Return the reports as JSON types, figures rounded to what they mean."""
    rows = []
    for report in reports:
        row = asdict(report)
        for name, digits in _DIGITS.items():
            value = row[name]
            if isinstance(value, tuple):
                row[name] = [round(part, digits) for part in value]
            elif value is not None:
                row[name] = round(value, digits)
        rows.append(row)
    return rows


def reports_from_json(rows: Sequence[dict[str, Any]]) -> list[LayerReport]:
    """Read what `reports_json` gave (`layers.schema.json`)."""
    reports = []
    for row in rows:
        pairs = {name: tuple(row[name]) for name in ("seen", "grid") if row[name] is not None}
        reports.append(LayerReport(**(row | pairs)))
    return reports
