"""Runs a job folder (docs/device.md) where Python and ExecuTorch are: `runner.py FOLDER TRANSPORT [CPU [SITE]]`.

This file is copied to boards as it is: it imports nothing of this project, and works from Python 3.10 on.
"""

from __future__ import annotations

import base64
import contextlib
import fcntl
import hashlib
import importlib
import importlib.metadata
import json
import os
import platform
import sys
import time
from datetime import datetime, timezone
from pathlib import Path
from typing import Any

import numpy as np

# Names under which runtimes register the backends; the portable kernels need none.
_REGISTERED = {
    "xnnpack": "XnnpackBackend",
    "openvino": "OpenvinoBackend",
    "coreml": "CoreMLBackend",
    "vulkan": "VulkanBackend",
}

# Raspberry Pi and the like slow down from 80-85 degrees on.
_HOT_C, _COOL_C = 80.0, 70.0
_PAUSE_S, _MOST_PAUSES = 10.0, 12


class JobError(Exception):
    """One sentence about what stands in the way."""


def main() -> int:
    """Run the job; the exit code only says whether `results.json` is there, `status.json` says why not."""
    # `emulated`: the processor that an emulator stands for, which cannot tell by itself. `site`: where another
    # release lies than the installed one; it is tried whatever made the program.
    place, transport, emulated, site, *_ = (*sys.argv[1:], "", "")
    folder = Path(place)
    with (folder / "runner.lock").open("w") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            return 0  # another runner is at it
        try:
            run(folder, transport, emulated, site)
        except Exception as error:  # whatever happens has to reach the other side
            said = f"the runner fails ({type(error).__name__}: {error})."
            report(folder, state="failed", error=str(error) if isinstance(error, JobError) else said)
            return 1
    return 0


def run(folder: Path, transport: str, emulated: str, site: str) -> None:
    """Do what job.json says and write results.json."""
    job = json.loads((folder / "job.json").read_text(encoding="utf-8"))
    total = len(job["photographs"])
    report(folder, state="running", done=0, total=total)
    verify_files(folder, job)
    runtime, version = load_runtime(job, site)
    with contextlib.suppress(RuntimeError):
        runtime._unsafe_reset_threadpool(job["threads"])
    method, load_ms = timed_loads(runtime, folder / job["program"]["file"], job)
    images = run_images(folder, job, method)
    reruns = [run_image(folder, job, method, index) for index in job["reruns"]]
    before = hottest_zone()
    latency = timed_forwards(folder, job, method)
    results = {
        "schema": 1,
        "created": datetime.now(timezone.utc).isoformat(timespec="seconds"),  # noqa: UP017  (Python 3.10)
        "job": job["id"],
        "program_sha256": job["program"]["sha256"],
        "complete": True,
        "device": {**device(emulated), "transport": transport, "emulated": bool(emulated)},
        "runtime": {"version": version, "threads": job["threads"]},
        "photographs": images,
        "reruns": reruns,
        "load_ms": load_ms,
        "latency": latency,
        # An emulator's own memory says nothing of the program's.
        "peak_memory_bytes": None if emulated else peak_memory(),
        "thermal": None if before is None else {"before_c": before, "after_c": hottest_zone(), "status": None},
    }
    write_whole(folder / "results.json", json.dumps(results, indent=1) + "\n")
    report(folder, state="done", done=total, total=total)


def verify_files(folder: Path, job: dict[str, Any]) -> None:
    """Compare every file with the hash that the job gives."""
    for entry in (job["program"], *job["pixels"]["files"]):
        if hashlib.sha256((folder / entry["file"]).read_bytes()).hexdigest() != entry["sha256"]:
            raise JobError(f"{entry['file']}: damaged on its way to the device; start again.")


def import_runtime(site: str) -> tuple[Any, str]:
    """Import ExecuTorch, the installed one or that of a folder; the module and its version."""
    if site:
        sys.path.insert(0, site)
        import executorch  # noqa: PLC0415

        # It has no __init__.py: its parts would be looked for in the installed release, too.
        executorch.__path__ = [str(Path(site, "executorch"))]
    version = importlib.metadata.version("executorch")
    # The runtime's library needs torch's to be loaded first.
    import torch  # noqa: F401, PLC0415

    bindings = "executorch.extension.pybindings."
    try:
        return importlib.import_module(bindings + "_portable_lib"), version
    except ModuleNotFoundError:  # ExecuTorch 1.5 gave it another name
        return importlib.import_module(bindings + "_C"), version


