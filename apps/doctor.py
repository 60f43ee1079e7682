"""`edge-effnet doctor`: what is installed, whether it belongs together, what is missing and how to get it.

Looks only: nothing is installed, started on a device or downloaded, and nothing that is missing is an error of ours.
"""

from __future__ import annotations

import os
import platform
import re
import shutil
import subprocess
import sys
from collections.abc import Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass
from importlib.metadata import PackageNotFoundError, requires, version
from pathlib import Path

from packaging.requirements import Requirement

from apps.device.app_projects import APPS, is_project, own_project, require_project
from apps.device.gradle.look import gradle_versions
from apps.device.native_libraries import packaged_libraries
from apps.device.remote import DeviceOptions, last_line
from quant.lower.table import BACKENDS

PACKAGE = "edge-effnet"

RELEASES = {"torch": "2.13.0", "torchao": "0.18.0", "executorch": "1.4.1"}
"""Built and tested together: a mix of others breaks export or lowering."""

_EXTRAS = {
    "openvino": "",
    "qnn": "",
    "ethos-u": "in an environment of its own (docs/npu.md): ",
    "heif": "",
    "training": "",
    "docs": "",
    "peers": "",
    "benchmarks": "",
    "release": "",
    "dev": "",
}
"""Of pyproject.toml, and what to know before one is installed."""

_BACKENDS_OF_RUNTIME = (
    "import torch;"
    "from quant.program import openvino_library; openvino_library.announce();"
    "from apps.device.job.runner import import_runtime;"
    "print('backends:', *import_runtime('')[0]._get_registered_backend_names())"
)


@dataclass(frozen=True, kw_only=True, slots=True)
class Finding:
    """One thing that was looked at."""

    group: str
    """Of the table: installation, runtime, backends, devices, apps, extras, machine."""
    name: str
    found: str
    """What is there; "missing" where nothing is."""
    ready: bool
    required: bool = False
    """Whether nothing works without it."""
    advice: str = ""
    """What to do where it is not ready."""


def examine(project: Path | None = None) -> list[Finding]:
    """Look at everything; the order is that of the table.

    Args:
        project: an Android project, whose native libraries are then required to be there and aligned; by default this
            package's own is looked at.

    Raises:
        InputError: no such project.
    """
    if project is not None:
        require_project(APPS["android"], project)
    return [*_installation(), _runtime(), *_backends(), *_devices(), *_apps(project), *_extras(), *_machine()]


def is_sound(findings: Sequence[Finding]) -> bool:
    """Whether everything that is required is ready."""
    return all(finding.ready for finding in findings if finding.required)


def _seen(
    group: str, name: str, found: str, ready: bool = True, advice: str = "", *, required: bool = False
) -> Finding:
    """A finding, with advice only where it is not ready."""
    return Finding(
        group=group, name=name, found=found, ready=ready, required=required, advice="" if ready else advice
    )


def _installation() -> Iterator[Finding]:
    allowed = {each.name: each.specifier for each in _requirements() if each.name in RELEASES}
    yield _seen("installation", "python", platform.python_version())
    for name in (PACKAGE, *RELEASES, "pillow"):
        found = _version(name)
        # A build for one kind of machine (2.13.0+cpu) is the release.
        ready = found is not None and (name not in allowed or allowed[name].contains(found.partition("+")[0]))
        wanted = "." if name == PACKAGE else f"{name}=={RELEASES[name]}" if name in RELEASES else name
        required = name != PACKAGE
        yield _seen("installation", name, found or "missing", ready, f"pip install {wanted}", required=required)


def _runtime() -> Finding:
    """Ask the runtime in a process of its own: a broken one takes its process with it."""
    names = None
    try:
        answer = _ask_runtime()
        why = last_line(answer.stderr) or f"exit code {answer.returncode}"
        names = re.search(r"^backends: (.*)$", answer.stdout, re.MULTILINE) if answer.returncode == 0 else None
    except (OSError, subprocess.TimeoutExpired) as error:
        why = type(error).__name__
    found = names[1] if names else f"does not start: {why}"
    advice = "reinstall: pip install --force-reinstall ."
    return _seen("runtime", "executorch", found, names is not None, advice, required=True)


