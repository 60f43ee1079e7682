"""Plays the app of apps/android on the phone double: apps/device/job/runner.py, and what a test wants to happen.

    phone_app.py RUNNER JOB_FOLDER STATE_FOLDER

`events.json` of the state folder says what happens at which image (counted from 1): `die`, `unplug` (at once) or
`unplug-when-saved` (once somebody has read `partial.jsonl`). Each image that is run leaves a line in `forwards`. With
`vary` in the state folder the last image that runs again gets other bits, as buggy drivers of GPUs give them.
"""

import base64
import importlib.util
import json
import os
import signal
import sys
import time
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np

PATIENCE_S = 20.0


def load(path: str) -> ModuleType:
    spec = importlib.util.spec_from_file_location("runner", path)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def happen(event: str | None, state: Path) -> None:
    """Let an event take its course."""
    if event == "die":
        os.kill(os.getpid(), signal.SIGKILL)
    if event == "unplug-when-saved":
        until = time.monotonic() + PATIENCE_S
        while not (state / "partial-read").exists() and time.monotonic() < until:
            time.sleep(0.01)
    if event in ("unplug", "unplug-when-saved"):
        (state / "unplugged").write_text((state / "away").read_text())


def main() -> int:
    runner, state = load(sys.argv[1]), Path(sys.argv[3])
    path = state / "events.json"
    events: dict[str, str] = json.loads(path.read_text()) if path.exists() else {}
    run_images, run_image, count = runner.run_images, runner.run_image, 0

    def counted(*arguments: Any) -> Any:
        nonlocal count
        count += 1
        happen(events.get(str(count)), state)
        with (state / "forwards").open("a") as file:
            file.write("forward\n")
        return run_image(*arguments)

    def images(*arguments: Any) -> Any:
        runner.run_image = counted
        done = run_images(*arguments)
        runner.run_image = varying if (state / "vary").exists() else run_image
        return done

    def varying(folder: Path, job: dict[str, Any], method: Any, index: int) -> Any:
        line = run_image(folder, job, method, index)
        logits = np.frombuffer(base64.b64decode(line["logits"]), "<f4") + np.float32(index == job["reruns"][-1])
        return {**line, "logits": base64.b64encode(logits.tobytes()).decode()}

    runner.run_images = images
    sys.argv = [sys.argv[1], sys.argv[2], "adb"]
    code: int = runner.main()
    return code


if __name__ == "__main__":
    sys.exit(main())
