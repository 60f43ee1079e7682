"""Child process that holds the C++ runtime: `python -m quant.runtime_worker`.

Protocol, both ways: a 4-byte little-endian length, that many bytes of JSON, then as many raw bytes as the JSON's
`bytes` says. Requests: load, start, run, time, verify. A crash of the runtime kills this process and nothing else.
"""

from __future__ import annotations

import json
import math
import os
import statistics
import struct
import sys
import time
import warnings
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np

from quant.lower import openvino_library
from quant.peak_memory import peak_bytes, reset_peak


def receive(stream: BinaryIO) -> tuple[dict[str, Any], bytes] | None:
    """Read one message; None at the end of the stream."""
    head = stream.read(4)
    if len(head) < 4:
        return None
    message = json.loads(stream.read(struct.unpack("<I", head)[0]))
    return message, stream.read(message.get("bytes", 0))


def send(stream: BinaryIO, message: dict[str, Any], payload: bytes = b"") -> None:
    """Write one message."""
    body = json.dumps({**message, "bytes": len(payload)}).encode()
    stream.write(struct.pack("<I", len(body)) + body + payload)
    stream.flush()


# ExecuTorch's numbers of scalar types.
_DTYPES = {0: "uint8", 6: "float32"}


class Worker:
    """Answers requests with the programs that it holds."""

    def __init__(self, threads: int) -> None:
        warnings.simplefilter("ignore")
        import torch  # noqa: PLC0415  (the runtime's library needs torch's to be loaded first)

        openvino_library.announce()
        from executorch.extension.pybindings import _portable_lib  # noqa: PLC0415

        self._torch = torch
        self._runtime = _portable_lib
        self._programs: dict[str, Any] = {}
        _portable_lib._unsafe_reset_threadpool(threads)

    def load(self, name: str, path: str) -> dict[str, Any]:
        """Load a program and its method, weights packed; the time is the median of three from a warm file cache."""
        # Full verification once, outside the clock: a phone that trusts its own file does not repeat it.
        self._runtime._load_program(path, program_verification=self._runtime.Verification.InternalConsistency)
        times = []
        for _ in range(3):
            self._programs.pop(name, None)
            start = time.perf_counter()
            program = self._runtime._load_program(path)
            method = program.load_method("forward")
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

    def start(self, path: str) -> dict[str, Any]:
        """Load a program and run it once on zeros, as the first thing that this process does."""
        reset_peak()
        before = peak_bytes()
        start = time.perf_counter()
        program = self._runtime._load_program(path)
        method = program.load_method("forward")
        meta = method.method_meta().input_tensor_meta(0)
        zeros = np.zeros(list(meta.sizes()), dtype=_DTYPES[meta.dtype()])
        method.call([self._torch.from_numpy(zeros)])
        return {"first_ms": 1e3 * (time.perf_counter() - start), "peak_bytes": peak_bytes() - before}

    def run(self, name: str, shape: list[int], dtype: str, payload: bytes) -> tuple[dict[str, Any], bytes]:
        """Run a program on each row of an array; returns the float32 outputs, stacked."""
        method, _ = self._programs[name]
        rows = np.frombuffer(payload, dtype=dtype).reshape(shape)
        outputs = []
        for row in rows:
            x = self._torch.from_numpy(row[None].copy())
            outputs.append(np.asarray(method.call([x])[0], dtype="<f4")[0])
        stacked = np.stack(outputs)
        return {"shape": list(stacked.shape)}, stacked.tobytes()

    def verify(self, path: str, cases: int, rtol: float, atol: float) -> dict[str, Any]:
        """Run the inputs of a .bpte and compare with the outputs that it expects."""
        bundle = self._runtime._load_bundled_program_from_buffer(Path(path).read_bytes())
        for index in range(cases):
            bundle.verify_result_with_bundled_expected_output("forward", index, rtol, atol)
        return {"cases": cases}

    def time(self, inputs: list[dict[str, Any]], repeats: int, payload: bytes) -> dict[str, Any]:
        """Time programs, each on its input, turn by turn so that a drifting clock hits all alike; ms each."""
        tensors, offset = {}, 0
        for entry in inputs:
            data = payload[offset : offset + entry["bytes"]]
            array = np.frombuffer(data, dtype=entry["dtype"]).reshape(entry["shape"])
            tensors[entry["name"]] = self._torch.from_numpy(array.copy())
            offset += entry["bytes"]
        times: dict[str, list[float]] = {name: [] for name in tensors}
        warm_up = max(3, math.ceil(repeats / 10))
        for turn in range(warm_up + repeats):
            for name, x in tensors.items():
                start = time.perf_counter()
                self._programs[name][0].call([x])
                if turn >= warm_up:
                    times[name].append(1e3 * (time.perf_counter() - start))
        return {"times_ms": times}


def main() -> None:
    """Serve requests from standard input until it closes."""
    requests = sys.stdin.buffer
    # The runtime prints to both standard streams: keep the protocol's own copy and send the rest to stderr.
    replies = os.fdopen(os.dup(1), "wb")
    os.dup2(2, 1)
    try:
        worker = Worker(threads=int(sys.argv[1]))
        send(replies, {"ok": True})
        while (request := receive(requests)) is not None:
            message, payload = request
            send(replies, *_answer(worker, message, payload))
    except (BrokenPipeError, KeyboardInterrupt):
        pass


def _answer(worker: Worker, message: dict[str, Any], payload: bytes) -> tuple[dict[str, Any], bytes]:
    reply, data = {}, b""
    try:
        if message["request"] == "load":
            path = str(Path(message["path"]))
            reply = worker.load(message["name"], path)
        elif message["request"] == "run":
            reply, data = worker.run(message["name"], message["shape"], message["dtype"], payload)
        elif message["request"] == "start":
            reply = worker.start(str(Path(message["path"])))
        elif message["request"] == "verify":
            reply = worker.verify(message["path"], message["cases"], message["rtol"], message["atol"])
        else:
            reply = worker.time(message["inputs"], message["repeats"], payload)
    except Exception as error:  # whatever the runtime raises goes back as a sentence
        return {"ok": False, "error": f"{type(error).__name__}: {error}"}, b""
    return {"ok": True, **reply}, data


if __name__ == "__main__":
    main()