def _ask_runtime() -> subprocess.CompletedProcess[str]:
    # -P: an executorch.py in the user's current folder is none of the runtime's modules.
    words = [sys.executable, "-P", "-c", _BACKENDS_OF_RUNTIME]
    return subprocess.run(words, capture_output=True, text=True, errors="replace", timeout=120, check=False)


def _backends() -> Iterator[Finding]:
    for backend in BACKENDS.values():
        missing = backend.missing()
        found = "missing" if missing else ", ".join(backend.choices())
        yield _seen("backends", backend.name, found, missing is None, missing or "")


def _devices() -> Iterator[Finding]:
    try:
        # What a broken installation lacks must not hide the rest.
        from apps.device.listing import list_devices  # noqa: PLC0415
    except (ImportError, OSError) as error:
        yield _seen("devices", "any", f"not looked for ({error})", False, "mend the installation first")
        return
    for device in list_devices(DeviceOptions()):
        yield Finding(group="devices", name=device.device, found=device.what, ready=device.ready, advice=device.note)


def _apps(project: Path | None) -> Iterator[Finding]:
    """The app projects of this package, and the memory pages of what an Android project was built with."""
    for app in APPS.values():
        own = own_project(app)
        made = "" if is_project(app, own) else f", once `edge-effnet deploy --app {app.name}` made it"
        yield _seen("apps", app.name, f"{own}{made}")
    ours = own_project(APPS["android"]), (RELEASES["executorch"],)
    root, versions = ours if project is None else gradle_versions(project)
    packaged = packaged_libraries(root, versions=versions)
    ready = not packaged.wrong and (packaged.libraries > 0 or project is None)
    advice = (
        "take releases of ExecuTorch and AGP (8.5.1 up) that align them"
        if packaged.libraries
        else f"build it first: cd {root} && ./gradlew assembleDebug"
    )
    yield _seen("apps", "native libraries", packaged.sentence, ready, advice, required=project is not None)


def _extras() -> Iterator[Finding]:
    for extra, remark in _EXTRAS.items():
        names = [each.name for each in _requirements(extra) if each.name != PACKAGE]
        absent = [name for name in names if _version(name) is None]
        # An installation without metadata does not say what an extra needs.
        ready = bool(names) and not absent
        found = "installed" if ready else f"missing: {', '.join(absent) or 'not known what it needs'}"
        yield _seen("extras", extra, found, ready, f"{remark}pip install '{PACKAGE}[{extra}]'")


def _machine() -> Iterator[Finding]:
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    yield _seen("machine", "processor", f"{platform.machine()}, {cores} cores")
    with suppress(ValueError, OSError):  # not every system says what it has
        memory = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 1e9
        # Below it B0 still fits, larger variants may not.
        yield _seen("machine", "memory", f"{memory:.1f} GB", memory >= 2, "take small variants (b0, lite0)")
    try:
        disk = shutil.disk_usage(Path.cwd()).free / 1e9
    except OSError as error:
        yield _seen("machine", "free disk", f"unknown: {error.strerror}", False)
        return
    # Below it a run over several backends may not fit.
    yield _seen("machine", "free disk", f"{disk:.1f} GB here", disk >= 2, "free some space, or work elsewhere")


def _requirements(extra: str = "") -> list[Requirement]:
    """What this package needs, always or for an extra; nothing where it is not installed."""
    try:
        found = map(Requirement, requires(PACKAGE) or [])
    except PackageNotFoundError:
        return []
    if not extra:
        return [each for each in found if each.marker is None]
    return [each for each in found if each.marker is not None and each.marker.evaluate({"extra": extra})]


def _version(name: str) -> str | None:
    try:
        return version(name)
    except PackageNotFoundError:
        return None
