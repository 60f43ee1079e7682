"""Projects of apps that an artifact is put into: this package's own, and anybody's.

Each kind of project is one entry of `APPS`; `look` finds out where its model belongs and which ExecuTorch it links.
"""

from __future__ import annotations

import json
import re
import shutil
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from functools import cache
from importlib import resources
from pathlib import Path
from types import SimpleNamespace

from apps.device.gradle.look import LIBRARIES, look_at_gradle
from apps.device.gradle.script import text_of
from apps.device.linked import UNKNOWN, Linked, Pin
from edge_effnet.errors import InputError
from quant.common.atomic_io import atomic_folder


@dataclass(frozen=True, kw_only=True, slots=True)
class AppProject:
    """One kind of project."""

    name: str
    marks: tuple[str, ...]
    """Files, as patterns, one of which every such project has."""
    look: Callable[[Path, str | None], Linked]
    """At a project and, where one is named, a module of it."""
    dependency: str
    """How a project asks for VERSION, of LIBRARY."""
    libraries: Mapping[str, tuple[str, ...]]
    """Those that a project may choose from, and the backends of each."""

    def dependency_for(self, backend: str, version: str, linked: Iterable[str] = ()) -> str:
        """What a project has to say for a program of this backend: the library that it links, if that one runs it."""
        able = [name for name in (*linked, *self.libraries) if backend in self.libraries.get(name, ())]
        return self.dependency.replace("VERSION", version).replace("LIBRARY", able[0] if able else "")


@cache
def ios_app() -> SimpleNamespace:
    """Names and versions that Python and the app of `apps/ios` share: `ios.json`."""
    return SimpleNamespace(**json.loads(resources.files("apps.device").joinpath("ios.json").read_text()))


def _look_at_xcode(root: Path, module: str | None = None) -> Linked:
    if module is not None:
        raise InputError(f"--module {module}: {root} is an Xcode project, which has none; leave it out.")
    own = ios_app()
    patterns = ("*.xcodeproj/project.pbxproj", "Package.swift", "*/Package.swift")
    pins = tuple(
        Pin(where=path, library="", said=version, version=version)
        for pattern in patterns
        for path in sorted(root.glob(pattern))
        for version in dict.fromkeys(re.findall(r"swiftpm-([0-9][0-9A-Za-z.]*)", text_of(path)))
    )
    return Linked(
        root=root,
        model=root / own.model_folder,
        pins=pins,
        backends=tuple(own.backends),
        next_step=f"open {root} in Xcode and run it",
        notes=() if pins else (f"{UNKNOWN}: no project file names a branch {own.branch}",),
    )


APPS: dict[str, AppProject] = {
    app.name: app
    for app in (
        AppProject(
            name="android",
            marks=("settings.gradle*", "build.gradle*", "gradle/*.versions.toml"),
            look=look_at_gradle,
            dependency='implementation("org.pytorch:LIBRARY:VERSION")',
            libraries=LIBRARIES,
        ),
        AppProject(
            name="ios",
            marks=("*.xcodeproj/project.pbxproj", "Package.swift"),
            look=_look_at_xcode,
            dependency="the package https://github.com/pytorch/executorch at the branch swiftpm-VERSION",
            libraries={},
        ),
    )
}


def find_app(name: str) -> AppProject:
    """Look a kind of project up.

    Raises:
        InputError: no such one; the message lists the choices.
    """
    if name not in APPS:
        raise InputError(f"--app {name}: unknown app; choose one of {', '.join(APPS)}.")
    return APPS[name]


def is_project(app: AppProject, root: Path) -> bool:
    """Whether a folder holds a project of that kind."""
    return any(True for mark in app.marks for _ in root.glob(mark))


def require_project(app: AppProject, folder: Path) -> None:
    """Refuse a folder that holds no project of that kind.

    Raises:
        InputError: no such folder, or nothing of a project in it.
    """
    if not folder.is_dir():
        raise InputError(f"{folder}: no such folder; --project takes the folder of your {app.name} project.")
    if not is_project(app, folder):
        raise InputError(f"{folder}: no {app.name} project there (none of {', '.join(app.marks)}); --project DIR.")


def own_project(app: AppProject) -> Path:
    """Where the app of this package is: `apps/<app>` of a clone, else `edge-effnet-<app>` here, a copy of it.

    Only looks: `copy_own` makes the copy.
    """
    installed = Path(__file__).parents[1] / app.name
    here = Path("apps") / app.name
    if (installed.parents[1] / "pyproject.toml").is_file():
        return installed
    return here if is_project(app, here) else Path(f"edge-effnet-{app.name}")


def copy_own(app: AppProject, project: Path) -> None:
    """Copy the installed project to where `own_project` says, unless one is there.

    Raises:
        MachineError: the disk refuses.
    """
    if project.exists():
        return
    with atomic_folder(project) as temporary:
        shutil.copytree(Path(__file__).parents[1] / app.name, temporary, dirs_exist_ok=True)
