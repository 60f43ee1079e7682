"""A compiler in a child process: whatever becomes of it, the run gets a program or a sentence."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
from collections.abc import Callable
from dataclasses import asdict
from pathlib import Path
from typing import Any

import torch
import torch.ao.quantization.fx._decomposed  # registers the operators that the network holds
from torch import fx

from edge_effnet.errors import InputError
from edge_effnet.io.files import child_environment, scratch_folder
from quant.common.quiet import quiet_libraries
from quant.lower.result import Delegation, Leftover, LoweredProgram
from quant.program.process_limits import no_core_dump

DEADLINE_S = 1800.0
"""B0 takes a minute of an idle core, most of it in the vendor's compiler; one that hangs never ends."""

_LAST_WORDS = 400


def lower_in_child(
    graph: fx.GraphModule, request: dict[str, Any], *, module: str, backend: str, remedy: str
) -> tuple[LoweredProgram, dict[str, Any]]:
    """Have a graph lowered by a child process; gives the program, and all that its answer says.

    Args:
        graph: exported for the child.
        request: for the child's work, with `input_shape`.
        module: that the child runs.
        backend: its name, which errors begin with.
        remedy: what to try where the compiler crashes or hangs.

    Raises:
        InputError: as `run_child`.
    """
    with scratch_folder() as folder:
        with quiet_libraries(), torch.no_grad():
            exported = torch.export.export(graph, (torch.zeros(request["input_shape"]),), strict=False)
            torch.export.save(exported, folder / "network.pt2")
        (folder / "request.json").write_text(json.dumps(request))
        command = [sys.executable, "-P", "-m", module, str(folder)]
        answer = run_child(command, folder, backend=backend, remedy=remedy)
        program = LoweredProgram(
            data=(folder / "program.pte").read_bytes(),
            delegation=Delegation(**answer["delegation"]),
            input_shape=tuple(request["input_shape"]),
            output_shape=tuple(answer["output_shape"]),
            leftovers=tuple(Leftover(**row) for row in answer["leftovers"]),
            reference={suffix: (folder / f"program{suffix}").read_bytes() for suffix in answer["reference"]},
        )
    return program, answer


def run_child(
    command: list[str], folder: Path, *, backend: str, remedy: str, deadline_s: float = DEADLINE_S
) -> dict[str, Any]:
    """Run a child process that leaves `answer.json` in a folder, and return what that says.

    Args:
        command: to start; the child calls `answer_request`.
        folder: it works in.
        backend: its name, which errors begin with.
        remedy: what to try where the compiler crashes or hangs.
        deadline_s: seconds until it counts as hung.

    Raises:
        InputError: it says an error, crashes, or is not done by the deadline.
    """
    log = folder / "log"
    try:
        with log.open("wb") as out:
            # A session of its own: Ctrl-C in the terminal reaches us, and the child is ended here.
            streams: dict[str, Any] = {"stdin": subprocess.DEVNULL, "stdout": out, "stderr": out}
            code = subprocess.run(
                command, **streams, start_new_session=True, env=child_environment(), timeout=deadline_s, check=False
            ).returncode
    except subprocess.TimeoutExpired as error:
        raise InputError(
            f"{backend}: the compiler was not done with this network in {deadline_s:.0f} s and was ended; {remedy}."
        ) from error
    answer = folder / "answer.json"
    if code != 0 or not answer.exists():
        cause = signal.Signals(-code).name if code < 0 else f"exit code {code}"
        last = " ".join(log.read_bytes()[-_LAST_WORDS:].decode(errors="replace").split()[-20:])
        raise InputError(
            f"{backend}: the compiler crashed on this network ({cause}; its last words: {last or 'none'}); {remedy}."
        )
    found: dict[str, Any] = json.loads(answer.read_text())
    if "error" in found:
        raise InputError(
            f"{backend}: the network was not lowered ({' '.join(found['error'].split())[:_LAST_WORDS]})."
        )
    return found


Work = Callable[[torch.export.ExportedProgram, dict[str, Any], Path], tuple[LoweredProgram, dict[str, Any]]]
"""What a child does with network, request and folder; gives the program, and what else the answer says."""


def answer_request(work: Work) -> None:
    """In the child: do what `request.json` of the folder in its arguments asks for; a failure is a sentence."""
    no_core_dump()
    place = Path(sys.argv[1])
    try:
        with quiet_libraries():
            network = torch.export.load(place / "network.pt2")
            program, answer = work(network, json.loads((place / "request.json").read_text()), place)
        for suffix, data in {".pte": program.data, **program.reference}.items():
            (place / f"program{suffix}").write_bytes(data)
        answer |= {
            "delegation": asdict(program.delegation),
            "leftovers": [asdict(leftover) for leftover in program.leftovers],
            "output_shape": list(program.output_shape),
            "reference": list(program.reference),
        }
    except Exception as error:  # whatever the compiler's Python side raises goes back as a sentence
        answer = {"error": f"{type(error).__name__}: {error}".strip()}
    (place / "answer.json").write_text(json.dumps(answer))
