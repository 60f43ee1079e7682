"""The artifact folder: the programs, what they need to be used rightly, and proof of what they are.

model.pte       the program for the phone
float.pte       the float network's own program: what model.pte is compared with, on any images
labels.txt      class names by index, one a line
manifest.json   everything else, versioned (`manifest.schema.json`, docs/manifest.md)
layers.json     the layer-by-layer analysis, from input to output (`edge-effnet analyze`)
report.html     the same for people
golden/         a few inputs and the outputs expected of them, raw little-endian float32
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import torch

from edge_effnet.errors import InputError
from edge_effnet.head import LINEAR
from edge_effnet.preprocess import Preprocess
from quant.analysis.layer_report import LayerReport, reports_from_json
from quant.common.json_io import read_json, schema_fault
from quant.lower.output import Output
from quant.lower.result import Delegation
from quant.metrics.tasks.table import task_of
from quant.metrics.tasks.task import Task

if TYPE_CHECKING:
    from quant.artifact.predict import Prediction

MANIFEST_SCHEMA = 1

# Of a few hundred activations, some hundred bytes each.
_MAX_PART_BYTES = 16 * 1024 * 1024

GOLDEN_TENSORS = ("input", "output", "float_output")
IMAGE_TENSORS = ("pixels", "input", "output")
"""Golden files of an image of the evaluation set, and of one that code draws, by their keys of the manifest."""

_RAW = {"float32": "<f4", "uint8": "|u1"}
RAW_SUFFIXES = {torch.float32: "f32", torch.uint8: "u8"}


@dataclass(frozen=True, kw_only=True, slots=True)
class Golden:
    """One input and the output that the program gave for it."""

    image: str
    input: torch.Tensor
    """float32, or uint8 for a program that takes pixels; without the batch dimension."""
    output: torch.Tensor
    """float32, without the batch dimension."""
    float_output: torch.Tensor
    """What the float network's program gave, likewise."""


@dataclass(frozen=True, kw_only=True, slots=True)
class GoldenImage:
    """An image and what has to come of it on every platform (docs/preprocessing.md)."""

    name: str
    """Such as `landscape.png`."""
    png: bytes
    pixels: torch.Tensor
    """uint8, [side, side, channels]: resized and cropped."""
    input: torch.Tensor
    """What the program takes, without the batch dimension."""
    output: torch.Tensor
    """Its logits."""


