"""Quantization recipes: every choice that changes what a program computes, under a name."""

from __future__ import annotations

from dataclasses import asdict, dataclass, replace
from typing import Any

from edge_effnet.errors import InputError
from quant.thresholds import PLAIN_SHARE

RANGE_METHODS = ("loss-aware", "histogram", "minmax")


@dataclass(frozen=True, kw_only=True, slots=True)
class Recipe:
    """One way to quantize.

    Names decode from left to right: precision (`int8`: static int8 activations, one scale a tensor, and int8
    weights, one scale an output channel), then what departs from that precision's best default.
    """

    name: str
    summary: str
    """One line for `--help` and the report."""
    ranges: str = "loss-aware"
    """How activation ranges are found on the calibration images: one of `RANGE_METHODS`."""
    plain_share: float = PLAIN_SHARE
    """Part of the plain squared error in the loss-aware one, 0..1. Equalized pre-activations have long tails that
    no logit depends on: they need less of it."""
    reconstruct: bool = False
    """Whether layers are refitted, one after the other, to their quantized inputs."""
    equalized: int = 0
    """Behind how many convolutions, of those that `quant.ptq.equalize.equalizable` names, channels are equalized."""
    grouped: float = 0.0
    """Instructions that groups of channels of like range may add, as a share of the int8 network's without them. They
    are spent where the logits gain most, behind convolutions that `quant.ptq.channel_groups.groupable` names."""
    grouped_bytes: float = 0.0
    """Bytes that they may add, as a share of the int8 weights'."""
    float_convolutions: int = 0
    """How many convolutions, counted from the input, stay in float with their activations."""
    searches: bool = False
    """Whether a target given (`--max-drop`, `--min-agreement`) lets it keep more layers in float until it is met."""
    trains: bool = False
    """Whether the network is then trained in int8 (`quant.qat`)."""

    def to_json(self) -> dict[str, Any]:
        """What a manifest says of it; `repair` is the name that manifests have for reconstruction."""
        values = asdict(self)
        return {"name": self.name, "repair": values.pop("reconstruct"), **values}

    def __post_init__(self) -> None:
        if self.ranges not in RANGE_METHODS:
            raise InputError(f"unknown ranges {self.ranges!r}; choose one of: {', '.join(RANGE_METHODS)}.")
        for field in ("equalized", "grouped", "grouped_bytes", "float_convolutions"):
            if getattr(self, field) < 0:
                raise InputError(f"{field} {getattr(self, field)}: need 0 or more.")


_INT8 = Recipe(
    name="int8",
    plain_share=1e-6,
    reconstruct=True,
    grouped=0.11,
    # An int8 file is to stay within 27 % of float's.
    grouped_bytes=0.016,
    searches=True,
    summary="near-lossless: ranges by loss, reconstructed, channel groups; the same bits on every processor",
)

RECIPES: dict[str, Recipe] = {
    recipe.name: recipe
    for recipe in (
        _INT8,
        replace(
            _INT8,
            name="int8-float-stem",
            # They see the widest ranges of the network.
            float_convolutions=2,
            grouped_bytes=0.014,
            summary="stem and first depthwise convolution in float: up to a decibel more, 13 % more ARM instructions",
        ),
        Recipe(
            name="int8-strict",
            plain_share=1e-6,
            reconstruct=True,
            # Stem and first expansion: where channels' ranges differ most.
            equalized=2,
            summary="no layer in float or split, whatever the target: stem and first expansion equalized instead",
        ),
        replace(
            _INT8,
            name="int8-groups",
            searches=False,
            summary="the default's network, and no layer in float whatever the target",
        ),
        Recipe(
            name="qat-int8",
            reconstruct=True,
            trains=True,
            summary="quantization-aware training from the reconstructed network, no layer in float",
        ),
        Recipe(
            name="int8-fast",
            reconstruct=True,
            summary="fewest instructions: ranges by loss, reconstructed, nothing split and nothing in float",
        ),
        Recipe(name="int8-histogram", ranges="histogram", summary="the stock observer's ranges, a baseline"),
        Recipe(
            name="int8-minmax", ranges="minmax", summary="ranges that hold every value seen, a cautionary baseline"
        ),
    )
}

DEFAULT_RECIPE = "int8"


def find_recipe(name: str) -> Recipe:
    """Look a recipe up.

    Raises:
        InputError: no such recipe; the message lists the choices.
    """
    if name not in RECIPES:
        raise InputError(f"unknown recipe {name!r}; choose one of: {', '.join(RECIPES)}.")
    return RECIPES[name]