def load_runtime(job: dict[str, Any], site: str) -> tuple[Any, str]:
    """Import ExecuTorch and refuse one that cannot run the job; the module and its version."""
    wanted, backend = job["program"]["executorch"], job["program"]["backend"]
    try:
        runtime, version = import_runtime(site)
    except ImportError as error:
        raise JobError(
            f"no ExecuTorch for this Python ({sys.executable}: {error}); install it there: "
            f"pip install executorch=={wanted}."
        ) from error
    if not site and release(version) < release(wanted):
        raise JobError(
            f"the program was made by ExecuTorch {wanted}, the device's runtime is {version}, which is older; "
            f"update it: pip install executorch=={wanted}."
        )
    name = _REGISTERED.get(backend)
    registered = runtime._get_registered_backend_names()
    if backend != "portable" and name not in registered:
        raise JobError(
            f"the device's runtime has no {backend} backend (it has {', '.join(registered) or 'none'}); make a "
            "program for one that it has: quantize --backend NAME."
        )
    return runtime, version


def release(version: str) -> tuple[int, ...]:
    """Numbers of a version: (1, 4, 1) of `1.4.1+cpu`."""
    numbers = version.partition("+")[0].split(".")
    return tuple(int("".join(c for c in part if c.isdigit()) or 0) for part in numbers[:3])


def timed_loads(runtime: Any, path: Path, job: dict[str, Any]) -> tuple[Any, Any]:
    """Load the program several times from a cold file cache; the last method with its program, and ms each."""
    program = runtime._load_program(str(path), program_verification=runtime.Verification.InternalConsistency)
    method: Any = None
    times = []
    for _ in range(job["loads"]):
        method = program = None  # the earlier one gives its memory back
        drop_from_cache(path)
        start = time.perf_counter()
        program = runtime._load_program(str(path))
        method = program.load_method("forward")
        times.append(1e3 * (time.perf_counter() - start))
    meta = method.method_meta()
    found = [list(meta.input_tensor_meta(0).sizes()), list(meta.output_tensor_meta(0).sizes())]
    if found != [job["input"]["shape"], job["output"]["shape"]]:
        raise JobError(
            f"the program maps {found[0]} to {found[1]}, the job says {job['input']['shape']} to "
            f"{job['output']['shape']}: regenerate the artifact."
        )
    # The method reads from its program's memory.
    return (method, program), times


def drop_from_cache(path: Path) -> None:
    """Ask the system to forget a file, so that the next read comes from the disk."""
    if hasattr(os, "posix_fadvise"):
        with path.open("rb") as file, contextlib.suppress(OSError):
            os.posix_fadvise(file.fileno(), 0, 0, os.POSIX_FADV_DONTNEED)


def run_images(folder: Path, job: dict[str, Any], method: Any) -> list[dict[str, Any]]:
    """Run every image that `partial.jsonl` does not hold yet."""
    partial = folder / "partial.jsonl"
    done = finished_lines(partial, job)
    # Rewritten without a last line that is not whole.
    write_whole(partial, "".join(json.dumps(line) + "\n" for line in done))
    total = len(job["photographs"])
    with partial.open("a", encoding="utf-8") as file:
        for index in range(len(done), total):
            line = run_image(folder, job, method, index)
            file.write(json.dumps(line) + "\n")
            file.flush()
            done.append(line)
            report(folder, state="running", done=index + 1, total=total)
    return done


def run_image(folder: Path, job: dict[str, Any], method: Any, index: int) -> dict[str, Any]:
    """Run one image; a line of `partial.jsonl`."""
    import torch  # noqa: PLC0415

    x = torch.from_numpy(network_input(job, pixels_of(folder, job, index)))
    logits = np.array(method[0].call([x])[0])[0].astype("<f4")
    return {**job["photographs"][index], "logits": base64.b64encode(logits.tobytes()).decode()}


def finished_lines(partial: Path, job: dict[str, Any]) -> list[dict[str, Any]]:
    """Images that an interrupted run finished, in the job's order."""
    done = []
    with contextlib.suppress(FileNotFoundError):
        for text, image in zip(partial.read_text(encoding="utf-8").splitlines(), job["photographs"]):  # noqa: B905
            try:
                line = json.loads(text)
                if line["sha256"] != image["sha256"] or not base64.b64decode(line["logits"]):
                    break
            except (ValueError, KeyError, TypeError):
                break
            done.append({**image, "logits": line["logits"]})
    return done


