"""Systems on a chip that executorch 1.4.1 lowers to, with the generation of their HTP."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Soc:
    """One of them."""

    number: int
    """By which Qualcomm's libraries know it."""
    generation: int
    """Of its HTP, such as 79 for v79."""


SOCS: Mapping[str, Soc] = {
    "SM8350": Soc(30, 68),
    "SM8450": Soc(36, 69),
    "SM8475": Soc(42, 69),
    "SM8550": Soc(43, 73),
    "SM8650": Soc(57, 75),
    "SM8750": Soc(69, 79),
    "SM8845": Soc(97, 81),
    "SM8850": Soc(87, 81),
    "SA8255": Soc(52, 73),
    "SA8295": Soc(39, 68),
    "SA8797": Soc(72, 81),
    "QCM6490": Soc(93, 68),
    "QCS9100": Soc(77, 73),
    "SAR2230P": Soc(95, 81),
    "SSG2115P": Soc(46, 73),
    "SSG2125P": Soc(58, 73),
    "SW6100": Soc(96, 81),
    "SXR1230P": Soc(45, 73),
    "SXR2230P": Soc(53, 69),
    "SXR2330P": Soc(75, 79),
}
"""By name; source: executorch `backends/qualcomm/serialization/qc_schema.py`."""

DEFAULT_SOC = "SM8750"

FP16_FROM = 69
"""Generation from which the HTP computes in float16."""


def refuses(precision: str, soc: str) -> str | None:
    """Why a precision is nothing for a chip; None where it is."""
    if precision != "fp16" or SOCS[soc].generation >= FP16_FROM:
        return None
    others = ", ".join(name for name, chip in SOCS.items() if chip.generation >= FP16_FROM)
    return (
        f"--backend qnn:fp16: the HTP of {soc} (v{SOCS[soc].generation}) computes in whole numbers only; choose "
        f"qnn:w8a8 or qnn:w16a8, or a --soc that has float16: {others}."
    )
