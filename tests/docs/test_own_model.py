"""What docs/own-model.md does with a network in memory, done with the tiny one."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from edge_effnet import load_checkpoint
from tests.support.code_blocks import blocks
from tests.support.tiny import TinyFiles

pytestmark = pytest.mark.usefixtures("tiny_variant", "one_thread")


def defined(name: str) -> Any:
    """A function that the page defines."""
    found: dict[str, Any] = {}
    (block,) = [b for b in blocks("python") if b.page == "docs/own-model.md" and f"def {name}(" in b.text]
    exec(block.text, found)
    return found[name]


def test_a_network_in_memory(tiny: TinyFiles, tmp_path: Path) -> None:
    model = load_checkpoint(tiny.weights).model
    assert defined("quantize_in_memory")(model, tiny.data, tmp_path / "a").passed
