"""`adb` with ExecuTorch's own `executor_runner --server_mode` instead of the app.

It runs one forward for each line that it reads: input from a file that is read anew each time, output into another.
This side therefore does the runner's work of docs/device.md, photograph by photograph.
"""

from __future__ import annotations

import base64
import json
import re
import select
import subprocess
import tempfile
import time
from contextlib import suppress
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np

from apps.device.adb_checks import SCRATCH, require_room
from apps.device.adb_client import AdbClient
from apps.device.job import Job, Settings
from apps.device.remote import ConnectionLostError, Status
from apps.device.runner import finished_lines, network_input, pixels_of, write_whole
from edge_effnet.errors import InputError, MachineError

_DONE = b"SERVER MODE DONE"
_FORWARD = re.compile(r"Iteration \d+ of \d+: ([0-9.]+) ms")
_LOAD = re.compile(r"Model loaded in ([0-9.]+) ms")
_ANSWER_TIMEOUT_S = 120.0

_BATCH_S = 0.5
"""How long one call of `status` works before it reports."""


class AdbRunnerRemote:
    """A `Remote` whose runner is this machine, forward by forward."""

    def __init__(self, client: AdbClient, program: Path, settings: Settings) -> None:
        self.name = f"adb:{client.phone.serial}"
        self.settings = settings
        self._client = client
        self._program = program
        self._job: Job | None = None
        self._server: subprocess.Popen[bytes] | None = None
        self._said = b""
        self._results: bytes | None = None
        # What the app would keep on the phone: finished photographs.
        self._local = tempfile.TemporaryDirectory(prefix="edge-effnet-")

    def open(self, job: Job) -> None:
        """Make the folder and copy the runner."""
        if not self._program.is_file():
            raise InputError(
                f"--executor-runner {self._program}: no such file; build ExecuTorch's executor_runner for Android."
            )
        self._job = job
        require_room(self._client, job)
        self._client.shell(f"mkdir -p {self._folder}")
        self._client.push(self._program, f"{self._folder}/executor_runner")
        self._client.shell(f"chmod 755 {self._folder}/executor_runner")

    def missing(self, job: Job) -> list[str]:
        """The program, where it is not there yet; pixels are sent one by one."""
        found = self._client.shell(f"sha256sum {self._folder}/model.pte", check=False).split()
        return [] if found[:1] == [job.files["model.pte"]] else ["model.pte"]

    def send(self, path: Path, name: str) -> None:
        """Push the program; what is finished already stays on this side."""
        if name == "partial.jsonl":
            self._partial.write_bytes(path.read_bytes())
        else:
            self._client.push(path, f"{self._folder}/{name}")

    def start(self, job: Job) -> None:
        """Start the server."""
        self._stop()
        write_whole(self._partial, "".join(json.dumps(x) + "\n" for x in finished_lines(self._partial, job.values)))
        self._server = self._client.start_shell(
            f"cd {self._folder} && ./executor_runner --model_path=model.pte --inputs=input.bin --output_file=output "
            f"--server_mode=true --print_output=none --cpu_threads={job.values['threads']} 2>&1"
        )

    def status(self) -> Status:
        """Run photographs for a while, then say how many are done."""
        if self._results is not None:
            return Status(state="done", done=self._photographs)
        if self._server is None:
            return Status(state="absent")
        assert self._job is not None
        done = finished_lines(self._partial, self._job.values)
        until = time.monotonic() + _BATCH_S
        with self._partial.open("a", encoding="utf-8") as file:
            while len(done) < self._photographs and time.monotonic() < until:
                line = self._run(len(done))
                file.write(json.dumps(line) + "\n")
                done.append(line)
        if len(done) == self._photographs:
            self._results = self._measured(done)
        return Status(state="running", done=len(done))

    def fetch(self, name: str) -> bytes | None:
        """What the app would have written."""
        if name == "results.json":
            return self._results
        with suppress(OSError):
            return (Path(self._local.name) / name).read_bytes()
        return None

    def remove(self) -> None:
        """Stop the server and remove the folder."""
        self._stop()
        if self._job is not None:
            self._client.shell(f"rm -rf {self._folder}", check=False)

    def close(self) -> None:
        """Forget what is on this side."""
        self._stop()
        self._local.cleanup()

    @property
    def _folder(self) -> str:
        assert self._job is not None
        return f"{SCRATCH}/edge-effnet-{self._job.id}"

    @property
    def _partial(self) -> Path:
        return Path(self._local.name, "partial.jsonl")

    @property
    def _photographs(self) -> int:
        assert self._job is not None
        return self._job.photographs

    def _run(self, index: int) -> dict[str, Any]:
        """One photograph: push its input, ask for a forward, pull the output."""
        assert self._job is not None
        assert self._server is not None
        assert self._server.stdin is not None
        job, place = self._job.values, Path(self._local.name)
        (place / "input.bin").write_bytes(network_input(job, pixels_of(self._job.folder, job, index)).tobytes())
        self._client.push(place / "input.bin", f"{self._folder}/input.bin")
        try:
            self._server.stdin.write(b"\n")
            self._server.stdin.flush()
        except BrokenPipeError as error:
            raise self._ended() from error
        self._await_answer()
        if not self._client.pull(f"{self._folder}/output-0.bin", place / "output.bin"):
            raise MachineError(f"{self.name}: executor_runner wrote no output; is it built with --server_mode?")
        logits = np.fromfile(place / "output.bin", dtype="<f4")
        return {**job["photographs"][index], "logits": base64.b64encode(logits.tobytes()).decode()}

    def _await_answer(self) -> None:
        assert self._server is not None
        assert self._server.stdout is not None
        deadline = time.monotonic() + _ANSWER_TIMEOUT_S
        before = self._said.count(_DONE)
        while self._said.count(_DONE) == before:
            ready, _, _ = select.select([self._server.stdout], [], [], max(0.0, deadline - time.monotonic()))
            chunk = self._server.stdout.read1(65536) if ready else b""  # type: ignore[attr-defined]
            if not chunk:
                raise self._ended()
            self._said += chunk

    def _ended(self) -> MachineError:
        assert self._server is not None
        lines = self._said.decode(errors="replace").strip().splitlines()
        said = lines[-1][-300:] if lines else "no word of it"
        if not self._client.shell("echo here", check=False).strip():
            return ConnectionLostError(f"{self.name}: the phone went away.")
        return MachineError(
            f"{self.name}: executor_runner ended ({said}); is it built with --server_mode and XNNPACK?"
        )

    def _measured(self, done: list[dict[str, Any]]) -> bytes:
        """Time loads and forwards with the runner's own clock and write the results."""
        assert self._job is not None
        self._stop()
        job = self._job.values
        loads: list[float] = []
        times: list[float] = []
        for turn in range(job["loads"]):
            last = turn == job["loads"] - 1
            count = job["warmup"] + job["repeats"] if last else 1
            said = self._client.shell(
                f"cd {self._folder} && ./executor_runner --model_path=model.pte --inputs=input.bin "
                f"--num_executions={count} --print_output=none --cpu_threads={job['threads']} 2>&1"
            )
            loads += [float(ms) for ms in _LOAD.findall(said)]
            times = [float(ms) for ms in _FORWARD.findall(said)]
        if not loads or len(times) <= job["warmup"]:
            raise MachineError(
                f"{self.name}: this executor_runner prints no times; build it with logging switched on."
            )
        return self._results_of(done, loads, times[job["warmup"] :])

    def _results_of(self, done: list[dict[str, Any]], loads: list[float], times: list[float]) -> bytes:
        assert self._job is not None
        job, phone = self._job.values, self._client
        values = {
            "schema": 1,
            "created": datetime.now(UTC).isoformat(timespec="seconds"),
            "job": job["id"],
            "program_sha256": job["program"]["sha256"],
            "complete": True,
            "device": {
                "transport": "adb",
                "name": phone.phone.model,
                "os": f"Android {phone.shell('getprop ro.build.version.release').strip()}",
                "soc": phone.shell("getprop ro.soc.model", check=False).strip(),
                "abi": phone.shell("getprop ro.product.cpu.abi").strip(),
                "emulated": phone.shell("getprop ro.kernel.qemu", check=False).strip() == "1",
            },
            # It does not tell; the program ran, so it is new enough.
            "runtime": {"version": "unknown", "threads": job["threads"]},
            "photographs": done,
            "load_ms": loads,
            "latency": {"warmup": job["warmup"], "times_ms": times, "pauses": 0},
            "peak_memory_bytes": None,
            "thermal": None,
        }
        return json.dumps(values).encode()

    def _stop(self) -> None:
        server, self._server = self._server, None
        if server is not None:
            server.kill()
            server.communicate()
            self._said = b""
