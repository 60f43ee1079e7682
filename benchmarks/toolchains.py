"""Programs of one network by every toolchain, in a folder where they are found again."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path

import torch
from peers.peer import Material
from peers.table import PEERS, figures_of, run_peer

from edge_effnet.fuse import fold_for_inference
from quant.common.progress import NoProgress
from quant.graph.export import export_graph
from quant.lower.options import Normalization
from quant.lower.xnnpack.lower import lower_xnnpack
from quant.ptq.steps import quantize_graph
from quant.recipes import DEFAULT_RECIPE, RECIPES

OURS, OURS_PIXELS, OURS_FLOAT = "ours", "ours-fast-pixels", "ours-float"

RECIPES_OF_OURS: dict[str, str | None] = {
    OURS: DEFAULT_RECIPE,
    "ours-float-stem": "int8-float-stem",
    "ours-fast": "int8-fast",
    OURS_PIXELS: "int8-fast",
    OURS_FLOAT: None,
}
"""Our programs -> recipe; None is the float network's."""

_PIXELS = Normalization(mean=(0.485, 0.456, 0.406), std=(0.229, 0.224, 0.225))
"""What `OURS_PIXELS` takes pixels instead of, as LiteRT's program takes int8 NHWC."""

_UNTIMED = (OURS_PIXELS, "nncf-accuracy-control")
"""The one takes another input than all others; accuracy control makes a program as fast as its default."""

TOOLCHAINS = tuple(name for name in (*RECIPES_OF_OURS, *PEERS) if name not in _UNTIMED)


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
        pixels = _PIXELS if toolchain == OURS_PIXELS else None
        if recipe is not None:
            images = [torch.cat([torch.from_numpy(x) for x in material.batches("calibration")])]
            made = quantize_graph(graph, images, RECIPES[recipe], seed=0, progress=NoProgress(), normalization=pixels)
            graph = made.converted
        path.write_bytes(lower_xnnpack(graph, (1, 3, side, side), normalization=pixels).data)
    return Program(
        toolchain=toolchain,
        title=f"this project, {recipe or 'fp32'}{', pixels' if toolchain == OURS_PIXELS else ''}",
        path=path,
        size_bytes=path.stat().st_size,
        versions={"executorch": version("executorch")},
    )


def _peer(material: Material, name: str) -> Program:
    made = (material.folder / name / "figures.json").exists()
    found = figures_of(name, material) if made else run_peer(name, material)
    return Program(
        toolchain=name,
        title=found["title"],
        path=material.folder / name / found["file"],
        size_bytes=found["size_bytes"],
        versions=found["versions"],
    )
