"""Child process that holds the C++ runtime: `python -m quant.program.worker PIPE THREADS`.

Requests come pickled: (method of `Worker`, arguments). Answers are bytes: a line of JSON (`error` where there is
one), then raw numbers; before an answer may come empty messages, signs of life.
A crash of the runtime kills this process and nothing else.
"""

from __future__ import annotations

import importlib
import json
import math
import mmap
import os
import signal
import statistics
import sys
import time
import warnings
from collections.abc import Callable, Mapping
from contextlib import suppress
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any

import numpy as np

from quant.program import ethosu_library, openvino_library, qnn_device, qnn_library
from quant.program.flatbuffer import FlatTable
from quant.program.process_limits import limit_memory, no_core_dump, peak_bytes, reset_peak

_HEARTBEAT_S = 1.0

# The parent gives up long before. Where it was killed, the alarm ends a program that hangs: nobody else would.
_ORPHAN_S = 3600

# ExecuTorch's numbers of scalar types.
_DTYPES = {0: "uint8", 6: "float32"}


def program_in_bundle(data: bytes) -> bytes:
    """Return the .pte inside a .bpte.

    Raises:
        ValueError: not a .bpte, or a broken one.
    """
    if data[4:8] != b"BP08":
        raise ValueError(f"{data[4:8]!r} stands where BP08 should")
    return bytes(FlatTable.root(data).view(2))


class Heartbeat:
    """Says once in a while that a long request is being worked on: a hang is one forward that does not end."""

    def __init__(self, pipe: Connection[Any, Any]) -> None:
        self._pipe = pipe
        self._last = time.monotonic()

    def __call__(self) -> None:
        """Tell the parent, if the last time is long ago."""
        signal.alarm(_ORPHAN_S)
        now = time.monotonic()
        if now - self._last > _HEARTBEAT_S:
            self._last = now
            self._pipe.send_bytes(b"")


