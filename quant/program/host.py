"""Run .pte programs on this host, in a child process: a program that crashes the runtime is an error, not the end."""

from __future__ import annotations

import json
import multiprocessing
import os
import signal
import subprocess
import sys
import tempfile
import weakref
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch

from edge_effnet.errors import InputError, MachineError
from edge_effnet.io.files import child_environment

# A forward, or a load, of the largest variant on one slow core stays far below; a hang does not.
SILENCE_TIMEOUT_S = 300.0

# A forward of B7 on Qualcomm's emulator takes minutes of a core, more where the core is busy.
EMULATOR_SILENCE_TIMEOUT_S = 1800.0

# More than any phone or host has cores; the runtime would try to start them all.
MAX_THREADS = 256


@dataclass(frozen=True, kw_only=True, slots=True)
class LoadedProgram:
    """A program that the runtime accepted."""

    name: str
    load_ms: float
    """Median of three loads, file in the page cache."""
    input_shape: tuple[int, ...]
    input_dtype: torch.dtype
    """float32, or uint8 where the program normalises pixels by itself."""
    output_shape: tuple[int, ...]


@dataclass(frozen=True, kw_only=True, slots=True)
class Start:
    """A program's first inference in a fresh process."""

    first_ms: float
    """Load and first inference, file in the page cache."""
    peak_bytes: int
    """Memory that both add to the process at most."""


def check_threads(threads: int) -> int:
    """Return `threads` if it is a number of threads.

    Raises:
        InputError: below 1 or above `MAX_THREADS`.
    """
    if not 1 <= threads <= MAX_THREADS:
        raise InputError(f"--threads {threads}: need 1 to {MAX_THREADS}.")
    return threads


_INPUT_DTYPES = {"float32": "<f4", "uint8": "|u1"}


class HostRuntime:
    """The ExecuTorch runtime of this host; a context manager that owns the child process."""

    def __init__(self, threads: int = 1, *, silence_s: float | None = None) -> None:
        """Start it.

        Args:
            threads: of a forward.
            silence_s: without a word after which a program counts as hanging; None: `SILENCE_TIMEOUT_S`.
        """
        self.threads = check_threads(threads)
        self._silence_s = SILENCE_TIMEOUT_S if silence_s is None else silence_s
        with ExitStack() as resources:
            self._log = resources.enter_context(tempfile.TemporaryFile())
            self._pipe, theirs = multiprocessing.Pipe()
            resources.enter_context(self._pipe)
            with theirs:
                # A session of its own: Ctrl-C in the terminal reaches us, and we end the child.
                self._child = subprocess.Popen(
                    # -P: a torch.py or json.py in the user's current folder is none of the worker's modules.
                    [sys.executable, "-P", "-m", "quant.program.worker", str(theirs.fileno()), str(threads)],
                    stdin=subprocess.DEVNULL,
                    stdout=self._log,
                    stderr=self._log,
                    pass_fds=[theirs.fileno()],
                    start_new_session=True,
                    env=child_environment(),
                )
            # An interrupt that comes before `with` does: the child ends with this object, or with the process.
            self._end = weakref.finalize(self, _end, self._child, resources.pop_all())
        self._started = False

    def __enter__(self) -> HostRuntime:
        return self

    def __exit__(self, *error: object) -> None:
        self.close()

    def close(self) -> None:
        """End the child process."""
        self._end()

    def load(self, path: Path, name: str) -> LoadedProgram:
        """Load a .pte under a name of the caller's.

        Raises:
            InputError: not a program that this runtime can load, or one that crashes it.
        """
        reply, _ = self._ask("load", name, str(path.absolute()), what=str(path))
        dtype = reply["input_dtype"]
        if dtype not in _INPUT_DTYPES:
            raise InputError(f"{path}: takes {dtype} inputs; programs of this project take float32 or uint8.")
        return LoadedProgram(
            name=name,
            load_ms=reply["load_ms"],
            input_shape=tuple(reply["input_shape"]),
            input_dtype=getattr(torch, dtype),
            output_shape=tuple(reply["output_shape"]),
        )

    def run(self, program: LoadedProgram, inputs: torch.Tensor) -> torch.Tensor:
        """Run on a batch, row by row.

        Args:
            program: from `load`.
            inputs: of the program's dtype, [N, ...]; each row goes in as a batch of one, contiguous (a channels-last
                tensor would be read as if it were contiguous, pytorch/executorch #21837).

        Returns:
            float32 outputs, [N, ...].

        Raises:
            InputError: an input that does not fit, or a program that fails on it.
        """
        reply, payload = self._ask("run", program.name, _rows(program, inputs), what=program.name)
        return torch.from_numpy(np.frombuffer(payload, dtype="<f4").reshape(reply["shape"]).copy())

    def time(
        self, programs: Sequence[LoadedProgram], inputs: Sequence[torch.Tensor], repeats: int
    ) -> dict[str, list[float]]:
        """Time programs interleaved, each on its own input [1, ...].

        Returns:
            For each program's name, `repeats` times in ms, after a warm-up.

        Raises:
            InputError: an input that does not fit.
        """
        arrays = {program.name: _rows(program, x) for program, x in zip(programs, inputs, strict=True)}
        reply, _ = self._ask("time", arrays, repeats, what=", ".join(arrays))
        times: dict[str, list[float]] = reply["times_ms"]
        return times

    def start(self, path: Path) -> Start:
        """Load a .pte and run it once; a fair figure only as the first request of a fresh runtime.

        Raises:
            InputError: not a program that this runtime can load and run.
        """
        # The file in the page cache: the figure is the program's, not the disk's.
        path.read_bytes()
        reply, _ = self._ask("start", str(path.absolute()), what=str(path))
        return Start(first_ms=reply["first_ms"], peak_bytes=reply["peak_bytes"])

    def verify_bundle(self, path: Path, cases: int, *, rtol: float, atol: float) -> None:
        """Run the inputs of a .bpte and compare with the outputs that it expects.

        Raises:
            InputError: an output differs, or the runtime refuses the bundle.
        """
        self._ask("verify", str(path.absolute()), cases, rtol, atol, what=str(path))

    def _ask(self, method: str, *arguments: Any, what: str) -> tuple[dict[str, Any], bytes]:
        """Call a method of `quant.program.worker.Worker`; what it returned, and its payload."""
        try:
            if not self._started:
                self._receive()
                self._started = True
            self._pipe.send((method, arguments))
            reply, payload = self._receive()
        except TimeoutError as error:
            self._child.kill()
            raise InputError(
                f"{what}: no word from the runtime in {self._silence_s:.0f} s; the program hangs."
            ) from error
        except (EOFError, OSError) as error:
            raise self._crashed(what) from error
        except ValueError as error:
            # Its memory is no longer its own.
            self._child.kill()
            raise InputError(
                f"{what}: the program makes the ExecuTorch runtime answer nonsense; do not use it."
            ) from error
        if "error" in reply:
            raise InputError(f"{what}: the ExecuTorch runtime refuses this program ({reply['error']}).")
        return reply, payload

    def _receive(self) -> tuple[dict[str, Any], bytes]:
        """Read the next answer; an empty one is a sign of life, which gives it more time."""
        message = b""
        while not message:
            if not self._pipe.poll(self._silence_s):
                raise TimeoutError
            message = self._pipe.recv_bytes()
        # Never unpickled: what comes from there is data.
        head, _, payload = message.partition(b"\n")
        return json.loads(head), payload

    def _crashed(self, what: str) -> Exception:
        code = self._child.wait()
        if not self._started:
            self._log.seek(0)
            last = self._log.read()[-500:].decode(errors="replace").strip().splitlines()[-1:]
            return MachineError(
                f"the ExecuTorch runtime does not start here ({' '.join(last) or code}); reinstall it."
            )
        if code == -signal.SIGKILL:
            return MachineError(f"{what}: the runtime was killed, most likely for lack of memory; free some.")
        cause = signal.Signals(-code).name if code < 0 else f"exit code {code}"
        return InputError(f"{what}: the program crashes the ExecuTorch runtime ({cause}); it is damaged or hostile.")