@dataclass(frozen=True, kw_only=True)
class Artifact:
    """An artifact folder whose files were verified against its manifest."""

    folder: Path
    manifest: dict[str, Any]

    @property
    def program(self) -> Path:
        """The program for the phone."""
        return self.folder / "model.pte"

    @property
    def float_program(self) -> Path:
        """The float network's program."""
        return self.folder / "float.pte"

    @property
    def programs(self) -> dict[str, Path]:
        """Both, by name."""
        return {"float": self.float_program, "pte": self.program}

    @property
    def labels(self) -> tuple[str, ...]:
        """Class names by index."""
        return tuple(self.manifest["classes"])

    @cached_property
    def task(self) -> Task:
        """What the network is for."""
        return task_of(self.manifest)

    @property
    def class_names(self) -> tuple[str, ...]:
        """Names of what is judged, by index: the labels, and of a binary task that of "no" before them."""
        negative = self.manifest.get("task", {}).get("negative")
        return self.labels if negative is None else (negative, *self.labels)

    @property
    def labelled(self) -> bool:
        """Whether the class names are real ones rather than numbers."""
        return bool(self.manifest["labelled"])

    @property
    def output(self) -> Output:
        """What the program puts out."""
        return Output.of_manifest(self.manifest["output"])

    def logits_of(self, program: str, values: torch.Tensor) -> torch.Tensor:
        """What a verdict compares, as the task's `view` gives it.

        Args:
            program: a key of `programs`; the float network's puts out logits, whatever the other does.
            values: as it put them out, [N, outputs].
        """
        logits = self.output.compared(values) if program == "float" else self.output.logits_of(values)
        return self.task.view(logits)

    @property
    def head(self) -> str:
        """Layers of the classifier (`edge_effnet.head`); "none" where the program puts out features."""
        return str(self.manifest.get("head", LINEAR))

    @cached_property
    def preprocess(self) -> Preprocess:
        """What images go through before the program."""
        return Preprocess.from_dict(self.manifest["preprocess"])

    def require_images(self) -> None:
        """Refuse an artifact of whose inputs nobody knows how an image becomes one.

        Raises:
            InputError: it was made with preprocessed tensors.
        """
        if self.preprocess.takes_tensors:
            raise InputError(
                f"{self.folder}: was made with preprocessed tensors, and how an image becomes one is not known; make "
                "it with images (preprocess= says what they go through)."
            )

    @property
    def delegation(self) -> Delegation:
        """What of the program runs in the backend."""
        return Delegation(**self.manifest["delegation"])

    @property
    def calibrated_on(self) -> frozenset[str]:
        """SHA-256 of the images that the program was fitted on."""
        images = self.manifest["photographs"]
        return frozenset(p["sha256"] for key in ("calibration", "training") for p in images.get(key, ()))

    def layers(self) -> list[LayerReport]:
        """Read the layer-by-layer analysis.

        Raises:
            InputError: an artifact without one, or a file that does not hold one.
        """
        path = self.folder / "layers.json"
        if path.name not in self.manifest["files"]:
            raise InputError(
                f"{self.folder}: has no layers.json; it is of an earlier version: regenerate the artifact."
            )
        return reports_from_json(read_part(path, "layers", "an analysis"))

    def predict(self, image: str | Path, *, top: int = 5) -> Prediction:
        """Say what the program sees on an image file, and float beside it.

        Args:
            image: the file; of many, `edge-effnet predict` starts the runtime once.
            top: classes.

        Raises:
            InputError: an image that cannot be read, or a program that this host does not run.
        """
        from quant.artifact.predict import predict  # noqa: PLC0415  (which imports this module)

        return predict(self, [image], top=top)[0]

    def golden(self) -> list[Golden]:
        """Read the golden inputs and outputs.

        Raises:
            InputError: a file's size does not fit the program's shapes.
        """
        return [
            Golden(image=entry["photograph"], **self.golden_tensors(entry, GOLDEN_TENSORS))
            for entry in self.manifest["golden"]
        ]

    def golden_images(self) -> list[GoldenImage]:
        """Read the images that apps are tested with, and what is expected of them.

        Raises:
            InputError: a file's size does not fit the program's shapes.
        """
        return [
            GoldenImage(
                name=Path(entry["photograph"]).name,
                png=(self.folder / entry["photograph"]).read_bytes(),
                **self.golden_tensors(entry, IMAGE_TENSORS),
            )
            for entry in self.manifest.get("golden_photographs", ())
        ]

    def golden_tensors(self, entry: Mapping[str, str], names: Sequence[str]) -> dict[str, torch.Tensor]:
        """Read tensors of golden files: outputs are float32, whatever the program puts them out as.

        Args:
            entry: of the manifest's `golden` or `golden_photographs`.
            names: of `GOLDEN_TENSORS` or `IMAGE_TENSORS`.

        Raises:
            InputError: a file's size does not fit.
        """
        side, output = self.preprocess.crop, {**self.manifest["output"], "dtype": "float32"}
        described = {
            "input": self.manifest["input"],
            "output": output,
            "float_output": output,
            "pixels": {"dtype": "uint8", "shape": [1, side, side, self.preprocess.channels]},
        }
        return {name: _read_raw(self.folder / entry[name], described[name]) for name in names}


def read_part(path: Path, schema: str, what: str) -> Any:
    """Read a JSON file of an artifact beside its manifest.

    Args:
        path: the file.
        schema: its name, such as `layers`.
        what: it is, for messages.

    Raises:
        InputError: unreadable, or it breaks the schema.
    """
    try:
        values = read_json(path, limit=_MAX_PART_BYTES)
        fault = schema_fault(values, schema, package="quant.artifact")
    except (OSError, ValueError) as error:
        fault = str(error)
    if fault is not None:
        raise InputError(f"{path}: not {what} ({fault}); regenerate the artifact.")
    return values


def sha256_of(data: bytes) -> str:
    """SHA-256 in hexadecimal."""
    return hashlib.sha256(data).hexdigest()


def raw_bytes(tensor: torch.Tensor) -> bytes:
    """Little-endian numbers without a header, as golden files keep them; float32 or uint8."""
    array = tensor.contiguous().numpy()
    return array.astype(_RAW[str(array.dtype)]).tobytes()


def _read_raw(path: Path, tensor: Mapping[str, Any]) -> torch.Tensor:
    dtype, shape = np.dtype(_RAW[tensor["dtype"]]), tuple(tensor["shape"][1:])
    if path.stat().st_size != dtype.itemsize * int(np.prod(shape)):
        raise InputError(
            f"{path}: {path.stat().st_size} bytes, the program's shape is {shape} of {tensor['dtype']}; "
            "regenerate the artifact."
        )
    return torch.from_numpy(np.fromfile(path, dtype=dtype).reshape(shape))
