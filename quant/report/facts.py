"""What a report says about one artifact, read from its manifest: typed, and whatever is missing is None.

A report is a function of what the artifact folder holds (and of the images, for thumbnails), so the one that
`quantize` writes and the one that `edge-effnet report` regenerates are the same.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, fields
from itertools import pairwise
from pathlib import PurePath
from typing import Any, TypeVar

from edge_effnet.errors import InputError
from edge_effnet.samples import SAMPLE
from quant.analysis.fallback_cost import FloatLayer
from quant.analysis.search_result import Point
from quant.artifact.recognise import IN_MEMORY, check_command
from quant.common.findings import further_remedy
from quant.lower.result import Delegation
from quant.lower.table import BACKENDS
from quant.metrics.logit_changes import LogitChanges
from quant.metrics.margins import MarginClass, Paired
from quant.metrics.per_class import ClassFigures, ConfusionChange
from quant.metrics.tasks.table import task_of
from quant.metrics.tasks.task import Task
from quant.verdict.flips import Flip

PASS, CAUTION, FAIL, UNMEASURED = "pass", "caution", "fail", "unmeasured"

T = TypeVar("T")


@dataclass(frozen=True, kw_only=True, slots=True)
class Figures:
    """One network's figures; shares of 1, times ms, sizes bytes. None: unknown."""

    name: str
    """Of the column: `float`, `.pte`, ..."""
    top1: float | None
    top1_interval: tuple[float, float] | None
    top5: float | None
    agreement: float | None
    sqnr_db: float | None
    latency_ms: float | None
    latency_p90_ms: float | None
    load_ms: float | None
    size_bytes: int | None
    more: Mapping[str, float]
    """Those of the task, by their keys."""
    images: int | None
    """That they are of; None: all that judge."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Search:
    """Of the search for float layers."""

    images: int
    points: tuple[Point, ...]
    chosen: int
    """Index of the point that was taken."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Training:
    """Of a recipe that trains."""

    steps: int
    best_epoch: int
    """0: the post-training quantized network, which no epoch beat."""
    rows: Sequence[Mapping[str, float | None]]
    """The learning curve; the first row is step 0."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Facts:
    """Of one artifact."""

    task: Task
    variant: str
    activation: str
    image_size: int
    recipe: Mapping[str, Any]
    """Name, settings and seed."""
    backend: str
    apps: tuple[str, ...]
    """Phone apps that run such programs."""
    precision: str | None
    npu: Mapping[str, str]
    """Which NPU the program is for, and what ran it; empty of programs for others."""
    created: str
    level: str
    """`PASS`, `CAUTION`, `FAIL` or `UNMEASURED`."""
    reasons: tuple[str, ...]
    cautions: tuple[str, ...]
    broken_layer: str | None
    """Module where a program that failed lost the signal."""
    remedies: tuple[str, ...]
    notes: tuple[str, ...]
    """Without those that are cautions."""
    left_out: tuple[str, ...]
    """What findings are about, one by one, where their sentences only count it."""
    columns: tuple[Figures, ...]
    """float first, .pte last."""
    lowering: Figures | None
    """The .pte against the reference graph."""
    simulated: Figures | None
    """The graph that an unmeasured program was made from."""
    drop_interval: tuple[float, float] | None
    margins: tuple[MarginClass, ...]
    """Agreement by how sure float is; empty in manifests of earlier versions."""
    paired: Paired | None
    """Images lost and won; None without labels."""
    expected: tuple[float, float, float] | None
    """Top-1 expected to be lost, and its 95 % interval; shares of 1."""
    findings: tuple[Mapping[str, str], ...]
    """As `Finding.to_json` gives them."""
    max_drop: float | None
    min_agreement: float | None
    threads: int | None
    evaluated: int | None
    """Images."""
    calibrated: int | None
    labelled: bool
    """Whether the images' classes are known."""
    classes: tuple[ClassFigures, ...] | None
    """None in manifests of earlier versions."""
    confusion: tuple[ConfusionChange, ...]
    flips: tuple[Flip, ...]
    logits: LogitChanges | None
    """Image by image, what changed the class; None of other tasks, and in manifests of earlier versions."""
    outputs: tuple[Mapping[str, Any], ...]
    """Figures of each output by name, of a task that has such."""
    float_layers: tuple[FloatLayer, ...]
    search: Search | None
    training: Training | None
    delegation: Delegation
    command: tuple[str, ...]
    """That makes the artifact again; empty in manifests of earlier versions."""
    check: tuple[str, ...]
    """That checks the artifact on a phone with the images that judged it; empty where the command names none."""
    versions: Mapping[str, str]
    weights: Mapping[str, str]
    data: str
    """What `--data` named, its last part; empty where the command does not say."""
    processor: str
    """Of the machine that took the times; empty in manifests of earlier versions."""
    files: Mapping[str, Mapping[str, Any]]
    seconds: Mapping[str, float]

    @property
    def program(self) -> Figures:
        """Of the .pte."""
        return self.columns[-1]

    @property
    def float(self) -> Figures:
        """Of the float network."""
        return self.columns[0]

    @property
    def subject(self) -> str:
        """Weights and images, as a title names them."""
        sample = any(found["code"] == "sample-model" for found in self.findings)
        weights = "sample weights" if sample else self.weights["name"]
        data = "synthetic images" if sample and self.data in ("", SAMPLE) else self.data
        return f"{weights} on {data}" if data else weights

    @property
    def recipe_name(self) -> str:
        """Of the recipe; the precision of a program without one."""
        return str(self.recipe["name"])

    @property
    def searches(self) -> bool:
        """Whether a target would have been searched for."""
        return bool(self.recipe.get("searches")) and self.precision is None

    @property
    def summary(self) -> str:
        """The recipe in a line; empty without one."""
        return str(self.recipe.get("summary", ""))


