"""The TOSA reference model in the place of an Ethos-U: it runs what Vela was given, which lies beside the program.

TOSA says of every integer operator which bits come out; model.tosa.json has the grids on which the processor turns
float32 into the int8 that goes in, and back what comes out.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch

SUFFIX = ".tosa"
"""Of the file beside a .pte; its grids have `.json` behind it."""


class TosaMethod:
    """Answers as a method of executorch's runtime does."""

    def __init__(self, program: Any, path: Path) -> None:
        """Read what stands for a program.

        Args:
            program: of executorch's runtime, which says what goes in and comes out.
            path: of its .pte.

        Raises:
            OSError: one of the two files is not there.
        """
        import tosa_reference_model  # noqa: PLC0415  (an extra)

        self._model = tosa_reference_model
        self._meta = program.method_meta("forward")
        self._graph = path.with_suffix(SUFFIX).read_bytes()
        grids = json.loads(path.with_suffix(f"{SUFFIX}.json").read_text())
        (self._in_scale, self._in_zero), (self._out_scale, self._out_zero) = grids["input"], grids["output"]

    def method_meta(self) -> Any:
        """Of the program."""
        return self._meta

    def call(self, inputs: Sequence[torch.Tensor]) -> list[torch.Tensor]:
        """Run on one float32 input; its output, float32.

        Raises:
            ValueError: the reference model finds the graph invalid or unpredictable.
        """
        # As executorch's portable kernel does: a product with the inverse in float32, ties to even.
        steps = np.rint(inputs[0].numpy() * (np.float32(1) / np.float32(self._in_scale))) + self._in_zero
        (output,), status = self._model.run(self._graph, [steps.clip(-128, 127).astype(np.int8)])
        if status != self._model.GraphStatus.TOSA_VALID:
            raise ValueError(f"the TOSA reference model says {status}")
        return [
            torch.from_numpy((np.asarray(output, dtype=np.float32) - self._out_zero) * np.float32(self._out_scale))
        ]
