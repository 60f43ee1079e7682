"""Runs inside the emulated ARM64 Python of `arm_instructions.py`, with nothing of this project to import.

arm_guest.py PROGRAM FORWARDS SIDE FOLDER     (FOLDER: the peers' aarch64 packages)
"""

import sys

import numpy as np


def executorch(path, x):
    """A .pte."""
    import torch
    from executorch.extension.pybindings import _portable_lib  # not portable_lib: it imports the exporter too

    _portable_lib._unsafe_reset_threadpool(1)
    module = _portable_lib._load_for_executorch(path)
    wanted = module.method_meta("forward").input_tensor_meta(0)
    if tuple(wanted.sizes()) != x.shape:
        # Pixels, NHWC.
        x = np.random.default_rng(0).integers(0, 256, wanted.sizes(), dtype=np.uint8)
    return lambda: module.forward((torch.from_numpy(x),))


def litert(path, x):
    """A .tflite."""
    from ai_edge_litert.interpreter import Interpreter

    interpreter = Interpreter(model_path=path, num_threads=1)
    interpreter.allocate_tensors()
    (source,) = interpreter.get_input_details()
    scale, zero_point = source["quantization"]
    limits = np.iinfo(source["dtype"])
    image = np.clip(np.round(x.transpose(0, 2, 3, 1) / scale) + zero_point, limits.min, limits.max)
    interpreter.set_tensor(source["index"], image.astype(source["dtype"]))
    return interpreter.invoke


def onnxruntime(path, x):
    """An .onnx."""
    import onnxruntime as ort

    options = ort.SessionOptions()
    options.intra_op_num_threads = options.inter_op_num_threads = 1
    session = ort.InferenceSession(path, options, providers=["CPUExecutionProvider"])
    return lambda: session.run(None, {"input": x})


LOADERS = {"pte": executorch, "tflite": litert, "onnx": onnxruntime}

path, forwards, side, packages = sys.argv[1:]
sys.path.insert(0, packages)
image = np.random.default_rng(0).standard_normal((1, 3, int(side), int(side)), dtype=np.float32)
forward = LOADERS[path.rsplit(".", 1)[1]](path, image)
for _ in range(int(forwards)):
    forward()
