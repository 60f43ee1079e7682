"""The table of formats: what is damaged, which commands see it, and what an exit code of 0 has to mean."""

from __future__ import annotations

import base64
import io
import json
import random
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from PIL import Image

from edge_effnet import load_checkpoint
from quant.artifact.bundle import verify_bundle
from quant.artifact.recognise import SEAL, seal_of
from quant.metrics.evaluate import Accuracy, Fidelity
from quant.verdict.baseline import baseline_json, make_baseline
from tests.robustness.fuzz.mutate import damaged, damaged_json
from tests.robustness.fuzz.scene import Scene, replace_file, tar_of
from tests.support.artifacts import sign_again
from tests.support.paths import GOLDEN
from tests.support.shared import linked_copy
from tests.support.warm import WarmRuntime

_PAGE = "page.html"

Mutator = Callable[[bytes, random.Random], bytes]
Command = Sequence[str]
Call = Callable[[], object]


class WrongVerdictError(Exception):
    """A command said that all is well, and it is not."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Trial:
    """One mutant in its place."""

    commands: Sequence[Command | Call]
    """Words of `edge-effnet`, or a function of the public API."""
    page: Path | None = None
    """What a command may write."""
    oracle: Callable[[], None] = lambda: None
    """Called where a `check` exits with 0; raises WrongVerdictError."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Format:
    """A kind of file."""

    seed: Callable[[Scene], bytes]
    """The honest content."""
    mutate: Mutator
    place: Callable[[Scene, bytes, Path], Trial]
    """(scene, mutant, an empty folder) -> what to run."""


def _check(folder: Path, data: Path, *more: str) -> Command:
    return ("check", str(folder), "--data", str(data), "--json", *more)


def _report(folder: Path) -> Command:
    return ("report", str(folder), "--out", str(folder.parent / _PAGE))


def _in_artifact(
    name: str, *, commands: Callable[[Path, Scene], Sequence[Command | Call]], mutate: Mutator = damaged
) -> Format:
    """A file of the artifact folder, whose manifest was mended."""

    def place(scene: Scene, mutant: bytes, folder: Path) -> Trial:
        copy = linked_copy(scene.artifact.folder, folder / "artifact")
        replace_file(copy / name, mutant)
        replace_file(copy / "manifest.json", (scene.artifact.folder / "manifest.json").read_bytes())
        sign_again(copy)
        return Trial(commands=commands(copy, scene), page=folder / _PAGE, oracle=lambda: _sees_rightly(copy, scene))

    return Format(seed=lambda scene: (scene.artifact.folder / name).read_bytes(), mutate=mutate, place=place)


def _sees_rightly(folder: Path, scene: Scene) -> None:
    """The honest network classes every image rightly: so must any program that passed."""
    with WarmRuntime() as runtime:
        program = runtime.load(folder / "model.pte", "judged")
        found = runtime.run(program, scene.inputs).argmax(dim=1)
    if not torch.equal(found, scene.labels):
        raise WrongVerdictError(f"{int((found != scene.labels).sum())} of {len(found)} images in a wrong class")


def _verify_bundle(path: Path, cases: int) -> Call:
    def run() -> None:
        with WarmRuntime() as runtime:
            verify_bundle(runtime, path.read_bytes(), cases)

    return run


def _weights(suffix: str, content: Callable[[Scene], bytes]) -> Format:
    def place(_scene: Scene, mutant: bytes, folder: Path) -> Trial:
        path = folder / f"weights{suffix}"
        path.write_bytes(mutant)
        return Trial(commands=[lambda: load_checkpoint(path, "lite0")])

    return Format(seed=content, mutate=damaged, place=place)


def _pickled(scene: Scene) -> bytes:

    file = io.BytesIO()
    model = load_checkpoint(scene.files.weights, "lite0").model
    torch.save({"state_dict": model.state_dict(), "class_names": list(model.class_names or ())}, file)
    return file.getvalue()


def _image(suffix: str) -> Format:
    """An image among those that judge."""

    def seed(scene: Scene) -> bytes:
        path = next((scene.files.data / "val" / "red").glob("*.jpg"))
        if suffix == ".jpg":
            return path.read_bytes()

        file = io.BytesIO()
        Image.open(path).save(file, "PNG")
        return file.getvalue()

    def place(scene: Scene, mutant: bytes, folder: Path) -> Trial:
        data = linked_copy(scene.files.data / "val", folder / "val").parent
        (data / "val" / "red" / f"mutant{suffix}").write_bytes(mutant)
        return Trial(commands=[_check(scene.artifact.folder, data, "--max-drop", "30")])

    return Format(seed=seed, mutate=damaged, place=place)


def _shard() -> Format:
    def place(scene: Scene, mutant: bytes, folder: Path) -> Trial:
        data = linked_copy(scene.shards, folder / "shards")
        replace_file(tar_of(data), mutant)
        return Trial(commands=[_check(scene.artifact.folder, data, "--max-drop", "30")])

    return Format(seed=lambda scene: tar_of(scene.shards).read_bytes(), mutate=damaged, place=place)


