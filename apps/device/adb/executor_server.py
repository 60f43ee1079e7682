"""ExecuTorch's own `executor_runner --server_mode` on an Android phone: one forward for each line that it reads."""

from __future__ import annotations

import os
import select
import time

from apps.device.adb.client import AdbClient, output_of
from apps.device.remote import ConnectionLostError
from edge_effnet.errors import MachineError

PROGRAM = "executor_runner"

READY_TIMEOUT_S = 60.0
"""From its start to a loaded program; the largest network takes seconds."""

ANSWER_TIMEOUT_S = 120.0
"""Of one forward."""

_READY = b"waiting for stdin triggers"
_DONE = b"SERVER MODE DONE"

_BUILD = "build ExecuTorch's executor_runner as docs/device.md says"


class ExecutorServer:
    """The running server; `input.bin` in its folder is read again for each forward, `output-0.bin` overwritten."""

    def __init__(self, client: AdbClient, folder: str, threads: int) -> None:
        self._name = f"adb:{client.phone.serial}"
        self._said = b""
        self._process = client.start_shell(
            f"cd {folder} && ./{PROGRAM} --model_path=model.pte --inputs=input.bin --output_file=output "
            f"--server_mode=true --print_output=none --cpu_threads={threads} 2>&1"
        )

    def wait(self) -> None:
        """Wait until the program is loaded.

        Raises:
            ConnectionLostError: the phone went away.
            MachineError: the server ended, or says nothing.
        """
        self._await(_READY, READY_TIMEOUT_S)

    def forward(self) -> None:
        """Run the input once.

        Raises:
            ConnectionLostError: the phone went away.
            MachineError: the server ended, or does not answer.
        """
        assert self._process.stdin is not None
        try:
            self._process.stdin.write(b"\n")
            self._process.stdin.flush()
        except BrokenPipeError as error:
            raise self._ended() from error
        self._await(_DONE, ANSWER_TIMEOUT_S)

    def stop(self) -> None:
        """End it; the server on the phone ends with its standard input."""
        self._process.kill()
        self._process.communicate()

    def _await(self, sign: bytes, timeout_s: float) -> None:
        """Read what it prints up to `sign`."""
        assert self._process.stdout is not None
        output, deadline = self._process.stdout.fileno(), time.monotonic() + timeout_s
        while sign not in self._said:
            ready, _, _ = select.select([output], [], [], max(0.0, deadline - time.monotonic()))
            if not ready:
                raise self._silent(timeout_s)
            chunk = os.read(output, 65536)
            if not chunk:
                raise self._ended()
            self._said += chunk
        self._said = self._said.partition(sign)[2]

    def _silent(self, timeout_s: float) -> MachineError:
        if self._said.strip():
            said = _last_words(self._said)
            return MachineError(f"{self._name}: {PROGRAM} does not answer in {timeout_s:.0f} s ({said}).")
        return MachineError(f"{self._name}: {PROGRAM} prints nothing, so nobody knows how far it is; {_BUILD}.")

    def _ended(self) -> MachineError:
        assert self._process.stdout is not None
        whole = output_of(self._said + self._process.stdout.read())
        if whole is None:
            return ConnectionLostError(f"{self._name}: the phone went away.")
        return MachineError(f"{self._name}: {PROGRAM} ended ({_last_words(whole[0])}); {_BUILD}.")


def _last_words(said: bytes) -> str:
    lines = said.decode(errors="replace").strip().splitlines()
    return lines[-1].strip()[-300:] if lines else "no word of it"