def facts_of(manifest: Mapping[str, Any]) -> Facts:
    """Read a manifest that its schema allows.

    Raises:
        InputError: a verdict that is not one of this project's.
    """
    try:
        facts = Facts(**_made(manifest), **_judged(manifest["verdict"]), **_measured(manifest))
        _require_consistent(facts)
    except (KeyError, TypeError, ValueError, AttributeError) as error:
        raise InputError(
            f"manifest.json of {manifest['variant']}, {manifest['backend']}: its verdict cannot be read "
            f"({type(error).__name__}: {error}); it is of another version or was edited: regenerate the artifact."
        ) from error
    return facts


def _made(manifest: Mapping[str, Any]) -> dict[str, Any]:
    """What the program is, and what it was made from."""
    command = tuple(manifest.get("command", ()))
    data = [place for option, place in pairwise(command) if option == "--data"]
    copied = ("variant", "activation", "image_size", "recipe", "backend", "created", "versions", "weights", "files")
    return {key: manifest[key] for key in copied} | {
        "task": task_of(manifest),
        "apps": BACKENDS[manifest["backend"]].apps if manifest["backend"] in BACKENDS else (),
        "precision": manifest.get("precision"),
        "npu": manifest.get("npu", {}),
        "delegation": Delegation(**manifest["delegation"]),
        "command": command,
        "check": _check_command(command, manifest["verdict"].get("artifact")),
        "data": PurePath(data[0]).name if data else "",
        "processor": str(manifest.get("machine", {}).get("processor", "")),
    }


def _check_command(command: Sequence[str], folder: str | None) -> tuple[str, ...]:
    if folder is None or not command or any(word.endswith(IN_MEMORY) for word in command):
        return ()
    return (*check_command(command, folder=folder), "--device", "adb")


def _judged(verdict: Mapping[str, Any]) -> dict[str, Any]:
    """The verdict in words and limits."""
    cautions, found = tuple(verdict.get("cautions", ())), verdict.get("findings", ())
    limits, diagnosis = verdict.get("limits", {}), verdict.get("diagnosis") or {}
    return {
        "level": {"pass": CAUTION if cautions else PASS, "fail": FAIL}.get(verdict["verdict"], UNMEASURED),
        "reasons": tuple(verdict.get("reasons", ())),
        "cautions": cautions,
        "broken_layer": diagnosis.get("layer"),
        "remedies": tuple(diagnosis.get("remedies", ())),
        "notes": tuple(note for note in verdict.get("notes", ()) if note not in cautions),
        "left_out": tuple(str(item) for row in found for item in row.get("items", ())),
        "findings": tuple(map(_finding, found)),
        "max_drop": limits.get("max_drop"),
        "min_agreement": limits.get("min_agreement"),
    }


def _measured(manifest: Mapping[str, Any]) -> dict[str, Any]:
    """Figures of the networks, of their classes, and of the search and the training that led to them."""
    verdict = manifest["verdict"]
    images = verdict.get("images", {})
    return {
        "columns": _columns(verdict, manifest["activation"]),
        "lowering": _optional(verdict, "lowering", images=verdict.get("quantized_images")),
        "simulated": _optional(verdict, "simulated", images=len(manifest["photographs"]["evaluation"]) or None),
        "drop_interval": _given(verdict, "drop_interval", _pair),
        "margins": tuple(MarginClass(**row) for row in verdict.get("margins", ())),
        "paired": _given(verdict, "paired", lambda row: _paired(row, images["evaluation"])),
        "expected": _given(verdict, "expected_drop", lambda row: (float(row["share"]), *_pair(row["interval"]))),
        "threads": verdict.get("threads"),
        "evaluated": images.get("evaluation"),
        "calibrated": images.get("calibration"),
        "labelled": verdict["float"].get(task_of(manifest).bounded[0]) is not None,
        "classes": _given(verdict, "classes", lambda rows: tuple(map(ClassFigures.from_json, rows))),
        "confusion": tuple(
            ConfusionChange(name=row["class"], answer=row["answer"], float_count=row["float"], pte_count=row["pte"])
            for row in verdict.get("confusion", ())
        ),
        "flips": tuple(map(Flip.from_json, verdict.get("flips", ()))),
        "logits": _given(verdict, "logit_changes", LogitChanges.from_json),
        "outputs": tuple(verdict.get("outputs", ())),
        "float_layers": tuple(FloatLayer(**row) for row in verdict.get("float_layers", ())),
        "search": _given(verdict, "search", _search),
        "training": _given(verdict, "training", _training),
        "seconds": verdict.get("seconds", {}),
    }