class Worker:
    """Answers requests with the programs that it holds."""

    def __init__(self, threads: int, alive: Callable[[], None]) -> None:
        self._alive = alive
        warnings.simplefilter("ignore")
        import torch  # noqa: PLC0415  (the runtime's library needs torch's to be loaded first)

        openvino_library.announce()
        bindings = "executorch.extension.pybindings."
        try:
            runtime: Any = importlib.import_module(bindings + "_portable_lib")
        except ModuleNotFoundError:  # ExecuTorch 1.5 gave it another name
            runtime = importlib.import_module(bindings + "_C")

        self._torch = torch
        self._runtime = runtime
        self._programs: dict[str, Any] = {}
        runtime._unsafe_reset_threadpool(threads)

    def load(self, name: str, path: str) -> dict[str, Any]:
        """Load a program and its method, weights packed; the time is the median of three from a warm file cache."""
        self._verified(path)
        start_method = self._starter(path)
        times = []
        program = method = None
        for _ in range(3):
            # Gone before the next comes: QNN's backend hands a second one the first one's handle, which dies with it.
            self._programs.pop(name, None)
            del program, method
            start = time.perf_counter()
            program = self._runtime._load_program(path)
            method = start_method(program)
            times.append(1e3 * (time.perf_counter() - start))
            # The method reads from its program's memory.
            self._programs[name] = (method, program)
        meta = self._programs[name][0].method_meta()
        if (meta.num_inputs(), meta.num_outputs()) != (1, 1):
            raise ValueError(f"{meta.num_inputs()} inputs and {meta.num_outputs()} outputs, need one of each")
        return {
            "load_ms": statistics.median(times),
            "input_shape": list(meta.input_tensor_meta(0).sizes()),
            "input_dtype": _DTYPES.get(meta.input_tensor_meta(0).dtype(), "unknown"),
            "output_shape": list(meta.output_tensor_meta(0).sizes()),
        }

    def _starter(self, path: str) -> Callable[[Any], Any]:
        """What gives the method of a program: executorch, or what stands for a device that this host lacks."""
        if not _mentions(path, ethosu_library.BACKEND):
            return lambda program: program.load_method("forward")
        from quant.program.tosa_model import TosaMethod  # noqa: PLC0415  (an extra behind it)

        return lambda program: TosaMethod(program, Path(path))

    def _verified(self, path: str) -> None:
        """Verify a program in full, outside the clock: a phone that trusts its own file does not repeat it."""
        _load_libraries(path)
        limit_memory(Path(path).stat().st_size)
        self._runtime._load_program(path, program_verification=self._runtime.Verification.InternalConsistency)

    def start(self, path: str) -> dict[str, Any]:
        """Load a program and run it once on zeros, as the first thing that this process does."""
        self._verified(path)
        reset_peak()
        before = peak_bytes()
        start = time.perf_counter()
        program = self._runtime._load_program(path)
        method = program.load_method("forward")
        meta = method.method_meta().input_tensor_meta(0)
        zeros = np.zeros(list(meta.sizes()), dtype=_DTYPES[meta.dtype()])
        method.call([self._torch.from_numpy(zeros)])
        return {"first_ms": 1e3 * (time.perf_counter() - start), "peak_bytes": peak_bytes() - before}

    def run(self, name: str, rows: np.ndarray) -> tuple[dict[str, Any], bytes]:
        """Run a program on each row of an array; returns the float32 outputs, stacked."""
        method, _ = self._programs[name]
        outputs = []
        for row in rows:
            self._alive()
            x = self._torch.from_numpy(row[None].copy())
            outputs.append(np.asarray(method.call([x])[0], dtype="<f4")[0])
        stacked = np.stack(outputs)
        return {"shape": list(stacked.shape)}, stacked.tobytes()

    def verify(self, path: str, cases: int, rtol: float, atol: float) -> dict[str, Any]:
        """Run the inputs of a .bpte and compare with the outputs that it expects."""
        _load_libraries(path)
        data = Path(path).read_bytes()
        limit_memory(len(data))
        self._runtime._load_program_from_buffer(
            program_in_bundle(data), program_verification=self._runtime.Verification.InternalConsistency
        )
        bundle = self._runtime._load_bundled_program_from_buffer(data)
        for index in range(cases):
            bundle.verify_result_with_bundled_expected_output("forward", index, rtol, atol)
        return {"cases": cases}

    def time(self, inputs: Mapping[str, np.ndarray], repeats: int) -> dict[str, Any]:
        """Time programs, each on its input, turn by turn so that a drifting clock hits all alike; ms each."""
        tensors = {name: self._torch.from_numpy(array.copy()) for name, array in inputs.items()}
        times: dict[str, list[float]] = {name: [] for name in tensors}
        warm_up = max(3, math.ceil(repeats / 10))
        for turn in range(warm_up + repeats):
            for name, x in tensors.items():
                self._alive()
                start = time.perf_counter()
                self._programs[name][0].call([x])
                if turn >= warm_up:
                    times[name].append(1e3 * (time.perf_counter() - start))
        return {"times_ms": times}


def _load_libraries(path: str) -> None:
    """Load what a program's backend needs and executorch does not find by itself."""
    if qnn_library.missing() is None and _mentions(path, qnn_library.BACKEND):
        qnn_device.load()


def _mentions(path: str, name: str) -> bool:
    with Path(path).open("rb") as file:
        # Mapped, not read: a file may be larger than memory. An empty one cannot be.
        if not os.fstat(file.fileno()).st_size:
            return False
        with mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as program:
            return program.find(name.encode()) >= 0


def main() -> None:
    """Serve requests until the other end of the pipe closes."""
    pipe: Connection[Any, Any] = Connection(int(sys.argv[1]))
    with suppress(EOFError, OSError, KeyboardInterrupt):
        no_core_dump()
        worker = Worker(int(sys.argv[2]), Heartbeat(pipe))
        answer = b"{}\n"
        while True:
            pipe.send_bytes(answer)
            method, arguments = pipe.recv()
            signal.alarm(_ORPHAN_S)
            answer = _answer(getattr(worker, method), arguments)
            signal.alarm(0)


def _answer(method: Callable[..., Any], arguments: tuple[Any, ...]) -> bytes:
    try:
        found = method(*arguments)
    except Exception as error:  # whatever the runtime raises goes back as a sentence
        found = {"error": f"{type(error).__name__}: {error}"}
    reply, payload = found if isinstance(found, tuple) else (found, b"")
    assert isinstance(payload, bytes)
    return json.dumps(reply).encode() + b"\n" + payload


if __name__ == "__main__":
    main()
