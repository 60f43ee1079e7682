"""What a report says about one artifact, read from its manifest: typed, and whatever is missing is None.

A report is a function of what the artifact folder holds (and of the images, for thumbnails), so the one that
`quantize` writes and the one that `edge-effnet report` regenerates are the same.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields
from pathlib import PurePath
from typing import Any

from quant.analysis.fallback_cost import FloatLayer
from quant.analysis.search_result import Point
from quant.common.findings import further_remedy
from quant.lower.result import Delegation
from quant.metrics.logit_changes import LogitChanges
from quant.metrics.margins import MarginClass
from quant.metrics.per_class import ClassFigures, ConfusionChange
from quant.metrics.tasks.table import task_of
from quant.metrics.tasks.task import Task
from quant.verdict.judged import Flip

PASS = "pass"
CAUTION = "caution"
FAIL = "fail"
UNMEASURED = "unmeasured"


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
    rows: tuple[Mapping[str, float | None], ...]
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
    paired: tuple[int, int] | None
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


def points_lost(facts: Facts) -> float | None:
    """What `max_drop` bounds first, from float to the program, points; None where the images have no labels."""
    before, after = (facts.task.figure.value(network) for network in (facts.float, facts.program))
    return None if before is None or after is None else 100.0 * (before - after)


_MIDDLE = {"swapped": "float, {activation}", "ptq": "PTQ", "quantized": "quantized"}
"""Keys of the verdict between float and .pte, and their columns."""


_OF_PROGRAMS = ("latency_ms", "size_bytes")
"""Figures of every program that ran."""


def read_facts(manifest: Mapping[str, Any]) -> Facts:
    """Read a manifest that its schema allows.

    Raises:
        KeyError, TypeError, ValueError, AttributeError: its verdict is not one that this project writes.
    """
    facts = Facts(**_made(manifest), **_judged(manifest["verdict"]), **_measured(manifest))
    _require_consistent(facts)
    return facts


def _made(manifest: Mapping[str, Any]) -> dict[str, Any]:
    """What the program is, and what it was made from."""
    command = tuple(manifest.get("command", ()))
    copied = ("variant", "activation", "image_size", "recipe", "backend", "created", "versions", "weights", "files")
    return {key: manifest[key] for key in copied} | {
        "task": task_of(manifest),
        "precision": manifest.get("precision"),
        "npu": manifest.get("npu", {}),
        "delegation": Delegation(**manifest["delegation"]),
        "command": command,
        "data": _data_name(command),
        "processor": str(manifest.get("machine", {}).get("processor", "")),
    }


def _judged(verdict: Mapping[str, Any]) -> dict[str, Any]:
    """The verdict in words and limits."""
    cautions = tuple(map(str, verdict.get("cautions", ())))
    found = verdict.get("findings", ())
    limits, diagnosis = verdict.get("limits", {}), verdict.get("diagnosis") or {}
    return {
        "level": _level(verdict["verdict"], cautions),
        "reasons": tuple(map(str, verdict.get("reasons", ()))),
        "cautions": cautions,
        "broken_layer": diagnosis.get("layer"),
        "remedies": tuple(map(str, diagnosis.get("remedies", ()))),
        "notes": tuple(str(note) for note in verdict.get("notes", ()) if note not in cautions),
        "left_out": tuple(str(item) for row in found for item in row.get("items", ())),
        "findings": tuple(map(_finding, found)),
        "max_drop": _number(limits.get("max_drop")),
        "min_agreement": _number(limits.get("min_agreement")),
    }


def _measured(manifest: Mapping[str, Any]) -> dict[str, Any]:
    """Figures of the networks, of their classes, and of the search and the training that led to them."""
    verdict = manifest["verdict"]
    classes, images = verdict.get("classes"), verdict.get("images", {})
    return {
        "columns": _columns(verdict, manifest["activation"]),
        "lowering": _optional(verdict, "lowering", images=verdict.get("quantized_images")),
        "simulated": _optional(verdict, "simulated"),
        "drop_interval": _pair(verdict.get("drop_interval")),
        "margins": tuple(MarginClass(**row) for row in verdict.get("margins", ())),
        "paired": _paired(verdict.get("paired")),
        "expected": _expected(verdict.get("expected_drop")),
        "threads": verdict.get("threads"),
        "evaluated": images.get("evaluation"),
        "calibrated": images.get("calibration"),
        "labelled": verdict["float"].get(task_of(manifest).bounded[0]) is not None,
        "classes": None if classes is None else tuple(map(ClassFigures.from_json, classes)),
        "confusion": tuple(map(_change, verdict.get("confusion", ()))),
        "flips": tuple(map(_flip, verdict.get("flips", ()))),
        "logits": LogitChanges.from_json(verdict["logit_changes"]) if "logit_changes" in verdict else None,
        "outputs": tuple(verdict.get("outputs", ())),
        "float_layers": tuple(FloatLayer(**row) for row in verdict.get("float_layers", ())),
        "search": _search(verdict.get("search")),
        "training": _training(verdict.get("training")),
        "seconds": {name: float(value) for name, value in verdict.get("seconds", {}).items()},
    }


def _finding(row: Mapping[str, Any]) -> dict[str, str]:
    return {key: str(row[key]) for key in ("code", "severity", "message")} | {
        "remedy": further_remedy(str(row["message"]), str(row["remedy"]))
    }


def _data_name(command: Sequence[str]) -> str:
    words = list(command)
    place = words.index("--data") + 1 if "--data" in words else len(words)
    return PurePath(words[place]).name if place < len(words) else ""


def _require_consistent(facts: Facts) -> None:
    """What a schema cannot say: which figures come together.

    Raises:
        ValueError: a figure that belongs to the others is missing, or is beyond them.
    """
    if facts.level != UNMEASURED:
        figures = [facts.program.agreement, facts.program.sqnr_db]
        figures += [getattr(facts.float, key) for key in _OF_PROGRAMS]
        # An emulator's time is none.
        figures += [getattr(facts.program, key) for key in _OF_PROGRAMS if key != "latency_ms" or not facts.npu]
        if 0 < sum(figure is None for figure in figures) < len(figures):
            raise ValueError(f"some figures of the programs are missing: {figures}")
        if facts.labelled != (facts.task.figure.value(facts.program) is not None):
            raise ValueError("top-1, or what stands for it, of one network alone")
    for row in facts.classes or ():
        counts = [row.kept, *((row.float_right, row.pte_right) if facts.labelled else ())]
        if any(count is None or count > row.images for count in counts):
            raise ValueError(f"class {row.name!r} of {row.images} images: {counts}")


def _level(word: str, cautions: Sequence[str]) -> str:
    if word == "pass":
        return CAUTION if cautions else PASS
    return FAIL if word == "fail" else UNMEASURED


def _columns(verdict: Mapping[str, Any], activation: str) -> tuple[Figures, ...]:
    middle = _MIDDLE | ({"quantized": "QAT"} if "ptq" in verdict else {})
    found = {
        key: _figures(name.format(activation=activation), verdict[key])
        for key, name in middle.items()
        if key in verdict
    }
    few = verdict.get("quantized_images")
    if few is not None and few != verdict["images"]["evaluation"]:
        # Without what only the same images would compare.
        fidelity = {"agreement": found["quantized"].agreement, "sqnr_db": found["quantized"].sqnr_db, "images": few}
        found["quantized"] = _figures(f"{middle['quantized']} ({few})", fidelity)
    return _figures("float", verdict["float"]), *found.values(), _figures(".pte", verdict["pte"])


def _optional(verdict: Mapping[str, Any], key: str, *, images: int | None = None) -> Figures | None:
    return _figures(key, {**verdict[key], "images": images}) if verdict.get(key) else None


def _figures(name: str, values: Mapping[str, Any]) -> Figures:
    size = values.get("size_bytes")
    return Figures(
        name=name,
        top1_interval=_pair(values.get("top1_interval")),
        size_bytes=None if size is None else int(size),
        images=values.get("images"),
        more={key: float(value) for key, value in values.items() if key not in _KNOWN and value is not None},
        **{
            key: _number(values.get(key))
            for key in ("top1", "top5", "agreement", "sqnr_db", "latency_ms", "latency_p90_ms", "load_ms")
        },
    )


_KNOWN = frozenset(field.name for field in fields(Figures))


def _number(value: Any) -> float | None:
    return None if value is None else float(value)


def _pair(values: Any) -> tuple[float, float] | None:
    if values is None:
        return None
    low, high = values
    return float(low), float(high)


def _paired(values: Mapping[str, Any] | None) -> tuple[int, int] | None:
    return None if values is None else (int(values["lost"]), int(values["won"]))


def _expected(values: Mapping[str, Any] | None) -> tuple[float, float, float] | None:
    if values is None:
        return None
    low, high = values["interval"]
    return float(values["share"]), float(low), float(high)


def _change(row: Mapping[str, Any]) -> ConfusionChange:
    return ConfusionChange(
        name=row["class"], answer=row["answer"], float_count=int(row["float"]), pte_count=int(row["pte"])
    )


def _flip(row: Mapping[str, Any]) -> Flip:
    return Flip(
        image=row["photograph"],
        label=row["label"],
        float_class=row["float"],
        pte_class=row["pte"],
        float_probability=_number(row["float_probability"]),
        pte_probability=_number(row["pte_probability"]),
        float_top=_ranked(row.get("float_top", ())),
        pte_top=_ranked(row.get("pte_top", ())),
    )


def _ranked(rows: Sequence[Sequence[Any]]) -> tuple[tuple[str, float], ...]:
    return tuple((str(name), float(probability)) for name, probability in rows)


def _search(values: Mapping[str, Any] | None) -> Search | None:
    if values is None:
        return None
    points = tuple(
        Point(
            float_layers=tuple(row["float_layers"]),
            **{key: float(row[key]) for key in ("added_ms", "agreement", "drop", "sqnr_db", "chance")},
            met=bool(row["met"]),
        )
        for row in values["points"]
    )
    chosen = [bool(row["chosen"]) for row in values["points"]].index(True)
    return Search(images=int(values["photographs"]), points=points, chosen=chosen)


def _training(values: Mapping[str, Any] | None) -> Training | None:
    if values is None:
        return None
    rows = tuple({name: _number(value) for name, value in row.items()} for row in values["rows"])
    return Training(steps=int(values["steps"]), best_epoch=int(values["best_epoch"]), rows=rows)
