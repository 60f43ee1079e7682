"""The commands of README and docs: which run at once, which take longer, and which cannot run here."""

from __future__ import annotations

import shlex
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from apps.cli import edge_effnet
from apps.cli.commands import quantize
from apps.cli.exit_codes import guarded
from tests.support.code_blocks import blocks, command_lines

APPS = {"quantize": quantize.app, "edge-effnet": edge_effnet.app}

Command = tuple[str, list[str]]
"""Page and line, words."""

COMMANDS: list[Command] = [(str(block), words) for block in blocks("sh") for words in command_lines(block)]

QUICK = ("analyze", "check", "compare", "deploy", "diff", "doctor", "inspect", "job", "report", "sbom")
"""Commands of `edge-effnet` that take seconds on the small artifact; the others train or quantize."""

ELSEWHERE = {
    "quantize --variant b0": "takes over a minute to draw and quantize: tests/e2e/test_sample_run.py, with lite0",
    "--backend qnn": "needs Qualcomm's libraries: tests/e2e/test_npu.py, where they are installed",
    "--backend ethos-u": "needs Arm's tools: tests/e2e/test_npu.py, where they are installed",
    "--task": "needs weights and labels of every task: tests/e2e/test_tasks.py",
    "--backend all": "takes over a minute even of a tiny network: tests/e2e/test_fleet.py, most of these programs",
    "--device arm64:": "needs an ARM processor or an emulator: tests/apps/device/test_arm64.py, where there is one",
    "--device adb": "needs a phone: tests/apps/device/test_adb.py, against a double of one",
    "--runtime": "installs a release: tests/apps/device/test_runtime_release.py, from wheels that it writes",
    "--device ssh:": "needs another machine: tests/apps/device/test_ssh.py, against a server that it starts",
}
"""What cannot be run in a test of the documentation: a whole command, or an option in it; why, and what runs it."""


def reason(words: Sequence[str]) -> str | None:
    """Why a command is not run here, or None where it is."""
    line = shlex.join(words)
    options = (key for key in ELSEWHERE if key.startswith("--") and key in line)
    return ELSEWHERE.get(line) or next((ELSEWHERE[key] for key in options), None)


def is_quick(words: Sequence[str]) -> bool:
    """Whether a command takes seconds on the small artifact."""
    return words[0] == "edge-effnet" and words[1] in QUICK


def runnable(wanted: Callable[[Sequence[str]], bool], substitutions: Mapping[str, str]) -> list[Command]:
    """Commands that can be run here and are wanted, with words substituted, each once: where it stands first."""
    found = [
        (where, [substitutions.get(word, word) for word in words])
        for where, words in COMMANDS
        if reason(words) is None and wanted(words)
    ]
    return list({tuple(words): (where, words) for where, words in reversed(found)}.values())[::-1]


def ids(commands: Sequence[Command]) -> list[str]:
    """Names of tests."""
    return [f"{where} {' '.join(words[:2])}" for where, words in commands]


def run(words: Sequence[str]) -> Any:
    """Run a command in this process and return its exit code."""
    return guarded(lambda: APPS[words[0]](list(words[1:]), standalone_mode=False))
