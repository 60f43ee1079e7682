"""Programs of one network by every toolchain, in a folder where they are found again."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Iterable
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path

import torch
from peers.peer import Material
from peers.table import PEERS

from edge_effnet.fuse import fold_for_inference
from quant.common.progress import NoProgress
from quant.graph.export import export_graph
from quant.lower.xnnpack.lower import lower_xnnpack
from quant.ptq.steps import quantize_graph
from quant.recipes import DEFAULT_RECIPE, RECIPES

OURS, OURS_FLOAT = "ours", "ours-float"

RECIPES_OF_OURS: dict[str, str | None] = {
    OURS: DEFAULT_RECIPE,
    "ours-float-stem": "int8-float-stem",
    "ours-fast": "int8-fast",
    OURS_FLOAT: None,
}
"""Our programs -> recipe; None is the float network's."""

TOOLCHAINS = (*RECIPES_OF_OURS, *(name for name in PEERS if name != "nncf-accuracy-control"))
"""Accuracy control makes a program as fast as its default."""


@dataclass(frozen=True, kw_only=True)
class Program:
    """A program on disk."""

    toolchain: str
    """Of `TOOLCHAINS`."""
    title: str
    path: Path
    size_bytes: int
    versions: dict[str, str]


def make_programs(material: Material, toolchains: Iterable[str]) -> list[Program]:
    """Make what is not there yet."""
    return [_ours(material, name) if name in RECIPES_OF_OURS else _peer(material, name) for name in toolchains]


def _ours(material: Material, toolchain: str) -> Program:
    path, recipe = material.folder / f"{toolchain}.pte", RECIPES_OF_OURS[toolchain]
    if not path.exists():
        side = material.example.shape[-1]
        graph = export_graph(fold_for_inference(material.network, side), side)  # type: ignore[arg-type]
        if recipe is not None:
            images = [torch.cat([torch.from_numpy(x) for x in material.batches("calibration")])]
            graph = quantize_graph(graph, images, RECIPES[recipe], seed=0, progress=NoProgress()).converted
        path.write_bytes(lower_xnnpack(graph, (1, 3, side, side)).data)
    return Program(
        toolchain=toolchain,
        title=f"this project, {recipe or 'fp32'}",
        path=path,
        size_bytes=path.stat().st_size,
        versions={"executorch": version("executorch")},
    )


def _peer(material: Material, name: str) -> Program:
    figures = material.folder / name / "figures.json"
    if not figures.exists():
        command = [
            sys.executable, "-m", "peers.child", name, str(material.folder), material.variant, material.weights
        ]  # fmt: skip
        environment = os.environ | {"PYTHONPATH": os.pathsep.join([str(Path(__file__).parent), *sys.path])}
        with (material.folder / f"{name}.log").open("w") as log:
            done = subprocess.run(command, env=environment, stdout=log, stderr=subprocess.STDOUT, check=False)
        if done.returncode:
            raise SystemExit(f"{name}: exit code {done.returncode}, see {log.name}")
    found = json.loads(figures.read_text())
    return Program(
        toolchain=name,
        title=found["title"],
        path=material.folder / name / found["file"],
        size_bytes=found["size_bytes"],
        versions=found["versions"],
    )