def _finding(row: Mapping[str, Any]) -> dict[str, str]:
    return {key: str(row[key]) for key in ("code", "severity", "message")} | {
        "remedy": further_remedy(str(row["message"]), str(row["remedy"]))
    }


def _require_consistent(facts: Facts) -> None:
    """What a schema cannot say: which figures come together.

    Raises:
        ValueError: a figure that belongs to the others is missing, or is beyond them.
    """
    if facts.level != UNMEASURED:
        before, after = facts.float, facts.program
        figures = [after.agreement, after.sqnr_db, before.latency_ms, before.size_bytes]
        # An emulator's time is none.
        figures += [*([] if facts.npu else [after.latency_ms]), after.size_bytes]
        if 0 < sum(figure is None for figure in figures) < len(figures):
            raise ValueError(f"some figures of the programs are missing: {figures}")
        if facts.labelled != (facts.task.figure.value(facts.program) is not None):
            raise ValueError("top-1, or what stands for it, of one network alone")
    for row in facts.classes or ():
        counts = [row.kept, *((row.float_right, row.pte_right) if facts.labelled else ())]
        if any(count is None or count > row.images for count in counts):
            raise ValueError(f"class {row.name!r} of {row.images} images: {counts}")
    if facts.training is not None and not 0 <= facts.training.best_epoch < len(facts.training.rows):
        raise ValueError(f"best_epoch {facts.training.best_epoch} of {len(facts.training.rows)} rows")


def _columns(verdict: Mapping[str, Any], activation: str) -> tuple[Figures, ...]:
    quantized = "QAT" if "ptq" in verdict else "quantized"
    middle = {"swapped": f"float, {activation}", "ptq": "PTQ", "quantized": quantized}
    found = {key: _figures(name, verdict[key]) for key, name in middle.items() if key in verdict}
    few = verdict.get("quantized_images")
    if few is not None and few != verdict["images"]["evaluation"]:
        # Without what only the same images would compare.
        fidelity = {"agreement": found["quantized"].agreement, "sqnr_db": found["quantized"].sqnr_db, "images": few}
        found["quantized"] = _figures(quantized, fidelity)
    return _figures("float", verdict["float"]), *found.values(), _figures(".pte", verdict["pte"])


def _optional(verdict: Mapping[str, Any], key: str, *, images: int | None = None) -> Figures | None:
    return _figures(key, {**verdict[key], "images": images}) if verdict.get(key) else None


def _figures(name: str, values: Mapping[str, Any]) -> Figures:
    plain = ("top1", "top5", "agreement", "sqnr_db", "latency_ms", "latency_p90_ms", "load_ms")
    return Figures(
        name=name,
        top1_interval=_given(values, "top1_interval", _pair),
        size_bytes=values.get("size_bytes"),
        images=values.get("images"),
        more={key: float(value) for key, value in values.items() if key not in _KNOWN and value is not None},
        **{key: _given(values, key, float) for key in plain},
    )


_KNOWN = frozenset(field.name for field in fields(Figures))


def _given(values: Mapping[str, Any], key: str, read: Callable[[Any], T]) -> T | None:
    """A value as a type, None where there is none."""
    value = values.get(key)
    return None if value is None else read(value)


def _pair(values: Any) -> tuple[float, float]:
    low, high = values
    return float(low), float(high)


def _paired(values: Mapping[str, Any], images: int) -> Paired:
    return Paired(lost=int(values["lost"]), won=int(values["won"]), images=images, chance=float(values["chance"]))


def _search(values: Mapping[str, Any]) -> Search:
    rows = [{**row, "float_layers": tuple(row["float_layers"])} for row in values["points"]]
    chosen = [row.pop("chosen") for row in rows].index(True)
    return Search(images=values["photographs"], points=tuple(Point(**row) for row in rows), chosen=chosen)


def _training(values: Mapping[str, Any]) -> Training:
    return Training(steps=values["steps"], best_epoch=values["best_epoch"], rows=values["rows"])
