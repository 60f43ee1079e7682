"""What a program is lowered with besides the network."""

from __future__ import annotations

from dataclasses import dataclass, fields

from edge_effnet.errors import InputError
from quant.program.qnn_socs import DEFAULT_SOC, SOCS

COMPUTE_UNITS = ("all", "cpu_only", "cpu_and_gpu", "cpu_and_ne")
IOS_TARGETS = (17, 18)


@dataclass(frozen=True, kw_only=True, slots=True)
class BackendOptions:
    """What the command line says about a backend."""

    compute_units: str = "all"
    """Core ML: where Core ML may run the program, one of `COMPUTE_UNITS`."""
    ios: int = 17
    """Core ML: oldest iOS that has to run the program, one of `IOS_TARGETS`."""
    soc: str = DEFAULT_SOC
    """QNN: system on a chip that the program is compiled for, a key of `SOCS`."""

    def changed(self) -> dict[str, str | int]:
        """What is not the default, by field."""
        defaults = BackendOptions()
        return {f.name: value for f in fields(self) if (value := getattr(self, f.name)) != getattr(defaults, f.name)}

    def __post_init__(self) -> None:
        if self.soc not in SOCS:
            raise InputError(f"--soc {self.soc}: choose one of: {', '.join(SOCS)}.")
        if self.compute_units not in COMPUTE_UNITS:
            raise InputError(
                f"unknown compute units {self.compute_units!r}; choose one of: {', '.join(COMPUTE_UNITS)}."
            )
        if self.ios not in IOS_TARGETS:
            raise InputError(f"--ios {self.ios}: choose one of: {', '.join(map(str, IOS_TARGETS))}.")


@dataclass(frozen=True, kw_only=True, slots=True)
class Normalization:
    """What each channel of 0..1 goes through: minus `mean`, divided by `std`."""

    mean: tuple[float, ...]
    std: tuple[float, ...]
