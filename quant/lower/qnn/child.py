"""Child process that lowers one network with executorch's QNN package: `python -m quant.lower.qnn.child FOLDER`.

FOLDER holds `request.json` and `network.pt2`; `program.pte` and `answer.json` are left there. Importing that package
changes torch for the whole process and would start a download without libraries, and a compiler that is unhappy ends
the process: so nobody else imports it.
"""

from __future__ import annotations

import logging
import os
from pathlib import Path
from typing import Any

import torch

from quant.lower.child_process import answer_request
from quant.lower.partitioned import finished
from quant.lower.result import LoweredProgram
from quant.program import qnn_device
from quant.program.qnn_library import HOST, VARIABLE, folder


def _lowered(
    exported: torch.export.ExportedProgram, request: dict[str, Any], place: Path
) -> tuple[LoweredProgram, dict[str, Any]]:
    network = exported.module(check_guards=False)
    import torchao.quantization.pt2e  # noqa: F401, PLC0415  (before the QNN libraries: see qnn_device)

    version = qnn_device.load()
    return _lower(network, request, _sdk_root(place)), {"version": version}


def _sdk_root(place: Path) -> str:
    """Show the libraries as an SDK does, whose layout executorch's package expects."""
    where = folder()
    assert where is not None
    link = place / HOST
    link.parent.mkdir(parents=True)
    # The folder, not the files: the libraries find their neighbours by their own place.
    link.symlink_to(where)
    return str(place)


def _lower(network: torch.nn.Module, request: dict[str, Any], root: str) -> LoweredProgram:
    os.environ[VARIABLE] = root  # set: nothing is downloaded
    from executorch.backends.qualcomm.serialization.qc_schema import QcomChipset  # noqa: PLC0415
    from executorch.backends.qualcomm.utils.utils import (  # noqa: PLC0415
        generate_htp_compiler_spec,
        generate_qnn_executorch_compiler_spec,
        to_edge_transform_and_lower_to_qnn,
    )

    logging.disable(logging.INFO)
    specs = generate_qnn_executorch_compiler_spec(
        soc_model=QcomChipset[request["soc"]],
        backend_options=generate_htp_compiler_spec(use_fp16=request["precision"] == "fp16"),
    )
    shape = tuple(request["input_shape"])
    edge = to_edge_transform_and_lower_to_qnn(network, (torch.zeros(shape),), specs)
    return finished(edge, shape, lambda node: "the HTP has no such operator for these tensors")


if __name__ == "__main__":
    answer_request(_lowered)
