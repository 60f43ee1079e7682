"""Google's path to LiteRT: litert-torch converts, AI Edge Quantizer makes it int8."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import litert_torch
import numpy as np
from ai_edge_litert.interpreter import Interpreter
from ai_edge_quantizer import quantizer, recipe

from peers.peer import Forward, Material, Peer, Run


def quantize(material: Material, out: Path) -> None:
    """Static int8 weights and activations, NHWC input as LiteRT's kernels want it."""
    plain = out / "float.tflite"
    network = litert_torch.to_channel_last_io(material.network, args=[0]).eval()
    litert_torch.convert(network, (material.example.permute(0, 2, 3, 1).contiguous(),)).export(str(plain))
    signature, (name,) = _signature(plain)
    images = [{name: np.ascontiguousarray(x.transpose(0, 2, 3, 1))} for x in material.batches("calibration")]
    int8 = quantizer.Quantizer(str(plain), recipe.static_wi8_ai8())
    calibration = int8.calibrate({signature: images})
    int8.quantize(calibration).export_model(str(out / PEER.file), overwrite=True)


def _signature(path: Path) -> tuple[str, list[str]]:
    """Name of the only signature, and of its inputs."""
    ((signature, sides),) = Interpreter(model_path=str(path)).get_signature_list().items()
    return signature, sides["inputs"]


def load(path: Path, threads: int) -> Run:
    """Make an interpreter with its default delegate, XNNPACK."""
    interpreter, source, result = _interpreter(path, threads)

    def run(x: np.ndarray) -> np.ndarray:
        interpreter.set_tensor(source["index"], _quantized(x.transpose(0, 2, 3, 1), source))
        interpreter.invoke()
        return _dequantized(interpreter.get_tensor(result["index"]), result)

    return run


def forward(path: Path, threads: int, x: np.ndarray) -> Forward:
    """Quantize and place the input once; the forward is the interpreter's alone."""
    interpreter, source, _ = _interpreter(path, threads)
    interpreter.set_tensor(source["index"], _quantized(x.transpose(0, 2, 3, 1), source))
    invoke: Forward = interpreter.invoke
    return invoke


def _interpreter(path: Path, threads: int) -> tuple[Interpreter, dict[str, Any], dict[str, Any]]:
    """An interpreter, its input and its output."""
    interpreter = Interpreter(model_path=str(path), num_threads=threads)
    interpreter.allocate_tensors()
    (source,), (result,) = interpreter.get_input_details(), interpreter.get_output_details()
    return interpreter, source, result


def _quantized(x: np.ndarray, tensor: dict[str, Any]) -> np.ndarray:
    """The program's input is int8: its users quantize."""
    if tensor["dtype"] == np.float32:
        return np.ascontiguousarray(x)
    scale, zero_point = tensor["quantization"]
    limits = np.iinfo(tensor["dtype"])
    return np.clip(np.round(x / scale) + zero_point, limits.min, limits.max).astype(tensor["dtype"])


def _dequantized(y: np.ndarray, tensor: dict[str, Any]) -> np.ndarray:
    if tensor["dtype"] == np.float32:
        return y
    scale, zero_point = tensor["quantization"]
    logits: np.ndarray = (y.astype(np.float32) - zero_point) * np.float32(scale)
    return logits


PEER = Peer(
    title="AI Edge Quantizer on LiteRT",
    packages=("ai-edge-quantizer", "litert-torch", "ai-edge-litert"),
    file="static.tflite",
    quantize=quantize,
    load=load,
    forward=forward,
)
