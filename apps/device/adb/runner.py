"""`adb` with ExecuTorch's own `executor_runner` instead of the app.

It runs forwards and knows nothing of jobs: this side does the runner's work of docs/device.md, image by image.
"""

from __future__ import annotations

import base64
import json
import re
import tempfile
import time
from contextlib import suppress
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from apps.device.adb.client import SCRATCH, AdbClient, PhoneState, read_state
from apps.device.job.folder import Job
from apps.device.job.runner import finished_lines, network_input, pixels_of, write_whole
from apps.device.remote import Remote, Settings, Status, last_line
from edge_effnet.errors import MachineError

_PROGRAM = "executor_runner"

_FORWARD = re.compile(r"Iteration \d+ of \d+: ([0-9.]+) ms")
_LOAD = re.compile(r"Model loaded in ([0-9.]+) ms")

_BATCH_S = 0.5
"""How long one call of `status` works before it reports."""

_BUILD = "build ExecuTorch's executor_runner as docs/device.md says."


class AdbRunnerRemote(Remote):
    """A `Remote` whose runner is this machine, forward by forward."""

    def __init__(self, client: AdbClient, program: Path, settings: Settings) -> None:
        super().__init__(f"adb:{client.phone.serial}", settings)
        self._client = client
        self._program = program
        self._job: Job
        self._folder = ""
        self._before: PhoneState | None = None
        self._started = False
        self._results: bytes | None = None
        # What the app would keep on the phone: finished images.
        self._local = tempfile.TemporaryDirectory(prefix="edge-effnet-")
        self._partial = Path(self._local.name, "partial.jsonl")

    def open(self, job: Job) -> None:
        """Note battery and heat, make the folder, copy the runner."""
        self._job, self._folder = job, f"{SCRATCH}/edge-effnet-{job.id}"
        if self._before is None:
            self._before = read_state(self._client)
            self.notes = self._before.notes()
        self._client.shell(f"mkdir -p {self._folder}")
        self._client.push(self._program, f"{self._folder}/{_PROGRAM}")
        self._client.shell(f"chmod 755 {self._folder}/{_PROGRAM}")

    def missing(self, job: Job) -> list[str]:
        """The program, where it is not there yet; pixels are sent one by one."""
        found = self._client.shell(f"sha256sum {self._folder}/model.pte 2>/dev/null", check=False).split()
        return [] if found[:1] == [job.files["model.pte"]] else ["model.pte"]

    def send(self, path: Path, name: str) -> None:
        """Push the program; what an earlier run has finished stays on this side."""
        if name != "partial.jsonl":
            self._client.push(path, f"{self._folder}/{name}")
        elif not self._partial.exists():
            self._partial.write_bytes(path.read_bytes())

    def start(self, job: Job) -> None:
        """Keep whole lines of what an earlier run has finished."""
        write_whole(self._partial, "".join(json.dumps(x) + "\n" for x in finished_lines(self._partial, job.values)))
        self._started = True

    def status(self) -> Status:
        """Run images for a while, then say how many are done."""
        if self._results is not None:
            return Status(state="done", done=self._job.images)
        if not self._started:
            return Status(state="absent")
        done = finished_lines(self._partial, self._job.values)
        until = time.monotonic() + _BATCH_S
        with self._partial.open("a", encoding="utf-8") as file:
            while len(done) < self._job.images and time.monotonic() < until:
                line = self._run(len(done))
                file.write(json.dumps(line) + "\n")
                done.append(line)
        if len(done) == self._job.images:
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
        """Remove the folder."""
        if self._folder:
            self._client.shell(f"rm -rf {self._folder}", check=False)

    def close(self) -> None:
        """Forget what is on this side."""
        self._local.cleanup()

    def _run(self, index: int) -> dict[str, Any]:
        """One image: push its input, run a forward, read the output."""
        self._push_input(index)
        self._execute(1)
        logits = self._client.read(f"cat {self._folder}/output-0.bin") or b""
        classes = self._job.values["output"]["shape"][1]
        if len(logits) != 4 * classes:
            raise MachineError(
                f"{self.name}: {_PROGRAM} wrote {len(logits)} bytes of output, {classes} classes have {4 * classes}; "
                f"{_BUILD}"
            )
        return {**self._job.values["photographs"][index], "logits": base64.b64encode(logits).decode()}

    def _push_input(self, index: int) -> None:
        x = Path(self._local.name, "input.bin")
        x.write_bytes(network_input(self._job.values, pixels_of(self._job.folder, self._job.values, index)).tobytes())
        self._client.push(x, f"{self._folder}/input.bin")

    def _measured(self, done: list[dict[str, Any]]) -> bytes:
        """Rerun what the job asks for, time loads and forwards with the runner's own clock, write the results."""
        job, phone = self._job.values, self._client
        reruns = [self._run(index) for index in job["reruns"]]
        self._push_input(0)
        loads = [self._execute(1)[0] for _ in range(job["loads"] - 1)]
        last, times = self._execute(job["warmup"] + job["repeats"])
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
            "reruns": reruns,
            "load_ms": [*loads, last],
            "latency": {"warmup": job["warmup"], "times_ms": times[job["warmup"] :], "pauses": 0},
            "peak_memory_bytes": None,
            "thermal": self._thermal(),
        }
        return json.dumps(values).encode()

    def _execute(self, forwards: int) -> tuple[float, list[float]]:
        """Load the program and run the input that was pushed last; ms of the load and of each forward."""
        said = self._client.shell(
            f"cd {self._folder} && ./{_PROGRAM} --model_path=model.pte --inputs=input.bin --output_file=output "
            f"--num_executions={forwards} --print_output=none --cpu_threads={self._job.values['threads']} 2>&1",
            check=False,
        )
        load, times = _LOAD.search(said), [float(ms) for ms in _FORWARD.findall(said)]
        if load is None or len(times) < forwards:
            last = last_line(said)[-300:] or "no word of it"
            raise MachineError(f"{self.name}: {_PROGRAM} ended ({last}) without telling its times; {_BUILD}")
        return float(load[1]), times

    def _thermal(self) -> dict[str, Any] | None:
        """The battery's temperature, as the app reports it."""
        assert self._before is not None
        after = read_state(self._client)
        if self._before.battery_c is None or after.battery_c is None:
            return None
        return {"before_c": self._before.battery_c, "after_c": after.battery_c, "status": after.throttling}
