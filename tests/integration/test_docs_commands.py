"""Every command and every piece of Python in README and docs: understood by the real command line, and run."""

import shutil

import pytest
import typer
from support.code_blocks import blocks, command_lines
from support.photos import draw_halves
from support.reports import measured_artifact

from apps.cli import edge_effnet, quantize
from apps.cli.exit_codes import guarded

APPS = {"quantize": quantize.app, "edge-effnet": edge_effnet.app}

COMMANDS = [(str(block), words) for block in blocks("sh") for words in command_lines(block)]

QUICK = ("analyze", "check", "diff", "doctor", "inspect", "job", "report", "sbom")
"""Commands that take seconds on the small artifact; the others train, quantize or reach for a device."""

SUBSTITUTIONS = {"100": "6"}
"""Words of a command by what stands for them here: fewer photographs."""

CHANGED_TEXT = {"1600": "16", "496": "16", '"val", 0, 224': '"val", 0, 64', "size=224": "size=64", "128": "16"}
"""Parts of a Python block by what stands for them here: fewer and smaller pictures."""


def is_quick(words: list[str]) -> bool:
    return words[0] == "edge-effnet" and words[1] in QUICK and "--device" not in words


def once(commands):
    """Commands without repetitions: (where first, words)."""
    return list({tuple(words): (where, words) for where, words in reversed(commands)}.values())[::-1]


def ids(commands):
    return [f"{where} {' '.join(words[:2])}" for where, words in commands]


@pytest.fixture
def workplace(tmp_path, monkeypatch):
    """A folder in which the names of the docs mean something."""
    draw_halves(tmp_path / "photos")
    for name in ("b0-int8-xnnpack", "lite0-int8-xnnpack", "b0-int8-backends"):
        measured_artifact(tmp_path / name)
    for name in ("model.pte", "before.pte", "after.pte"):
        shutil.copy(tmp_path / "b0-int8-xnnpack" / "model.pte", tmp_path / name)
    monkeypatch.chdir(tmp_path)
    return tmp_path


def test_blocks_were_found():
    assert len(COMMANDS) > 25


@pytest.mark.parametrize(("where", "words"), COMMANDS, ids=ids(COMMANDS))
def test_command_line_understands(where, words):
    command = typer.main.get_command(APPS[words[0]])
    arguments = words[1:]
    if words[0] == "edge-effnet":
        name, *arguments = arguments
        assert name in command.commands, where
        command = command.commands[name]
    # Unknown options, values of the wrong kind and missing arguments raise.
    command.make_context(words[0], list(arguments))


RUN = once([(where, words) for where, words in COMMANDS if is_quick(words)])


@pytest.mark.parametrize(("where", "words"), RUN, ids=ids(RUN))
def test_quick_command_runs(where, words, workplace, capsys):
    if "--baseline" in words and "--update-baseline" not in words:
        first = ["check", "b0-int8-xnnpack", "--data", "photos", "--baseline", "b0.json", "--update-baseline"]
        assert guarded(lambda: edge_effnet.app(first, standalone_mode=False)) == 0
    arguments = [SUBSTITUTIONS.get(word, word) for word in words[1:]]
    code = guarded(lambda: edge_effnet.app(arguments, standalone_mode=False))
    assert code == 0, f"{where}: {capsys.readouterr().err}"


PYTHON = blocks("python")


@pytest.mark.parametrize("block", PYTHON, ids=map(str, PYTHON))
def test_python_runs(block, workplace):
    text = block.text
    for theirs, ours in CHANGED_TEXT.items():
        text = text.replace(theirs, ours)
    names = {"__name__": "docs"}
    exec(compile(text, str(block), "exec"), names)
    for name, value in names.items():
        if name.startswith("test_"):
            value()
