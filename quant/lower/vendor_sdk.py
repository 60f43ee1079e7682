"""NPU backends whose compilers are vendors' SDKs, not pip packages: which one, where its path goes, what to repeat.

Nothing of executorch's vendor packages is imported here: `executorch.backends.qualcomm` downloads an SDK of
gigabytes when it is imported without one.
"""

from __future__ import annotations

import importlib.util
import os
from dataclasses import dataclass
from pathlib import Path

from quant.lower.backend import Source
from quant.lower.result import LoweredProgram


@dataclass(frozen=True, kw_only=True, slots=True)
class VendorSdk:
    """One SDK and how to tell that it is there."""

    backend: str
    """Name for `--backend`."""
    name: str
    variable: str | None = None
    """Environment variable that holds its folder."""
    proof: str = "."
    """A file or folder of it."""
    modules: tuple[str, ...] = ()
    """Python modules that its wheels install."""

    def missing(self) -> str:
        """One sentence: what to do where it is not there, and where it is, that it is not used yet."""
        repeat = f"then repeat the command with --backend {self.backend}."
        folder = os.environ.get(self.variable) if self.variable else None
        if self.variable and not folder:
            return f"{self.name} is not here: unpack it, set {self.variable} to its folder, {repeat}"
        if folder and not (Path(folder) / self.proof).exists():
            return (
                f"{self.variable} is {folder}, which has no {self.proof}: set it to the folder of {self.name}, "
                f"{repeat}"
            )
        absent = [module for module in self.modules if importlib.util.find_spec(module) is None]
        if absent:
            return (
                f"{self.name} is not here: pip install its wheels of {' and '.join(absent)} by their path, {repeat}"
            )
        return f"{self.name} was found, but this version of edge-effnet does not lower with it yet."


QNN = VendorSdk(
    backend="qnn",
    name="Qualcomm AI Engine Direct SDK (QNN)",
    variable="QNN_SDK_ROOT",
    proof="lib/x86_64-linux-clang/libQnnHtp.so",
)
MEDIATEK = VendorSdk(
    backend="mediatek", name="MediaTek NeuroPilot Express SDK", modules=("mtk_converter", "mtk_neuron")
)
SAMSUNG = VendorSdk(
    backend="samsung", name="Samsung Exynos AI LiteCore SDK", variable="EXYNOS_AI_LITECORE_ROOT", proof="lib"
)


def lower(source: Source) -> LoweredProgram:
    """Never called: `missing` stops every run before.

    No machine with one of these SDKs was there to write and prove such a lowering on.
    """
    raise AssertionError(source.precision)
