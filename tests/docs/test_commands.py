"""Every command and every piece of Python in README and docs: understood by the real command line, and run.

Those that train or quantize are in `test_long_commands.py`; those that cannot run here are in the table
`ELSEWHERE`, with the reason.
"""

import shlex
import shutil

import pytest
import typer

from tests.support.code_blocks import blocks
from tests.support.doc_commands import APPS, COMMANDS, ELSEWHERE, ids, is_quick, run, runnable
from tests.support.images import draw_halves
from tests.support.paths import ROOT
from tests.support.reports import measured_artifact

SUBSTITUTIONS = {"100": "6"}
"""Words of a command by what stands for them here: fewer images."""


def added(words):
    """Words behind a command: apps are put into a copy of the project, where the page names none."""
    if words[1] != "deploy" or "--project" in words:
        return []
    return ["--project", words[words.index("--app") + 1]]


CHANGED_TEXT = {"1600": "16", "496": "16", '"val", 0, 224': '"val", 0, 64', "size=224": "size=64", "128": "16"}
"""Parts of a Python block by what stands for them here: fewer and smaller pictures."""


@pytest.fixture
def workplace(quick_host, tmp_path, monkeypatch):
    """A folder in which the names of the docs mean something."""
    draw_halves(tmp_path / "photos")
    for name in ("b0-int8-xnnpack", "lite0-int8-xnnpack", "b0-int8-backends"):
        measured_artifact(tmp_path / name)
    for name in ("model.pte", "before.pte", "after.pte"):
        shutil.copy(tmp_path / "b0-int8-xnnpack" / "model.pte", tmp_path / name)
    for app in ("android", "ios"):
        shutil.copytree(
            ROOT / "apps" / app, tmp_path / app, ignore=shutil.ignore_patterns("build", ".gradle", ".build")
        )
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.fixture(scope="module")
def device_results(quick_host, tmp_path_factory):
    """What a device found out about the small artifact: this host is one too."""
    folder = tmp_path_factory.mktemp("device")
    measured_artifact(folder / "artifact")
    draw_halves(folder / "photos")
    places = ["--data", str(folder / "photos"), "--results", str(folder / "results.json")]
    assert run(["edge-effnet", "check", str(folder / "artifact"), "--device", "host", *places]) == 0
    return folder / "results.json"


def test_blocks_were_found():
    assert len(COMMANDS) > 25


def test_what_is_not_run_here_is_in_the_docs():
    lines = [shlex.join(words) for _, words in COMMANDS]
    stale = [key for key in ELSEWHERE if not any(line == key or (key[0] == "-" and key in line) for line in lines)]
    assert stale == []


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


QUICK_COMMANDS = runnable(is_quick, SUBSTITUTIONS)


@pytest.mark.parametrize(("where", "words"), QUICK_COMMANDS, ids=ids(QUICK_COMMANDS))
def test_quick_command_runs(where, words, workplace, request, capsys):
    if "--baseline" in words and "--update-baseline" not in words:
        first = ["check", "b0-int8-xnnpack", "--data", "photos", "--baseline", "b0.json", "--update-baseline"]
        assert run(["edge-effnet", *first]) == 0
    if "--device" in words or words[1] == "compare":
        for name in ("results.json", "host.json", "pi.json"):
            shutil.copy(request.getfixturevalue("device_results"), workplace / name)
    assert run([*words, *added(words)]) == 0, f"{where}: {capsys.readouterr().err}"


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
