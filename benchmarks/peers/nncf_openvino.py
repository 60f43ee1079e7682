"""NNCF's post-training quantization for OpenVINO, plain and with accuracy control."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

import nncf
import numpy as np
import openvino

from peers.peer import Forward, Material, Peer, Run

_MAX_DROP = 0.004
"""Top-1 that accuracy control may lose, of 1: what this project allows itself."""


def _float_model(material: Material) -> openvino.Model:
    return openvino.convert_model(
        material.network, example_input=material.example, input=[1, *material.example.shape[1:]]
    )


def quantize(material: Material, out: Path) -> None:
    """`nncf.quantize` with its defaults."""
    dataset = nncf.Dataset(material.batches("calibration"))
    model = nncf.quantize(_float_model(material), dataset, subset_size=len(material.images("calibration")))
    openvino.save_model(model, out / PEER.file, compress_to_fp16=False)


def quantize_controlled(material: Material, out: Path) -> None:
    """`nncf.quantize_with_accuracy_control` on labelled images that are not of the evaluation set."""
    images, labels = material.batches("validation"), material.labels("validation")

    def accuracy(compiled: Any, items: Iterable[tuple[np.ndarray, int]]) -> tuple[float, list[float]]:
        hits = [float(compiled(x)[0].argmax() == label) for x, label in items]
        return sum(hits) / len(hits), hits

    model = nncf.quantize_with_accuracy_control(
        _float_model(material),
        nncf.Dataset(material.batches("calibration")),
        nncf.Dataset(list(zip(images, labels, strict=True)), lambda item: item[0]),
        accuracy,
        max_drop=_MAX_DROP,
        subset_size=len(material.images("calibration")),
    )
    openvino.save_model(model, out / CONTROLLED.file, compress_to_fp16=False)


def load(path: Path, threads: int) -> Run:
    """Compile for the CPU; what stays in float is computed in fp32, not in the CPU's bfloat16."""
    request = _request(path, threads)

    def run(x: np.ndarray) -> np.ndarray:
        logits: np.ndarray = request.infer([x])[0].copy()
        return logits

    return run


def forward(path: Path, threads: int, x: np.ndarray) -> Forward:
    """The input is shared, not copied."""
    request = _request(path, threads)
    request.set_input_tensor(openvino.Tensor(x, shared_memory=True))
    infer: Forward = request.infer
    return infer


def _request(path: Path, threads: int) -> Any:
    compiled = openvino.Core().compile_model(
        path,
        "CPU",
        {"INFERENCE_NUM_THREADS": threads, "INFERENCE_PRECISION_HINT": "f32", "PERFORMANCE_HINT": "LATENCY"},
    )
    return compiled.create_infer_request()


def _peer(title: str, file: str, method: Callable[[Material, Path], None]) -> Peer:
    return Peer(title=title, packages=("nncf", "openvino"), file=file, quantize=method, load=load, forward=forward)


PEER = _peer("NNCF on OpenVINO, default", "default.xml", quantize)
CONTROLLED = _peer("NNCF on OpenVINO, accuracy control", "controlled.xml", quantize_controlled)
