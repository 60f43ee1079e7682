"""All peers, by the name that selects them; their packages are imported in their own processes only."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from importlib import import_module
from pathlib import Path
from typing import Any

from peers.peer import Material, Peer

PEERS: dict[str, str] = {
    "executorch": "peers.executorch_stock:PEER",
    "onnxruntime": "peers.onnxruntime_qdq:PEER",
    "nncf": "peers.nncf_openvino:PEER",
    "nncf-accuracy-control": "peers.nncf_openvino:CONTROLLED",
    "ai-edge-quantizer": "peers.ai_edge:PEER",
}


def find_peer(name: str) -> Peer:
    """Import a peer."""
    module, attribute = PEERS[name].split(":")
    peer = getattr(import_module(module), attribute)
    assert isinstance(peer, Peer)
    return peer


def child_of(name: str, material: Material) -> tuple[list[str], dict[str, str]]:
    """Command and environment of a process in which a peer quantizes: `peers.child`."""
    command = [
        sys.executable, "-m", "peers.child", name, str(material.folder), material.variant, material.weights
    ]  # fmt: skip
    return command, environment()


def environment() -> dict[str, str]:
    """Of processes that import these scripts and whatever this process can."""
    return os.environ | {"PYTHONPATH": os.pathsep.join([str(Path(__file__).parents[1]), *sys.path])}


def run_peer(name: str, material: Material) -> dict[str, Any]:
    """Quantize with a peer in its own process; its `figures.json`."""
    command, variables = child_of(name, material)
    with (material.folder / f"{name}.log").open("w") as log:
        done = subprocess.run(command, env=variables, stdout=log, stderr=subprocess.STDOUT, check=False)
    if done.returncode:
        raise SystemExit(f"{name}: exit code {done.returncode}\n{Path(log.name).read_text()[-2000:]}")
    return figures_of(name, material)


def figures_of(name: str, material: Material) -> dict[str, Any]:
    """What a peer's process wrote."""
    figures: dict[str, Any] = json.loads((material.folder / name / "figures.json").read_text())
    return figures
