"""Where a Gradle project's model belongs, and which ExecuTorch it links."""

from __future__ import annotations

import os
import re
import shlex
from collections.abc import Mapping
from itertools import chain
from pathlib import Path

from apps.device.gradle.pins import pins_of, unused_versions
from apps.device.gradle.project import GradleProject, Module, project_root
from apps.device.gradle.script import code_of, scripts_in
from apps.device.linked import UNKNOWN, Linked, Pin
from edge_effnet.errors import InputError

LIBRARIES: Mapping[str, tuple[str, ...]] = {
    "executorch-android": ("xnnpack", "portable"),
    "executorch-android-vulkan": ("xnnpack", "portable", "vulkan"),
    "executorch-android-qnn": ("xnnpack", "portable", "qnn"),
}
"""Maven artifacts of org.pytorch, and the backends that they link."""

_ASSETS = "src/main/assets"
_OTHER_ASSETS = re.compile(r"\bassets\b[\s.{]*(?:srcDirs\s*=|setSrcDirs\b)[^\]}]*")
"""Folders in place of the usual one; what else a script says of them adds to it."""


def look_at_gradle(folder: Path, name: str | None = None) -> Linked:
    """Look at a project.

    Args:
        folder: the project, or a module of it.
        name: of the module that gets the model; by default that folder, or the application.

    Raises:
        InputError: no such module, no application, or more than one.
    """
    project = GradleProject(root=project_root(folder))
    module = _module(project, folder, name)
    pins = pins_of(project, module)
    # A build that chooses among several libraries names them all; one that names none may link any.
    names = [pin.library for pin in pins] if pins and all(pin.library for pin in pins) else list(LIBRARIES)
    linked = (LIBRARIES.get(library, LIBRARIES["executorch-android"]) for library in names)
    return Linked(
        root=project.root,
        model=module.folder / _ASSETS / "model",
        pins=pins,
        backends=tuple(dict.fromkeys(chain.from_iterable(linked))),
        next_step=_next_step(project, module),
        notes=tuple(f"{UNKNOWN}: {note}" for note in _unresolved(project, pins)),
        place=_place(project, module),
    )


def gradle_versions(folder: Path) -> tuple[Path, tuple[str, ...]]:
    """The root of a project, and every version of ExecuTorch that it asks for."""
    project = GradleProject(root=project_root(folder))
    return project.root, tuple(dict.fromkeys(pin.version for pin in pins_of(project) if pin.version))


def _module(project: GradleProject, folder: Path, name: str | None) -> Module:
    if name is not None:
        return project.find(name)
    if folder.resolve() == project.root.resolve():
        return project.application()
    given = project.module_in(folder)
    if given is None:
        raise InputError(f"{folder}: no build script there; --project takes the app's project, or a module of it.")
    return given


def _next_step(project: GradleProject, module: Module) -> str:
    task = "installDebug" if project.is_application(module) else "assembleDebug"
    path = f"{module.path.rstrip(':')}:{task}" if module.path != ":" else task
    return f"cd {shlex.quote(str(project.root))} && ./gradlew {path}, or Run in Android Studio"


def _place(project: GradleProject, module: Module) -> str:
    for path in scripts_in(module.folder):
        found = _OTHER_ASSETS.search(code_of(path))
        if found and _ASSETS not in found[0]:
            place = os.path.relpath(path, project.root)
            return f"{place} sets assets.srcDirs: if these are the app's own, add {_ASSETS!r}, where the model is now"
    return ""


def _unresolved(project: GradleProject, pins: tuple[Pin, ...]) -> list[str]:
    found = [_sentence(project, pin) for pin in pins if pin.version is None]
    if pins:
        return list(dict.fromkeys(found))
    return list(unused_versions(project)) or ["no catalog and no build script names its version"]


def _sentence(project: GradleProject, pin: Pin) -> str:
    place = os.path.relpath(pin.where, project.root)
    return f"{place} names it as {pin.said}" if pin.said else f"{place} names {pin.library} without a version"
