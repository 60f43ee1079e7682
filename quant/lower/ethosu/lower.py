"""Arm's Ethos-U55, U65 and U85 in int8, one delegate; compiled in a child process, judged by the reference model."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from edge_effnet.errors import InputError
from quant.lower.backend import Source
from quant.lower.child_process import lower_in_child
from quant.lower.ethosu.graph import for_tosa
from quant.lower.result import LoweredProgram
from quant.program.ethosu_library import TRIED

_REMEDY = "try another target, or leave this backend out"


def lower(source: Source) -> LoweredProgram:
    """Lower a graph with q/dq pairs for a target.

    Raises:
        InputError: a network that the compiler refuses, crashes or hangs on, or an operator that the NPU lacks.
    """
    name = f"ethos-u:{source.precision}"
    request = {"target": source.precision, "input_shape": list(source.input_shape)}
    program, answer = lower_in_child(
        for_tosa(source.graph), request, module="quant.lower.ethosu.child", backend=name, remedy=_REMEDY
    )
    _require_whole(name, answer)
    libraries = f"Vela {TRIED['ethos-u-vela']}, TOSA reference model {TRIED['tosa-tools']}"
    return replace(
        program,
        facts=(
            *_facts(answer),
            f"evaluated by the TOSA reference model, on the graph that {name}'s compiler was given",
        ),
        npu={
            "soc": f"Ethos-{source.precision.upper()}",
            "architecture": answer["vela"]["system_config"].replace("_", " "),
            "libraries": libraries,
            "judged_on": "TOSA reference model",
        },
    )


def _require_whole(name: str, answer: dict[str, Any]) -> None:
    """Refuse a program of several parts: the reference model runs what one delegate holds, and nothing else."""
    left = sorted({row["operator"] for row in answer["leftovers"]})
    if left:
        raise InputError(
            f"{name}: the NPU lacks {', '.join(left)}; portable kernels on the processor would take its place, which "
            "the TOSA reference model cannot run: choose another --activation or --output, or another backend."
        )
    if answer["delegation"]["partitions"] != 1 or len(answer["border"]) != 2:
        raise InputError(f"{name}: the compiler takes no whole network of this one; choose another backend.")


def _facts(answer: dict[str, Any]) -> tuple[str, ...]:
    vela, operators = answer["vela"], answer["operators"]
    cycles, clock = float(vela["cycles_total"]), float(vela["core_clock"])
    memory = ", ".join(
        f"{float(vela[f'{key}_memory_used']) / 1024:.2f} MiB of {words}"
        for key, words in _MEMORIES.items()
        if float(vela[f"{key}_memory_used"])
    )
    return (
        f"Vela: {operators['NPU']} operators on the NPU, {operators['CPU']} left on the processor",
        f"Vela's estimate: {cycles / 1e6:.2f} million cycles, {1e3 * cycles / clock:.2f} ms at {clock / 1e6:.0f} MHz "
        f"({vela['system_config']}, {vela['memory_mode']})",
        f"memory: {memory}",
        "the processor turns the float32 input into int8 and the int8 output back: two portable kernels",
    )


_MEMORIES = {"sram": "SRAM", "dram": "DRAM", "on_chip_flash": "flash on the chip", "off_chip_flash": "flash"}
