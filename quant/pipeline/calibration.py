"""The images that a network is calibrated on: read, and looked at, while the rest of the stack is imported."""

from __future__ import annotations

from concurrent.futures import Future
from dataclasses import dataclass
from threading import Thread

import torch

from edge_effnet.in_memory.load import require_same
from quant.common.findings import Finding
from quant.common.progress import Progress
from quant.data.batches import first_images, read_batches
from quant.data.calibration_check import check_calibration
from quant.data.perceptual_hash import Calibrated
from quant.graph.finite import require_finite
from quant.pipeline.load import Loaded
from quant.pipeline.request import Request

COMPARED = 32
"""Images on which a network in memory is compared with what was read from it."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Calibration:
    """Calibration images, and what they say."""

    inputs: list[torch.Tensor]
    """In batches, each [n, C, H, W] float32."""
    seen: Calibrated
    """What is remembered of them, to know them again."""
    findings: tuple[Finding, ...]


def read_calibration(request: Request, network: Loaded, progress: Progress) -> Calibration:
    """Read the images, and look whether they and the network fit each other.

    Raises:
        InputError: an image that cannot be read, a layer whose output is not finite, or a network in memory that
            computes something else than what was read from it.
    """
    model = network.checkpoint.model
    inputs = read_batches(network.split.calibration, network.preprocess, progress)
    require_finite(model, inputs, request.config.weights_name)
    require_same(network.checkpoint, first_images(inputs, COMPARED), "calibration images")
    return Calibration(
        inputs=inputs,
        seen=Calibrated.on(network.split.calibration, inputs, network.preprocess),
        findings=check_calibration(model, inputs),
    )


def read_beside(request: Request, network: Loaded, progress: Progress) -> Future[Calibration]:
    """Read them in a thread of its own while the caller imports what comes next: that takes seconds of one core.

    Nobody waits for the thread but who asks for the result: Ctrl-C ends the command at once.
    """
    reading: Future[Calibration] = Future()

    def read() -> None:
        try:
            reading.set_result(read_calibration(request, network, progress))
        except BaseException as error:
            reading.set_exception(error)

    Thread(target=read, daemon=True, name="calibration images").start()
    return reading