def pixels_of(folder: Path, job: dict[str, Any], index: int) -> np.ndarray:
    """uint8 [side, side, channels] of one image."""
    shape, layout = job["input"]["shape"], job["input"]["layout"]
    channels = shape[3] if layout == "NHWC" else shape[1]
    side, chunk = job["pixels"]["side"], job["pixels"]["chunk"]
    size = side * side * channels
    path = folder / job["pixels"]["files"][index // chunk]["file"]
    pixels = np.fromfile(path, dtype=np.uint8, count=size, offset=index % chunk * size)
    if pixels.size != size:
        raise JobError(f"{path.name}: has no image {index}; regenerate the job.")
    return pixels.reshape(side, side, channels)


def network_input(job: dict[str, Any], pixels: np.ndarray) -> np.ndarray:
    """Step 4 of docs/preprocessing.md, batch dimension included."""
    if job["normalize"] is None:
        return pixels[None]
    mean, std = (np.array(job["normalize"][key], dtype=np.float32) for key in ("mean", "std"))
    x = (pixels.astype(np.float32) / np.float32(255) - mean) / std
    return np.ascontiguousarray(x.transpose(2, 0, 1)[None])


def timed_forwards(folder: Path, job: dict[str, Any], method: Any) -> dict[str, Any]:
    """Time forwards on the first image, with pauses while the device is hot."""
    import torch  # noqa: PLC0415

    x = torch.from_numpy(network_input(job, pixels_of(folder, job, 0)))
    for _ in range(job["warmup"]):
        method[0].call([x])
    times, pauses = [], 0
    for _ in range(job["repeats"]):
        pauses += cooled_down(_MOST_PAUSES - pauses)
        start = time.perf_counter()
        method[0].call([x])
        times.append(1e3 * (time.perf_counter() - start))
    return {"warmup": job["warmup"], "times_ms": times, "pauses": pauses}


def cooled_down(most: int) -> int:
    """Wait until a hot device is cool; how many pauses that took."""
    pauses = 0
    if (hottest_zone() or 0.0) >= _HOT_C:
        while pauses < most and (hottest_zone() or 0.0) > _COOL_C:
            time.sleep(_PAUSE_S)
            pauses += 1
    return pauses


def hottest_zone() -> float | None:
    """Degrees Celsius of the hottest part that the kernel reports."""
    found = []
    for path in Path("/sys/class/thermal").glob("thermal_zone*/temp"):
        with contextlib.suppress(OSError, ValueError):
            found.append(int(path.read_text()) / 1000)
    return max(found, default=None)


def peak_memory() -> int | None:
    """Most bytes that this process ever had resident."""
    said = kernel_word("/proc/self/status", "vmhwm:").split()
    return 1024 * int(said[0]) if said else None


def device(emulated: str) -> dict[str, str]:
    """What this machine says of itself; an emulator is called by the processor that it stands for."""
    model = tree_word("model") or platform.node()
    processor = kernel_word("/proc/cpuinfo", "model name", "hardware") or platform.processor()
    soc = tree_word("compatible").split(",")[-1] or processor
    system = platform.freedesktop_os_release().get("PRETTY_NAME", "") if Path("/etc/os-release").exists() else ""
    system = system or platform.platform()
    words = {"name": emulated or model, "os": system, "soc": emulated or soc, "abi": platform.machine()}
    return {key: word[:200] for key, word in words.items()}


def tree_word(name: str) -> str:
    """Last entry of a file of the device tree, where NUL ends each; empty without such a file."""
    with contextlib.suppress(OSError):
        return Path("/proc/device-tree", name).read_bytes().decode(errors="replace").strip("\0\n").split("\0")[-1]
    return ""


def kernel_word(path: str, *names: str) -> str:
    """Value of the first line of a file that begins with one of the names, in lower case; empty without one."""
    with contextlib.suppress(OSError):
        for line in Path(path).read_text().splitlines():
            if line.lower().startswith(names):
                return line.partition(":")[2].strip()
    return ""


def report(folder: Path, *, state: str, done: int = 0, total: int = 0, error: str | None = None) -> None:
    """Write status.json."""
    status = {"state": state, "done": done, "of": total, "error": error}
    write_whole(folder / "status.json", json.dumps(status) + "\n")


def write_whole(path: Path, text: str) -> None:
    """Write under another name and rename."""
    temporary = path.with_suffix(path.suffix + ".part")
    temporary.write_text(text, encoding="utf-8")
    temporary.replace(path)


if __name__ == "__main__":
    sys.exit(main())
