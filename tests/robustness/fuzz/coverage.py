"""Coverage-guided fuzzing of our parsers: `python -m tests.robustness.fuzz.coverage pte SEEDS -max_total_time=300`.

Needs atheris (Linux): `pip install atheris`. A parser may raise what it promises and nothing else.
"""

from __future__ import annotations

import contextlib
import sys
from collections.abc import Callable
from pathlib import Path

import atheris  # type: ignore[import-untyped,import-not-found,unused-ignore]

with atheris.instrument_imports(include=["edge_effnet", "quant"]):
    from edge_effnet.errors import InputError
    from edge_effnet.weights.save import METADATA_KEY, SavedSettings
    from quant.program.coreml_payload import model_of
    from quant.program.flatbuffer import BrokenTableError
    from quant.program.reader import parse_pte
    from quant.program.xnnpack_payload import read_payload

Target = tuple[Callable[[bytes], object], tuple[type[Exception], ...]]


def _settings(data: bytes) -> object:
    return SavedSettings.from_metadata({METADATA_KEY: data.decode(errors="replace")}, Path("w"))


def _all_of_a_program(data: bytes) -> None:
    for method in parse_pte(data).methods:
        for delegate in method.delegates:
            read_payload(delegate.data)


TARGETS: dict[str, Target] = {
    "pte": (_all_of_a_program, (InputError, BrokenTableError)),
    "payload": (read_payload, (BrokenTableError,)),
    "coreml": (model_of, (ValueError, KeyError, TypeError)),
    "settings": (_settings, (InputError,)),
}
"""Parser -> what it may raise."""


def main() -> None:
    """Hand the rest of the arguments to libFuzzer."""
    parse, promised = TARGETS[sys.argv.pop(1)]

    def one(data: bytes) -> None:
        with contextlib.suppress(promised):
            parse(data)

    atheris.Setup(sys.argv, one)
    atheris.Fuzz()


if __name__ == "__main__":
    main()
