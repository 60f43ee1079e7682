"""What a backend says about itself before any work starts, and what it is given to lower."""

from __future__ import annotations

import importlib
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from quant.lower.options import BackendOptions

if TYPE_CHECKING:  # the table stays light: `--help` and refusals need no torch
    from torch import fx

    from quant.lower.options import Normalization
    from quant.lower.result import LoweredProgram


@dataclass(frozen=True, kw_only=True, slots=True)
class Source:
    """One network at one precision, ready to be lowered."""

    graph: fx.GraphModule
    """ATen operators from `export_graph`; converted by PT2E where `Precision.placement` is set."""
    precision: str
    """A key of `Backend.precisions`."""
    input_shape: tuple[int, ...]
    """[1, C, H, W]."""
    options: BackendOptions = field(default_factory=BackendOptions)
    int8_output: bool = False
    """Whether the program puts out what the graph's last dq reads; only the default's can."""
    normalization: Normalization | None = None
    """What the program does to pixels by itself; only the default's can."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Precision:
    """What a backend computes with."""

    placement: str | None = None
    """Where q/dq pairs go in the graph that it is given: a key of `PLACEMENTS`; None: a float graph."""
    exact: bool = False
    """Whether an all-int8 program computes the same bits on every processor."""
    mixes: bool = False
    """Whether activations have 16 bits where a target asks for them (`quant.analysis.mixed_bits`)."""
    needs: str | None = None
    """What the device has to have, where not every one has it."""
    summary: str
    """Weights and activations, in a few words."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Backend:
    """One place where a program can run."""

    name: str
    devices: str
    """Where it runs."""
    apps: tuple[str, ...] = ()
    """Phone apps whose ExecuTorch may link it, as `deploy --app` takes them."""
    precisions: Mapping[str, Precision]
    """In the order of `NAME:all`."""
    default: str
    """Precision of the bare name."""
    module: str
    """Has `lower(source: Source) -> LoweredProgram`; imported only when something is lowered."""
    runs_here: bool
    """Whether this host's runtime runs its programs, so that they are measured."""
    ranges_readable: bool = False
    """Whether the ranges of int8 layers can be read back out of its programs."""
    activations: tuple[str, ...] = ("swish", "swish-memory-efficient", "hardswish", "relu6", "relu")
    """Keys of `edge_effnet.activations.ACTIVATIONS`."""
    image_sizes: tuple[int, int] = (32, 2048)
    """Smallest and largest side of the input, pixels."""
    emulated: str | None = None
    """What an emulator stands for here, where one runs its programs: by several processes at once, and untimed."""
    reports: str | None = None
    """What is known against devices that run its programs, with the reports' numbers."""
    chips: bool = False
    """Whether its precisions are chips that compute the same: `all` takes the default's alone."""
    images: int | None = None
    """How many evaluation images its programs are judged on, where a forward is too slow for all."""
    options: tuple[str, ...] = ()
    """Fields of `BackendOptions` that it reads."""
    refuses: Callable[[str, BackendOptions], str | None] = field(default=lambda precision, options: None)
    """Says in a sentence why a precision does not go with the options; None where it does."""
    missing: Callable[[], str | None] = field(default=lambda: None)
    """Says in a sentence what has to be installed before anything can be lowered; None where nothing is missing."""

    def __post_init__(self) -> None:
        assert self.default in self.precisions, self.name

    def lower(self, source: Source) -> LoweredProgram:
        """Lower a network to a .pte.

        Raises:
            ValueError: the network holds what this backend does not run.
        """
        program: LoweredProgram = importlib.import_module(self.module).lower(source)
        return program

    def of_all(self) -> tuple[str, ...]:
        """Precisions that `--backend all` takes."""
        return (self.default,) if self.chips else tuple(self.precisions)

    def choices(self) -> tuple[str, ...]:
        """What `--backend` takes for each precision."""
        return tuple(f"{self.name}:{precision}" for precision in self.precisions)
