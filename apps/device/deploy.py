"""`edge-effnet deploy`: an artifact into an app's project, if both are of one ExecuTorch."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from apps.device.app_projects import AppProject, copy_own, find_app, own_project, require_project
from apps.device.linked import Linked
from apps.device.native_libraries import packaged_libraries
from apps.device.shipped import ship
from edge_effnet.errors import InputError
from quant.artifact.model import Artifact
from quant.artifact.open import open_artifact
from quant.artifact.recognise import ARTIFACT
from quant.common.atomic_io import atomic_folder
from quant.common.overwrite import require_replaceable
from quant.lower.output import SIGMOID
from quant.lower.table import BACKENDS
from quant.metrics.tasks.classes import CLASSES


@dataclass(frozen=True, kw_only=True, slots=True)
class Deployed:
    """What was put where."""

    app: AppProject
    project: Path
    folder: Path
    files: tuple[str, ...]
    bytes: int
    notes: tuple[str, ...]
    """What was and what could not be checked, a sentence each."""
    next_step: str
    """What to do now."""


def deploy(
    folder: str | Path,
    *,
    app: str,
    project: str | Path | None = None,
    module: str | None = None,
    self_test: bool = False,
) -> Deployed:
    """Copy program, labels and what an app reads of the manifest into its project; a model that is there is replaced.

    Args:
        folder: the artifact.
        app: a key of `APPS`.
        project: the app's project, anybody's; by default this package's own app, in a clone `apps/<app>`, else a copy
            of it, `edge-effnet-<app>` in the current folder.
        module: of an Android project, that gets the model; by default the application.
        self_test: also copy the golden images; this package's own apps always get them.

    Raises:
        InputError: a damaged artifact, an unknown app, no project there, none or several modules for the model, a
            backend that the app does not link, an app pinned to another ExecuTorch than the artifact's, or files of
            others where its model belongs.
        MachineError: the disk refuses.
    """
    target = find_app(app)
    artifact = open_artifact(Path(folder))
    artifact.require_images()
    if project is None:
        _require_shown(artifact)
        root = own_project(target)
        copy_own(target, root)
    else:
        root = Path(project)
    require_project(target, root)
    linked = target.look(root, module)
    notes = [*_require_linked(artifact, target, linked), *filter(None, [linked.place])]
    if target.name == "android":
        versions = [pin.version for pin in linked.pins if pin.version]
        sentence = packaged_libraries(linked.root, versions=versions).sentence
        notes.append(sentence[0].upper() + sentence[1:])
    own = linked.root.resolve() == own_project(target).resolve()
    require_replaceable(linked.model, (ARTIFACT,), option="--project")
    linked.model.parent.mkdir(parents=True, exist_ok=True)
    with atomic_folder(linked.model) as temporary:
        files = ship(artifact, temporary, self_test=self_test or own)
    return Deployed(
        app=target,
        project=linked.root,
        folder=linked.model,
        files=files,
        bytes=sum((linked.model / name).stat().st_size for name in files),
        notes=tuple(notes),
        next_step=linked.next_step,
    )


def _require_shown(artifact: Artifact) -> None:
    """Refuse outputs that this package's own apps would take for logits of classes."""
    task = artifact.task
    if task is CLASSES or artifact.output.kind == SIGMOID:
        return
    way_out = f"put out probabilities (quantize --output {SIGMOID}), or name" if SIGMOID in task.kinds else "name"
    raise InputError(
        f"{artifact.folder}: --task {task.name} with --output {artifact.output}: this package's own app shows "
        f"probabilities of classes and labels; {way_out} an app of your own: --project DIR."
    )


def _require_linked(artifact: Artifact, app: AppProject, linked: Linked) -> list[str]:
    """Refuse a project whose ExecuTorch does not run the program; sentences on what it does not say."""
    backend = artifact.manifest["backend"]
    made = str(artifact.manifest["versions"]["executorch"]).partition("+")[0]
    dependency = app.dependency_for(backend, made, (pin.library for pin in linked.pins))
    if backend == "qnn":
        release = artifact.manifest.get("npu", {}).get("libraries", "the QNN that compiled it")
        dependency += f" beside com.qualcomm.qti:qnn-runtime of {release} or later"
    if backend not in linked.backends:
        apps = BACKENDS[backend].apps if backend in BACKENDS else ()
        ways = [f"link {dependency}" if name == app.name else f"deploy it --app {name}" for name in apps]
        raise InputError(
            f"{artifact.folder}: {backend} programs run in {' and '.join(apps) or 'no'} apps, and this "
            f"{app.name} app links {', '.join(linked.backends)} only: "
            f"{', or '.join([*ways, 'make one for these'])} (quantize --backend {linked.backends[0]})."
        )
    other = next((pin for pin in linked.pins if pin.version not in (None, made)), None)
    if other is not None:
        raise InputError(
            f"{other.where}: pins ExecuTorch {other.version}, the artifact was made by {made}, which an older "
            f"runtime may not read; set it to {made}: {dependency}."
        )
    return [f"Not checked: {note}; it must be {made}: {dependency}" for note in linked.notes]
