"""`edge-effnet deploy`: an artifact into an app's project, if both are of one ExecuTorch."""

from __future__ import annotations

import json
import re
import shutil
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from importlib import resources
from pathlib import Path
from types import SimpleNamespace

from edge_effnet.errors import InputError
from quant.artifact.model import Artifact
from quant.artifact.open import open_artifact
from quant.artifact.recognise import ARTIFACT
from quant.common.atomic_io import atomic_folder
from quant.common.overwrite import require_replaceable


@dataclass(frozen=True, kw_only=True, slots=True)
class AppProject:
    """Where an app's project keeps its model, and where it pins its runtime."""

    name: str
    model: str
    """Folder of the model below the project."""
    pinned_in: str
    """File of the project that names the version of ExecuTorch."""
    pin: re.Pattern[str]
    """Its first group is that version."""
    remedy: str
    """How to pin VERSION."""
    backends: tuple[str, ...]
    """That the app links."""
    next_step: str
    """What to do when the model is there."""


@cache
def ios_app() -> SimpleNamespace:
    """Names and versions that Python and the app of `apps/ios` share: `ios.json`."""
    return SimpleNamespace(**json.loads(resources.files("apps.device").joinpath("ios.json").read_text()))


APPS: dict[str, AppProject] = {
    app.name: app
    for app in (
        AppProject(
            name="android",
            model="app/src/main/assets/model",
            pinned_in="gradle/libs.versions.toml",
            pin=re.compile(r'^executorch\s*=\s*"([^"]+)"', re.MULTILINE),
            remedy='set executorch = "VERSION" there',
            backends=("xnnpack", "portable"),
            next_step="gradle :app:installDebug in apps/android, or Run in Android Studio",
        ),
        AppProject(
            name="ios",
            model=ios_app().model_folder,
            pinned_in=f"{ios_app().project}/project.pbxproj",
            pin=re.compile(r"swiftpm-([0-9][0-9A-Za-z.]*)"),
            remedy="set the branch swiftpm-VERSION there",
            backends=tuple(ios_app().backends),
            next_step="open the project in Xcode and run it",
        ),
    )
}


@dataclass(frozen=True, kw_only=True, slots=True)
class Deployed:
    """What was put where."""

    app: AppProject
    folder: Path
    files: tuple[str, ...]
    bytes: int


def deploy(folder: str | Path, *, app: str, project: str | Path | None = None) -> Deployed:
    """Copy program, labels, manifest and golden files into an app's project; a model that is there is replaced.

    Args:
        folder: the artifact.
        app: a key of `APPS`.
        project: the app's project; `apps/<app>` of this repository by default.

    Raises:
        InputError: a damaged artifact, an unknown app, no project there, a backend that the app does not link, an app
            pinned to another ExecuTorch than the artifact's, or files of others where its model belongs.
        MachineError: the disk refuses.
    """
    target = find_app(app)
    artifact = open_artifact(Path(folder))
    root = Path(project) if project is not None else Path(__file__).parents[1] / app
    _require_linked(artifact, target)
    _require_pin(artifact, target, root)
    files = ("model.pte", "labels.txt", *_golden(artifact))
    place = root / target.model
    require_replaceable(place, (ARTIFACT,), option="--project")
    with atomic_folder(place) as temporary:
        for name in (*files, "manifest.json"):
            (temporary / name).parent.mkdir(exist_ok=True)
            shutil.copyfile(artifact.folder / name, temporary / name)
    copied = (*files, "manifest.json")
    return Deployed(
        app=target, folder=place, files=copied, bytes=sum((place / name).stat().st_size for name in copied)
    )


def find_app(name: str) -> AppProject:
    """Look an app up.

    Raises:
        InputError: no such app; the message lists the choices.
    """
    if name not in APPS:
        raise InputError(f"--app {name}: unknown app; choose one of {', '.join(APPS)}.")
    return APPS[name]


def _golden(artifact: Artifact) -> Sequence[str]:
    return [name for name in artifact.manifest["files"] if name.startswith("golden/")]


def _require_linked(artifact: Artifact, app: AppProject) -> None:
    backend = artifact.manifest["backend"]
    if backend not in app.backends:
        raise InputError(
            f"{artifact.folder}: a {backend} program; the {app.name} app links {', '.join(app.backends)} only: make "
            f"one for these (quantize --backend {app.backends[0]})."
        )


def _require_pin(artifact: Artifact, app: AppProject, root: Path) -> None:
    pinned_in = root / app.pinned_in
    try:
        text = pinned_in.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise InputError(
            f"{root}: no {app.name} project there ({app.pinned_in} is missing); name it: --project DIR."
        ) from error
    match = app.pin.search(text)
    made = artifact.manifest["versions"]["executorch"].partition("+")[0]
    if match is None or match[1] != made:
        found = "no ExecuTorch" if match is None else f"ExecuTorch {match[1]}"
        raise InputError(
            f"{pinned_in}: pins {found}, the artifact was made by {made}, which an older runtime may not read; "
            f"{app.remedy.replace('VERSION', made)}."
        )
