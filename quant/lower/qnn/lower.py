"""Qualcomm's HTP: w8a8, w16a8 and fp16, one delegate; compiled in a child process, run here by the emulated HTP."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

import torch

from edge_effnet.errors import InputError
from edge_effnet.io.files import scratch_folder
from quant.common.quiet import quiet_libraries
from quant.lower.backend import Source
from quant.lower.qnn.graph import for_htp
from quant.lower.result import Delegation, Leftover, LoweredProgram
from quant.program.qnn_library import LICENCE, wheel_of
from quant.program.qnn_socs import SOCS

DEADLINE_S = 1800.0
"""B0 takes a minute of an idle core, most of it in the vendor's compiler; one that hangs never ends."""

_LAST_WORDS = 400


def lower(source: Source) -> LoweredProgram:
    """Lower a float graph, or one with q/dq pairs of the HTP's placements.

    Raises:
        InputError: libraries that cannot be used, or a network that the compiler refuses, crashes or hangs on.
    """
    soc = source.options.soc
    graph = source.graph if source.precision == "fp16" else for_htp(source.graph)
    with scratch_folder() as folder:
        with quiet_libraries(), torch.no_grad():
            exported = torch.export.export(graph, (torch.zeros(source.input_shape),), strict=False)
            torch.export.save(exported, folder / "network.pt2")
        request = {"precision": source.precision, "soc": soc, "input_shape": list(source.input_shape)}
        (folder / "request.json").write_text(json.dumps(request))
        answer = run_child([sys.executable, "-P", "-m", "quant.lower.qnn.child", str(folder)], folder)
        data = (folder / "program.pte").read_bytes()
    if not answer["delegation"]["partitions"]:
        raise InputError("qnn: the compiler takes no operator of this network; choose another backend.")
    return LoweredProgram(
        data=data,
        delegation=Delegation(**answer["delegation"]),
        input_shape=source.input_shape,
        output_shape=tuple(answer["output_shape"]),
        leftovers=tuple(Leftover(**row) for row in answer["leftovers"]),
        facts=(
            f"for {soc}, HTP v{SOCS[soc].generation}, by QNN {answer['version']}: {_tried(answer['version'])}",
            "judged on the vendor's emulated HTP, not on silicon",
            LICENCE,
        ),
        npu={
            "soc": soc,
            "architecture": f"HTP v{SOCS[soc].generation}",
            "libraries": f"QNN {answer['version']}",
            "judged_on": "emulated HTP",
        },
    )


def run_child(command: list[str], folder: Path, deadline_s: float = DEADLINE_S) -> dict[str, Any]:
    """Run a child process that leaves `answer.json` in a folder, and return what that says.

    Raises:
        InputError: it says an error, crashes, or is not done by the deadline.
    """
    log = folder / "log"
    with log.open("wb") as out:
        # A session of its own: Ctrl-C in the terminal reaches us, and we end the child.
        child = subprocess.Popen(
            command,
            stdin=subprocess.DEVNULL,
            stdout=out,
            stderr=out,
            start_new_session=True,
            env={**os.environ, "PYTHONPATH": os.pathsep.join(p or str(Path.cwd()) for p in sys.path)},
        )
        try:
            code = child.wait(deadline_s)
        except subprocess.TimeoutExpired as error:
            raise InputError(
                f"qnn: the compiler was not done with this network in {deadline_s:.0f} s and was ended; try another "
                "--soc or precision, or leave this backend out."
            ) from error
        finally:
            if child.poll() is None:
                child.kill()
                child.wait()
    answer = folder / "answer.json"
    if code != 0 or not answer.exists():
        cause = signal.Signals(-code).name if code < 0 else f"exit code {code}"
        last = " ".join(log.read_bytes()[-_LAST_WORDS:].decode(errors="replace").split()[-20:])
        raise InputError(
            f"qnn: the compiler crashed on this network ({cause}; its last words: {last or 'none'}); try another "
            "--soc or precision, or leave this backend out."
        )
    found: dict[str, Any] = json.loads(answer.read_text())
    if "error" in found:
        raise InputError(f"qnn: the network was not lowered ({_one_line(found['error'])}).")
    return found


def _one_line(text: str) -> str:
    return " ".join(text.split())[:_LAST_WORDS]


def _tried(version: str) -> str:
    wheel = wheel_of(version)
    return "a release that nobody tried here" if wheel is None else f"as in onnxruntime-qnn {wheel}"
