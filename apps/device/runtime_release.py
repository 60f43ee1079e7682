"""Another release of executorch for `check --runtime`: installed on request beside this torch, kept, then offline.

It is the wheel alone, in a folder of its own that a runner puts in front of its path. Torch comes from the
interpreter that runs it: a release takes 130 MB, not gigabytes.
"""

from __future__ import annotations

import os
import re
import subprocess
import sys
from dataclasses import dataclass, replace
from pathlib import Path

from apps.device.job.drive import cache_folder
from apps.device.local import find_emulator, parse_arm64, runner_source
from apps.device.remote import DeviceOptions, last_line
from edge_effnet.errors import InputError, MachineError
from quant.common.atomic_io import atomic_folder
from quant.common.progress import Progress

TRANSPORTS = ("host", "arm64")
"""Devices whose runtime is ours to choose."""

_RELEASE = re.compile(r"\d{1,4}(\.\d{1,4}){1,2}")

_ASK = (
    "import sys, platform; from importlib.metadata import version;"
    "print('%d.%d' % sys.version_info[:2], platform.machine(), version('torch'), version('executorch'))"
)
_PROVE = "import sys; sys.path.insert(0, sys.argv[1]); import runner; print(runner.import_runtime(sys.argv[2])[1])"
_PATIENCE_S = 600.0
"""For an answer of an emulated Python, or for a download."""


@dataclass(frozen=True, slots=True)
class _Interpreter:
    """A Python that has torch and executorch."""

    command: tuple[str, ...]
    environment: dict[str, str]
    pip_platform: tuple[str, ...]
    """What pip has to know of another machine than this one."""
    python: str
    machine: str
    torch: str
    executorch: str

    @classmethod
    def of(cls, transport: str, detail: str, options: DeviceOptions) -> _Interpreter:
        """Ask the one that a transport runs."""
        native = transport == "host"
        command = (sys.executable, "-P") if native else (str(find_emulator(options)),)
        environment = {**os.environ, **({} if native else {"CPU": parse_arm64(detail)})}
        said = _run([*command, "-c", _ASK], environment).stdout.split()
        if len(said) != 4:
            raise MachineError(f"{command[0]}: no Python with torch and executorch there; install both.")
        python, machine, torch, executorch = said
        tags = (f"--platform=manylinux_{glibc}_{machine}" for glibc in ("2_28", "2_17"))
        foreign = () if native else (*tags, f"--python-version={python}")
        return cls(command, environment, foreign, python, machine, torch, executorch.partition("+")[0])


def require_release(runtime: str, transport: str) -> None:
    """Refuse what is no release, and devices that have a runtime of their own.

    Raises:
        InputError: one of them.
    """
    if not _RELEASE.fullmatch(runtime):
        raise InputError(f"--runtime {runtime}: no release of executorch; write one as 1.5.1.")
    if transport not in TRANSPORTS:
        raise InputError(
            f"--runtime is for {' and '.join(TRANSPORTS)}: {transport} has a runtime of its own; leave --runtime out."
        )


def with_release(options: DeviceOptions, device: tuple[str, str], progress: Progress) -> DeviceOptions:
    """Return options that say where the release lies which they name; it is installed where it is not there yet.

    Args:
        options: with a `runtime`; the installed release needs no folder.
        device: transport and detail.
        progress: told of an installation.

    Raises:
        InputError: no such release for this Python.
        MachineError: no network, no pip, no space, or a release that does not start beside this torch.
    """
    assert options.runtime is not None
    interpreter = _Interpreter.of(*device, options)
    if options.runtime == interpreter.executorch:
        return options
    name = f"executorch-{options.runtime}-py{interpreter.python}-{interpreter.machine}-torch{interpreter.torch}"
    site = cache_folder().with_name("runtimes") / name
    if not site.is_dir():
        with progress.stage(f"Installing executorch {options.runtime}", 1) as advance, atomic_folder(site) as new:
            _install(interpreter, options.runtime, new)
            _prove(interpreter, options.runtime, new)
            advance(1)
    return replace(options, runtime_site=site)


def _install(interpreter: _Interpreter, release: str, folder: Path) -> None:
    words = ["install", "--quiet", "--no-deps", "--no-compile", "--no-input", "--disable-pip-version-check"]
    words += ["--only-binary=:all:", "--retries", "1", "--timeout", "15", "--target", str(folder)]
    done = _run([sys.executable, "-P", "-m", "pip", *words, *interpreter.pip_platform, f"executorch=={release}"])
    if done.returncode == 0:
        return
    if "No module named pip" in done.stderr:
        raise MachineError("--runtime installs with pip, which this Python lacks: python -m ensurepip, then again.")
    where = f"for Python {interpreter.python} on {interpreter.machine}"
    found = re.search(r"\(from versions: (.*)\)", done.stderr)
    if found and found[1] not in ("", "none"):
        newest = ", ".join(found[1].split(", ")[-8:])
        raise InputError(f"--runtime {release}: no such release of executorch {where}; take one of {newest}.")
    if found:
        raise MachineError(
            f"--runtime {release}: executorch cannot be fetched {where}: no package index answers, or it has none; "
            "connect once to install the release, later runs need no network."
        )
    raise MachineError(f"--runtime {release}: pip cannot install it ({last_line(done.stderr)}).")


def _prove(interpreter: _Interpreter, release: str, site: Path) -> None:
    """Start the runtime once: what does not start is not kept."""
    words = ("-c", _PROVE, str(runner_source().parent), str(site))
    done = _run([*interpreter.command, *words], interpreter.environment)
    if done.returncode or done.stdout.split()[-1:] != [release]:
        raise MachineError(
            f"--runtime {release}: it does not start beside torch {interpreter.torch} "
            f"({last_line(done.stderr) or done.stdout.strip()}); take a release that was built for this torch."
        )


def _run(command: list[str], environment: dict[str, str] | None = None) -> subprocess.CompletedProcess[str]:
    try:
        return subprocess.run(
            command,
            env=environment,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            errors="replace",
            check=False,
            timeout=_PATIENCE_S,
        )
    except OSError as error:
        raise MachineError(f"{command[0]} does not start ({error.strerror}).") from error
    except subprocess.TimeoutExpired as error:
        raise MachineError(f"{Path(command[0]).name}: no end in {_PATIENCE_S:.0f} s; check the network.") from error
