"""ONNX Runtime's static quantization: quantize and dequantize nodes, smallest and largest value seen."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import onnxruntime
import torch
from onnxruntime.quantization import CalibrationDataReader, QuantFormat, QuantType, quantize_static
from onnxruntime.quantization.shape_inference import quant_pre_process

from peers.peer import Forward, Material, Peer, Run


class _Images(CalibrationDataReader):
    """The calibration images, one a call."""

    def __init__(self, material: Material) -> None:
        self._rest = iter(material.batches("calibration"))

    def get_next(self) -> dict[str, np.ndarray] | None:
        """Return the next one, or None at the end."""
        batch = next(self._rest, None)
        return None if batch is None else {"input": batch}


def export_onnx(material: Material, path: Path) -> None:
    """Write the float network as ONNX."""
    torch.onnx.export(
        material.network, (material.example,), str(path), input_names=["input"], output_names=["logits"], dynamo=True
    )


def quantize(material: Material, out: Path) -> None:
    """QDQ with int8 weights a channel, after the shape inference and fusions that the documentation asks for."""
    plain, prepared = out / "float.onnx", out / "prepared.onnx"
    export_onnx(material, plain)
    quant_pre_process(plain, prepared)
    quantize_static(
        prepared,
        out / PEER.file,
        _Images(material),
        quant_format=QuantFormat.QDQ,
        per_channel=True,
        activation_type=QuantType.QUInt8,
        weight_type=QuantType.QInt8,
    )


def load(path: Path, threads: int) -> Run:
    """Make a session on the CPU."""
    session = _session(path, threads)

    def run(x: np.ndarray) -> np.ndarray:
        logits: np.ndarray = session.run(None, {"input": x})[0]
        return logits

    return run


def forward(path: Path, threads: int, x: np.ndarray) -> Forward:
    """The session alone."""
    session, inputs = _session(path, threads), {"input": x}
    return lambda: session.run(None, inputs)


def _session(path: Path, threads: int) -> onnxruntime.InferenceSession:
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = threads
    options.inter_op_num_threads = 1
    return onnxruntime.InferenceSession(path, options, providers=["CPUExecutionProvider"])


PEER = Peer(
    title="ONNX Runtime, static QDQ",
    packages=("onnxruntime", "onnx"),
    file="qdq.onnx",
    quantize=quantize,
    load=load,
    forward=forward,
)
