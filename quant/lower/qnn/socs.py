"""Systems on a chip that executorch 1.4.1 lowers to, with the generation of their HTP."""

from __future__ import annotations

from collections.abc import Mapping

SOCS: Mapping[str, int] = {
    "SM8350": 68,
    "SM8450": 69,
    "SM8475": 69,
    "SM8550": 73,
    "SM8650": 75,
    "SM8750": 79,
    "SM8845": 81,
    "SM8850": 81,
    "SA8255": 73,
    "SA8295": 68,
    "SA8797": 81,
    "QCM6490": 68,
    "QCS9100": 73,
    "SAR2230P": 81,
    "SSG2115P": 73,
    "SSG2125P": 73,
    "SW6100": 81,
    "SXR1230P": 73,
    "SXR2230P": 69,
    "SXR2330P": 79,
}
"""By name; source: executorch `backends/qualcomm/serialization/qc_schema.py`."""

DEFAULT_SOC = "SM8750"

FP16_FROM = 69
"""Generation from which the HTP computes in float16."""


def refuses(precision: str, soc: str) -> str | None:
    """Why a precision is nothing for a chip; None where it is."""
    if precision != "fp16" or SOCS[soc] >= FP16_FROM:
        return None
    others = ", ".join(name for name, generation in SOCS.items() if generation >= FP16_FROM)
    return (
        f"--backend qnn:fp16: the HTP of {soc} (v{SOCS[soc]}) computes in whole numbers only; choose qnn:w8a8 or "
        f"qnn:w16a8, or a --soc that has float16: {others}."
    )
