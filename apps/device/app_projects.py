"""Projects of apps that an artifact is put into: this package's own, and anybody's.

Each kind of project is one entry of `APPS`; `look` finds out where its model belongs and which ExecuTorch it links.
"""

from __future__ import annotations

import json
import re
import shutil
import tomllib
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import cache
from importlib import resources
from itertools import chain
from pathlib import Path
from types import SimpleNamespace
from typing import Any

from edge_effnet.errors import InputError
from quant.common.atomic_io import atomic_folder

_ARTIFACTS: dict[str, tuple[str, ...]] = {
    "executorch-android": ("xnnpack", "portable"),
    "executorch-android-vulkan": ("xnnpack", "portable", "vulkan"),
    "executorch-android-qnn": ("xnnpack", "portable", "qnn"),
}
"""Maven artifacts of org.pytorch, and the backends that their libraries link."""

_LINE = re.compile(r"org\.pytorch:(executorch-android[\w-]*):([^\"'@\s)]+)")
"""A dependency in a build script."""

_KEY = re.compile(r'^executorch[\w-]*\s*=\s*"([^"]+)"', re.MULTILINE)
"""A version catalog's own name for it, where no library of it refers to one."""

_TABLES = ("versions", "libraries")
"""Of a version catalog; what is no table names nothing."""

_VERSION = re.compile(r"\d+(\.\d+)+[\w.+-]*")

_UNKNOWN = "which ExecuTorch the project links"

_APPLICATION = re.compile(r"com\.android\.application|plugins\.[\w.]*application\b")


@dataclass(frozen=True, kw_only=True, slots=True)
class Linked:
    """What a project says of its ExecuTorch and of the place for a model."""

    model: Path
    """Folder for the artifact."""
    where: Path | None
    """File that names the version; None where none was found."""
    version: str | None
    """None where the project does not say it in so many words."""
    backends: tuple[str, ...]
    """That the app links."""
    notes: tuple[str, ...] = ()
    """What could not be checked, a sentence each."""


@dataclass(frozen=True, kw_only=True, slots=True)
class AppProject:
    """One kind of project."""

    name: str
    marks: tuple[str, ...]
    """Files, as patterns, one of which every such project has."""
    look: Callable[[Path], Linked]
    dependency: str
    """How a project asks for VERSION."""
    next_step: str
    """What to do when the model is there; PROJECT stands for the folder."""


@cache
def ios_app() -> SimpleNamespace:
    """Names and versions that Python and the app of `apps/ios` share: `ios.json`."""
    return SimpleNamespace(**json.loads(resources.files("apps.device").joinpath("ios.json").read_text()))


def _look_at_gradle(root: Path) -> Linked:
    found = [each for each in (*_in_catalogs(root), *_in_scripts(root)) if _VERSION.fullmatch(each[2])]
    where, _, version = found[0] if found else (None, "", None)
    # A build that chooses among several libraries names them all; one that names none may link any.
    names = [name for path, name, other in found if (path, other) == (where, version)] or list(_ARTIFACTS)
    linked = (_ARTIFACTS.get(name, _ARTIFACTS["executorch-android"]) for name in names)
    return Linked(
        model=_application(root) / "src/main/assets/model",
        where=where,
        version=version,
        backends=tuple(dict.fromkeys(chain.from_iterable(linked))),
        notes=() if found else (f"{_UNKNOWN}: no catalog and no build script names its version",),
    )


def _application(root: Path) -> Path:
    """The module that becomes the app."""
    scripts = (*sorted(root.glob("*/build.gradle.kts")), *sorted(root.glob("*/build.gradle")))
    found = [script.parent for script in scripts if _APPLICATION.search(_text(script))]
    return found[0] if found and root / "app" not in found else root / "app"


def _in_catalogs(root: Path) -> Iterator[tuple[Path, str, str]]:
    """File, Maven artifact and version of each ExecuTorch in the version catalogs."""
    for path in sorted(root.glob("gradle/*.versions.toml")):
        text = _text(path)
        try:
            catalog = tomllib.loads(text)
        except tomllib.TOMLDecodeError:
            continue
        tables = {name: table if isinstance(table := catalog.get(name), dict) else {} for name in _TABLES}
        found = [_of_library(entry, tables["versions"]) for entry in tables["libraries"].values()]
        named = [(name, version) for name, version in found if name in _ARTIFACTS]
        yield from ((path, name, version) for name, version in named)
        if not named:
            yield from ((path, "executorch-android", version) for version in _KEY.findall(text))


def _of_library(entry: Any, versions: dict[str, Any]) -> tuple[str, str]:
    """Maven artifact of org.pytorch and version of a catalog's library; of others "" and ""."""
    if isinstance(entry, str):
        entry = dict(zip(("module", "version"), entry.rpartition(":")[::2], strict=True))
    if not isinstance(entry, dict):
        return "", ""
    group, _, name = str(entry.get("module", f"{entry.get('group')}:{entry.get('name')}")).partition(":")
    version = entry.get("version", "")
    if isinstance(version, dict):
        version = versions.get(str(version["ref"]), "") if "ref" in version else version
    if isinstance(version, dict):
        version = version.get("strictly") or version.get("require") or version.get("prefer") or ""
    return (name, str(version)) if group == "org.pytorch" else ("", "")


def _in_scripts(root: Path) -> Iterator[tuple[Path, str, str]]:
    for pattern in ("build.gradle*", "*/build.gradle*"):
        for path in sorted(root.glob(pattern)):
            yield from ((path, name, version) for name, version in _LINE.findall(_text(path)))


def _look_at_xcode(root: Path) -> Linked:
    own = ios_app()
    model = root / own.model_folder
    for pattern in ("*.xcodeproj/project.pbxproj", "Package.swift", "*/Package.swift"):
        for path in sorted(root.glob(pattern)):
            match = re.search(r"swiftpm-([0-9][0-9A-Za-z.]*)", _text(path))
            if match:
                return Linked(model=model, where=path, version=match[1], backends=tuple(own.backends))
    notes = (f"{_UNKNOWN}: no project file names a branch {own.branch}",)
    return Linked(model=model, where=None, version=None, backends=tuple(own.backends), notes=notes)


def _text(path: Path) -> str:
    """Contents of a file; of one that cannot be read, nothing."""
    try:
        return path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError):
        return ""


APPS: dict[str, AppProject] = {
    app.name: app
    for app in (
        AppProject(
            name="android",
            marks=("settings.gradle*", "build.gradle*", "gradle/*.versions.toml"),
            look=_look_at_gradle,
            dependency='implementation("org.pytorch:executorch-android:VERSION")',
            next_step="cd PROJECT && ./gradlew :app:installDebug, or Run in Android Studio",
        ),
        AppProject(
            name="ios",
            marks=("*.xcodeproj/project.pbxproj", "Package.swift"),
            look=_look_at_xcode,
            dependency="the package https://github.com/pytorch/executorch at the branch swiftpm-VERSION",
            next_step="open PROJECT in Xcode and run it",
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
