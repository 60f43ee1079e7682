"""All peers, by the name that selects them; their packages are imported in their own processes only."""

from __future__ import annotations

from importlib import import_module

from peers.peer import Peer

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
