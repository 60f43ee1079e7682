"""A double of ExecuTorch's executor_runner: the flags that are used here, and what it prints, with Python's runtime.

What it does was written after examples/portable/executor_runner/executor_runner.cpp of ExecuTorch 1.4.1, as it logs
where it is built for POSIX. `--old` makes it one that has no server mode, `--silent` one without logging, `--short`
one whose output lacks a class.
"""

import sys
import time
from pathlib import Path
from typing import Any

import torch

SWITCHES = ("--old", "--silent", "--short")
FLAGS = ("model_path", "inputs", "output_file", "server_mode", "print_output", "cpu_threads", "num_executions")


def parsed(words: list[str]) -> dict[str, str]:
    """Flags as gflags reads them; an unknown one ends the program."""
    flags = {}
    for word in words:
        name, _, value = word.removeprefix("--").partition("=")
        if name not in FLAGS or (name == "server_mode" and "--old" in sys.argv):
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
    return output


def main() -> int:
    from executorch.extension.pybindings import _portable_lib

    flags = parsed([word for word in sys.argv[1:] if word not in SWITCHES])
    start = time.perf_counter()
    program = _portable_lib._load_program(flags["model_path"])
    method = program.load_method("forward")
    log(f"Model loaded in {1e3 * (time.perf_counter() - start):f} ms.")
    if flags.get("server_mode") == "true":
        log("Running in server mode; waiting for stdin triggers.")
        for _ in sys.stdin:
            data = forward(method, flags).contiguous().numpy().tobytes()
            Path(f"{flags['output_file']}-0.bin").write_bytes(data[:-4] if "--short" in sys.argv else data)
            log("SERVER MODE DONE")
        return 0
    count = int(flags.get("num_executions", "1"))
    for number in range(count):
        start = time.perf_counter()
        forward(method, flags)
        log(f"Iteration {number + 1} of {count}: {1e3 * (time.perf_counter() - start):f} ms")
    return 0


if __name__ == "__main__":
    sys.exit(main())