def _manifest() -> Format:
    def place(scene: Scene, mutant: bytes, folder: Path) -> Trial:
        copy = linked_copy(scene.artifact.folder, folder / "artifact")
        replace_file(copy / "manifest.json", _sealed(mutant))

        def oracle() -> None:
            found, honest = json.loads(mutant), scene.artifact.manifest
            for key in ("classes", "input", "output", "labelled"):
                if found[key] != honest[key]:
                    raise WrongVerdictError(f"{key} was {found[key]!r}")
            _sees_rightly(copy, scene)

        commands = [_check(copy, scene.files.data), ("analyze", str(copy)), _report(copy)]
        return Trial(commands=commands, page=folder / _PAGE, oracle=oracle)

    return Format(
        seed=lambda scene: (scene.artifact.folder / "manifest.json").read_bytes(), mutate=damaged_json, place=place
    )


def _sealed(mutant: bytes) -> bytes:
    """Mend the seal, so that what lies behind it is tried too; what is no manifest stays as it is."""
    try:
        manifest = json.loads(mutant)
        return json.dumps(manifest | {SEAL: seal_of(manifest)}).encode()
    except (ValueError, TypeError, AttributeError, RecursionError):
        return mutant


def _baseline() -> Format:
    def seed(scene: Scene) -> bytes:
        accuracy = Accuracy(top1=1.0, top5=1.0, top1_interval=None)
        program = scene.artifact.manifest["files"]["model.pte"]["sha256"]
        fidelity = Fidelity(agreement=1.0, sqnr_db=scene.artifact.manifest["verdict"]["pte"]["sqnr_db"])
        text = baseline_json(make_baseline(scene.images, accuracy, fidelity, program))
        return text.encode()

    def place(scene: Scene, mutant: bytes, folder: Path) -> Trial:
        path = folder / "baseline.json"
        path.write_bytes(mutant)

        def oracle() -> None:
            if json.loads(mutant) != json.loads(seed(scene)):
                raise WrongVerdictError("an edited baseline was held")

        return Trial(
            commands=[_check(scene.artifact.folder, scene.files.data, "--baseline", str(path))], oracle=oracle
        )

    return Format(seed=seed, mutate=damaged_json, place=place)


def _results() -> Format:
    """What an iPhone's app exported."""

    def seed(scene: Scene) -> bytes:
        values = json.loads((GOLDEN / "results" / "good.json").read_text())
        values["program_sha256"] = scene.artifact.manifest["files"]["model.pte"]["sha256"]
        values["photographs"] = [
            {"name": image.name, "sha256": image.sha256, "logits": base64.b64encode(row.numpy().tobytes()).decode()}
            for image, row in zip(scene.images, scene.outputs, strict=True)
        ]
        values["reruns"] = values["photographs"][:2]
        return json.dumps(values).encode()

    def place(scene: Scene, mutant: bytes, folder: Path) -> Trial:
        path, honest = folder / "results.json", folder / "honest.json"
        path.write_bytes(mutant)
        honest.write_bytes(seed(scene))

        def oracle() -> None:
            right = {image.sha256: image.label for image in scene.images}
            for image in json.loads(mutant)["photographs"]:
                found = np.frombuffer(base64.b64decode(image["logits"]), dtype="<f4").argmax()
                if found != right[image["sha256"]]:
                    raise WrongVerdictError(f"{image['name']} was taken for {scene.artifact.labels[found]}")

        check = (*_check(scene.artifact.folder, scene.files.data), "--device", f"ios:{path}")
        return Trial(commands=[check, ("compare", str(honest), str(path))], oracle=oracle)

    return Format(seed=seed, mutate=damaged_json, place=place)


def _checked_and_inspected(name: str) -> Callable[[Path, Scene], Sequence[Command | Call]]:
    return lambda folder, scene: (
        _check(folder, scene.files.data),
        ("inspect", str(folder / name), "--layers", "--json"),
        ("diff", str(folder / name), str(scene.artifact.folder / name)),
    )


FORMATS: dict[str, Format] = {
    "pte": _in_artifact("model.pte", commands=_checked_and_inspected("model.pte")),
    "float-pte": _in_artifact("float.pte", commands=_checked_and_inspected("float.pte")),
    "bpte": _in_artifact(
        "model.bpte",
        commands=lambda folder, scene: (
            _verify_bundle(folder / "model.bpte", len(scene.artifact.manifest["golden"])),
            ("inspect", str(folder / "model.bpte")),
        ),
    ),
    "layers": _in_artifact(
        "layers.json",
        mutate=damaged_json,
        commands=lambda folder, scene: (("analyze", str(folder)), _report(folder), _check(folder, scene.files.data)),
    ),
    "delegation": _in_artifact(
        "delegation.json", mutate=damaged_json, commands=lambda folder, scene: (_report(folder),)
    ),
    "safetensors": _weights(".safetensors", lambda scene: scene.files.weights.read_bytes()),
    "pth": _weights(".pth", _pickled),
    "jpeg": _image(".jpg"),
    "png": _image(".png"),
    "tar": _shard(),
    "manifest": _manifest(),
    "baseline": _baseline(),
    "results": _results(),
}
"""A row a format: what is damaged, how, and where it is put."""
