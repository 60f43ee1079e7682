"""Nothing asks the network for anything unless it was told to."""

from __future__ import annotations

import json
import subprocess
import sys

from tests.support.cli import environment
from tests.support.paths import ROOT

_CONNECT = "import socket\nsocket.create_connection(('127.0.0.1', 9))"

_GUARD = """
import sys
def refuse(event, arguments):
    if event in ("socket.connect", "socket.getaddrinfo", "socket.gethostbyname", "socket.sendto", "socket.bind"):
        sys.stderr.write(f"network: {event} {arguments}\\n")
        sys.stderr.flush()
        import os
        os._exit(99)
sys.addaudithook(refuse)
import json
from tests.support.tiny import main
for words in json.loads(sys.argv[1]):
    sys.argv = ["", *words]
    try:
        main()
    except SystemExit as end:
        if end.code:
            sys.exit(f"{words}: {end.code}")
"""
"""Runs commands one after the other: a process of its own for each would import torch again."""


def isolated() -> list[str]:
    """Words that take the network away from a process and its children, where this system lets us."""
    words = ["unshare", "--net", "--map-root-user"]
    try:
        works = subprocess.run([*words, "true"], capture_output=True, check=False).returncode == 0
    except FileNotFoundError:
        works = False
    return words if works else []


def test_quantize_check_and_train_work_without_a_network(tiny, tmp_path):
    own = ("--weights", tiny.weights, "--data", tiny.data, "--calibration", 24, "--out", tmp_path / "a")
    training = ("--data", tiny.data, "--steps", 2, "--out", tmp_path / "w.safetensors")
    commands = (
        ("quantize", "--variant", "lite0", *own),
        ("edge-effnet", "check", tmp_path / "a", "--data", tiny.data),
        ("edge-effnet", "sbom", tmp_path / "a"),
        ("edge-effnet", "train", "--variant", "lite0", *training),
    )
    done = subprocess.run(
        [*isolated(), sys.executable, "-c", _GUARD, json.dumps([list(map(str, words)) for words in commands])],
        cwd=ROOT,
        env=environment(),
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert (tmp_path / "w.safetensors").is_file()


def test_the_guard_would_notice():
    done = subprocess.run(
        [sys.executable, "-c", _GUARD.split("import json", maxsplit=1)[0] + _CONNECT],
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 99 and "network: socket." in done.stderr
