"""`--help` of every command: one screen, with examples that can be typed."""

import inspect
import shlex
from importlib.metadata import version

import pytest
import typer

from apps.cli import edge_effnet
from apps.cli.commands import quantize
from apps.cli.exit_codes import guarded

COLUMNS, LINES = 80, 45
"""A terminal as high as a laptop's screen."""

COMMANDS = sorted(
    command.name or inspect.getmodule(command.callback).__name__ for command in edge_effnet.app.registered_commands
)


def help_of(app, capsys, monkeypatch, *arguments):
    monkeypatch.setenv("COLUMNS", str(COLUMNS))
    assert guarded(lambda: app([*arguments, "--help"], standalone_mode=False)) == 0
    out, err = capsys.readouterr()
    assert err == ""
    return out


CASES = [(quantize.app, ()), (edge_effnet.app, ()), *((edge_effnet.app, (name,)) for name in COMMANDS)]


@pytest.mark.parametrize(("app", "arguments"), CASES, ids=["quantize", "edge-effnet", *COMMANDS])
def test_help_fits_one_screen_and_ends_with_two_examples_and_the_exit_codes(app, arguments, capsys, monkeypatch):
    lines = help_of(app, capsys, monkeypatch, *arguments).splitlines()
    assert len(lines) <= LINES
    assert max(map(len, lines)) <= COLUMNS
    start = lines.index("  Examples:")
    examples = [line.strip() for line in lines[start + 1 : start + 3]]
    assert lines[start + 3] == "" and "Exit codes" in lines[start + 4]
    for example in examples:
        words = shlex.split(example)
        assert words[0] == ("quantize" if app is quantize.app else "edge-effnet")
        assert not arguments or words[1] == arguments[0]


@pytest.mark.parametrize("name", COMMANDS)
def test_examples_use_options_that_exist(name, capsys, monkeypatch):
    text = help_of(edge_effnet.app, capsys, monkeypatch, name)
    options, examples = text.split("Examples:")
    for word in examples.split():
        assert not word.startswith("--") or f"  {word}" in options


@pytest.mark.parametrize(("app", "arguments"), CASES, ids=["quantize", "edge-effnet", *COMMANDS])
def test_values_are_named_in_words_and_help_has_a_short_name(app, arguments, capsys, monkeypatch):
    text = help_of(app, capsys, monkeypatch, *arguments)
    for noise in ("<str>", "<int", "<list", "<path>", "<float>", "x<=", "x>="):
        assert noise not in text
    # Arguments stand in the usage as in the list below it: in braces they would read like choices.
    usage = text.splitlines()[0].split("[OPTIONS]")[1]
    assert usage.replace(".", "").replace(" ", "").isupper() or not usage.split() or "COMMAND" in usage
    assert guarded(lambda: app([*arguments, "-h"], standalone_mode=False)) == 0
    assert capsys.readouterr().out == text


@pytest.mark.parametrize("app", [quantize.app, edge_effnet.app], ids=["quantize", "edge-effnet"])
def test_without_arguments_the_help_is_shown_as_it_is(app, capsys):
    assert guarded(lambda: app([], standalone_mode=False)) == 2
    out, err = capsys.readouterr()
    assert out == "" and err.startswith("Usage: ") and err.endswith("130 stopped.\n")


def test_a_number_beyond_its_range_is_told_the_range(capsys):
    assert guarded(lambda: quantize.app(["--image-size", "8"], standalone_mode=False)) == 2
    assert "'--image-size': 8: need a number from 32 to 2048; see --help." in capsys.readouterr().err
    assert guarded(lambda: edge_effnet.app(["analyze", "x", "--top", "0"], standalone_mode=False)) == 2
    assert "'--top': 0: need 1 or more; see --help." in capsys.readouterr().err


def test_quantize_is_looked_for_among_the_commands_too(capsys):
    assert guarded(lambda: edge_effnet.app(["quantize", "--variant", "b0"], standalone_mode=False)) == 2
    assert "leave out `edge-effnet` (quantize --help)" in capsys.readouterr().err


def test_every_app_is_plain():
    for app in (quantize.app, edge_effnet.app):
        assert isinstance(app, typer.Typer) and app.rich_markup_mode is None


def test_what_help_leaves_out_stands_in_help_all(capsys, monkeypatch):
    short = help_of(quantize.app, capsys, monkeypatch)
    assert "--origin" not in short and "--help-all" in short
    monkeypatch.setenv("COLUMNS", str(COLUMNS))
    assert guarded(lambda: quantize.app(["--help-all"], standalone_mode=False)) == 0
    full, _ = capsys.readouterr()
    for option in ("--variant", "--origin", "--trained-activation"):
        assert f"\n  {option}" in full
    assert max(map(len, full.splitlines())) <= COLUMNS
    # Shown once, not from then on.
    assert help_of(quantize.app, capsys, monkeypatch) == short


@pytest.mark.parametrize("app", [quantize.app, edge_effnet.app], ids=["quantize", "edge-effnet"])
def test_versions_are_those_of_what_is_installed(app, capsys):
    assert guarded(lambda: app(["--version"], standalone_mode=False)) == 0
    out = capsys.readouterr().out
    assert out.startswith(f"edge-effnet {version('edge-effnet')} (torch {version('torch')}, ")
    assert f"executorch {version('executorch')}" in out and out.count("\n") == 1


@pytest.mark.parametrize("name", COMMANDS)
def test_a_command_says_the_programs_versions_too(name, capsys):
    assert guarded(lambda: edge_effnet.app(["--version"], standalone_mode=False)) == 0
    expected = capsys.readouterr().out
    for words in ([name, "--version"], [name, "missing", "--version"]):
        assert guarded(lambda words=words: edge_effnet.app(words, standalone_mode=False)) == 0
        assert capsys.readouterr().out == expected
