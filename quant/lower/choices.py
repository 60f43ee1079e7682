"""What `--backend` asks for: names, `NAME:PRECISION`, `NAME:all` and `all`, checked before any work starts."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from edge_effnet.errors import InputError
from quant.common.findings import Finding, finding
from quant.lower.backend import Backend
from quant.lower.options import BackendOptions
from quant.lower.table import BACKENDS, find_backend

ALL = "all"

DEFAULT_BACKEND = "xnnpack"


@dataclass(frozen=True, kw_only=True, slots=True)
class Choice:
    """One program to make."""

    backend: Backend
    precision: str
    missing: str | None
    """Sentence about what has to be installed first; None where nothing is missing."""

    @property
    def name(self) -> str:
        """Folder of its artifact."""
        return f"{self.backend.name}-{self.precision}"

    @property
    def placement(self) -> str | None:
        """Where q/dq pairs go in its graph: a key of `PLACEMENTS`; None: a float graph."""
        return self.backend.precisions[self.precision].placement

    @property
    def mixes(self) -> bool:
        """Whether a program is made in which some activations have 16 bits."""
        return self.missing is None and self.backend.precisions[self.precision].mixes


def choose(names: Sequence[str]) -> tuple[Choice, ...]:
    """Return the programs asked for, in the order of the table, none twice.

    Args:
        names: `all` (every precision of every backend, of chips the default), `NAME` (its default precision),
            `NAME:PRECISION` or `NAME:all`.

    Raises:
        InputError: an unknown backend, a precision that it does not have, or an SDK that is missing though its
            backend was named; the message lists what is possible.
    """
    asked = {(b.name, precision) for word in names for b, precision in _pairs(word)}
    named = {b.name for word in names if word != ALL for b, _ in _pairs(word)}
    found = []
    for backend in BACKENDS.values():
        precisions = [precision for precision in backend.precisions if (backend.name, precision) in asked]
        missing = backend.missing() if precisions else None
        if missing is not None and backend.name in named:
            raise InputError(f"--backend {backend.name}: {missing}")
        found += [Choice(backend=backend, precision=precision, missing=missing) for precision in precisions]
    return tuple(found)


def check_fits(choices: Sequence[Choice], *, activation: str, image_size: int) -> None:
    """Refuse networks that a chosen backend does not run.

    Raises:
        InputError: an activation or an image size that is not among the backend's; the message lists those, and the
            backends that would do.
    """
    for backend in {choice.backend.name: choice.backend for choice in choices}.values():
        if activation not in backend.activations:
            others = [b.name for b in BACKENDS.values() if activation in b.activations]
            raise InputError(
                f"--backend {backend.name}: does not run {activation}; it runs {', '.join(backend.activations)}. "
                f"Backends that do: {', '.join(others) or 'none'}."
            )
        low, high = backend.image_sizes
        if not low <= image_size <= high:
            raise InputError(f"--backend {backend.name}: input of {image_size} pixels; possible: {low} to {high}.")


def check_given(choices: Sequence[Choice], given: Mapping[str, object]) -> None:
    """Refuse options that are given, by field of `BackendOptions`, and that no chosen backend reads.

    Raises:
        InputError: there is one.
    """
    for name, value in given.items():
        readers = [backend.name for backend in BACKENDS.values() if name in backend.options]
        if not any(choice.backend.name in readers for choice in choices):
            raise InputError(
                f"--{name.replace('_', '-')} {value}: is for {', '.join(readers)}, of which this run makes no "
                f"program; add --backend {readers[0]}, or leave it out."
            )


def check_options(choices: Sequence[Choice], options: BackendOptions) -> None:
    """Refuse options that do nothing, and precisions that they leave no room for.

    Raises:
        InputError: there is one.
    """
    check_given(choices, options.changed())
    for choice in choices:
        refusal = choice.backend.refuses(choice.precision, options)
        if refusal is not None:
            raise InputError(refusal)


def _pairs(word: str) -> list[tuple[Backend, str]]:
    if word == ALL:
        return [(backend, precision) for backend in BACKENDS.values() for precision in backend.of_all()]
    name, _, precision = word.partition(":")
    backend = find_backend(name)
    if ":" not in word:
        return [(backend, backend.default)]
    if precision == ALL:
        return [(backend, each) for each in backend.precisions]
    if precision not in backend.precisions:
        others = [b.name for b in BACKENDS.values() if precision in b.precisions]
        elsewhere = f" Backends with {precision}: {', '.join(others)}." if others else ""
        raise InputError(
            f"--backend {word}: {name} has no {precision!r}; possible: {', '.join(backend.choices())}.{elsewhere}"
        )
    return [(backend, precision)]


def runs_here(name: str) -> bool:
    """Whether this host runs programs of a backend."""
    backend = BACKENDS.get(name)
    return backend is not None and backend.runs_here and backend.missing() is None


def is_emulated(name: str) -> bool:
    """Whether an emulator stands for the device of a backend here."""
    backend = BACKENDS.get(name)
    return backend is not None and backend.emulated is not None


def reports_on(name: str) -> tuple[Finding, ...]:
    """What is known against devices that run a backend's programs."""
    backend = BACKENDS.get(name)
    return () if backend is None or backend.reports is None else (finding("device-reports", backend.reports),)


def require_runs_here(name: str) -> None:
    """Refuse programs of a backend that this host does not run.

    Raises:
        InputError: it runs elsewhere, or what it needs here is not installed.
    """
    backend = BACKENDS.get(name)
    if backend is None:
        return  # of a later version, or somebody's own: the runtime says what it makes of it
    if not backend.runs_here:
        raise InputError(f"{name} programs run on {backend.devices} only: check them there, with their model.bpte.")
    missing = backend.missing()
    if missing is not None:
        raise InputError(f"{name}: {missing}")
