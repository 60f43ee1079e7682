"""Quantization recipes: every choice that changes what a program computes, under a name."""

from __future__ import annotations

from dataclasses import dataclass

from edge_effnet.errors import InputError

RANGE_METHODS = ("loss-aware", "histogram", "minmax")


@dataclass(frozen=True, kw_only=True, slots=True)
class Recipe:
    """One way to quantize.

    Names decode from left to right: precision (`int8`: static int8 activations, one scale a tensor, and int8
    weights, one scale an output channel), then what departs from that precision's best default.
    """

    name: str
    ranges: str
    """How activation ranges are found on the calibration photographs: one of `RANGE_METHODS`."""
    repair: bool
    """Whether layers are refitted, one after the other, to their quantized inputs."""
    float_convolutions: int
    """How many convolutions, counted from the input, stay in float with their activations. The first two see
    the widest ranges of the network and cost the least to keep."""
    summary: str
    """One line for `--help` and the report."""

    def __post_init__(self) -> None:
        if self.ranges not in RANGE_METHODS:
            raise InputError(f"unknown ranges {self.ranges!r}; choose one of: {', '.join(RANGE_METHODS)}.")
        if self.float_convolutions < 0:
            raise InputError(f"float_convolutions {self.float_convolutions}: need 0 or more.")


RECIPES: dict[str, Recipe] = {
    recipe.name: recipe
    for recipe in (
        Recipe(
            name="int8",
            ranges="loss-aware",
            repair=True,
            float_convolutions=2,
            summary="near-lossless: loss-aware ranges, repaired layers, stem and first depthwise in float",
        ),
        Recipe(
            name="int8-strict",
            ranges="loss-aware",
            repair=True,
            float_convolutions=0,
            summary="the same with no layer in float",
        ),
        Recipe(
            name="int8-fast",
            ranges="loss-aware",
            repair=False,
            float_convolutions=0,
            summary="loss-aware ranges only",
        ),
        Recipe(
            name="int8-histogram",
            ranges="histogram",
            repair=False,
            float_convolutions=0,
            summary="the stock observer's ranges, a baseline",
        ),
        Recipe(
            name="int8-minmax",
            ranges="minmax",
            repair=False,
            float_convolutions=0,
            summary="ranges that hold every value seen, a cautionary baseline",
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