_MOST_EMULATORS = 8
"""Of all programs together: each takes about half a gigabyte."""


def emulator_processes(programs: int = 1, among: int = 1) -> int:
    """One for each core, as far as memory is sure to do.

    Args:
        programs: that have processes of their own, and run one after the other.
        among: processes like this one that share the cores.
    """
    return max(1, min(os.cpu_count() or 1, _MOST_EMULATORS // programs) // among)


class EmulatorRuntime(HostRuntime):
    """The runtime in several child processes: for emulators, whose forwards take about a second of one core each."""

    def __init__(self, processes: int) -> None:
        super().__init__(silence_s=EMULATOR_SILENCE_TIMEOUT_S)
        self._others = [HostRuntime(silence_s=EMULATOR_SILENCE_TIMEOUT_S) for _ in range(processes - 1)]

    def close(self) -> None:
        """End the child processes."""
        super().close()
        for other in self._others:
            other.close()

    def load(self, path: Path, name: str) -> LoadedProgram:
        """Load a .pte in all of them."""
        program = super().load(path, name)
        for other in self._others:
            other.load(path, name)
        return program

    def verify_bundle(self, path: Path, cases: int, *, rtol: float, atol: float) -> None:
        """As `HostRuntime`, in a process of its own: QNN's backend ends a program with its second copy."""
        with HostRuntime(silence_s=EMULATOR_SILENCE_TIMEOUT_S) as fresh:
            fresh.verify_bundle(path, cases, rtol=rtol, atol=atol)

    def run(self, program: LoadedProgram, inputs: torch.Tensor) -> torch.Tensor:
        """Run on a batch, each process on a part of its rows."""
        parts = [part for part in inputs.tensor_split(1 + len(self._others)) if len(part)]
        runs = [super().run, *(other.run for other in self._others)][: len(parts)]
        with ThreadPoolExecutor(max_workers=len(parts)) as pool:
            return torch.cat(list(pool.map(lambda run, part: run(program, part), runs, parts)))


def _end(child: subprocess.Popen[bytes], resources: ExitStack) -> None:
    resources.close()
    if child.poll() is None:
        child.kill()
    child.wait()


def _rows(program: LoadedProgram, inputs: torch.Tensor) -> np.ndarray:
    """Inputs as little-endian numbers, contiguous row by row, whatever their memory order was."""
    dtype = str(program.input_dtype).removeprefix("torch.")
    if (1, *inputs.shape[1:]) != program.input_shape or inputs.dtype != program.input_dtype:
        raise InputError(
            f"the {program.name} program takes {dtype} inputs of {program.input_shape}, one a call; got "
            f"{inputs.dtype} {tuple(inputs.shape)}."
        )
    return np.ascontiguousarray(inputs.detach().numpy(), dtype=_INPUT_DTYPES[dtype])
