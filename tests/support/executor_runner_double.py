"""A double of ExecuTorch's executor_runner: the flags that are used here, and what it prints, with Python's runtime.

What it does was written after examples/portable/executor_runner/executor_runner.cpp of ExecuTorch 1.4.1, as it logs
where it is built for POSIX. `--old` makes it one that cannot write its output, `--silent` one without logging,
`--short` one whose output lacks a class, `--vary` one whose driver gives other bits each time.
"""

import sys
import time
from pathlib import Path
from typing import Any

import torch

SWITCHES = ("--old", "--silent", "--short", "--vary")
FLAGS = ("model_path", "inputs", "output_file", "print_output", "cpu_threads", "num_executions")


def parsed(words: list[str]) -> dict[str, str]:
    """Flags as gflags reads them; an unknown one ends the program."""
    flags = {}
    for word in words:
        name, _, value = word.removeprefix("--").partition("=")
        if name not in FLAGS or (name == "output_file" and "--old" in sys.argv):
            sys.stderr.write(f"ERROR: unknown command line flag '{name}'\n")
            sys.exit(1)
        flags[name] = value
    return flags


def log(text: str) -> None:
    if "--silent" not in sys.argv:
        sys.stderr.write(f"I 00:00:00.000000 executorch:executor_runner.cpp:1] {text}\n")
        sys.stderr.flush()


def forward(method: Any, flags: dict[str, str]) -> torch.Tensor:
    shape = tuple(method.method_meta().input_tensor_meta(0).sizes())
    data = bytearray(Path(flags["inputs"]).read_bytes())
    output: torch.Tensor = method.call([torch.frombuffer(data, dtype=torch.float32).reshape(shape)])[0]
    return output + time.time_ns() % 1000 * 1e-6 if "--vary" in sys.argv else output


def main() -> int:
    from executorch.extension.pybindings import _portable_lib

    flags = parsed([word for word in sys.argv[1:] if word not in SWITCHES])
    start = time.perf_counter()
    program = _portable_lib._load_program(flags["model_path"])
    method = program.load_method("forward")
    log(f"Model loaded in {1e3 * (time.perf_counter() - start):f} ms.")
    count = int(flags.get("num_executions", "1"))
    for number in range(count):
        start = time.perf_counter()
        data = forward(method, flags).contiguous().numpy().tobytes()
        log(f"Iteration {number + 1} of {count}: {1e3 * (time.perf_counter() - start):f} ms")
    Path(f"{flags['output_file']}-0.bin").write_bytes(data[:-4] if "--short" in sys.argv else data)
    return 0


if __name__ == "__main__":
    sys.exit(main())
