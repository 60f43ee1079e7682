import errno
import logging
import os
import subprocess
import sys
import warnings

import pytest
import typer
from PIL import Image

from apps.cli import exit_codes
from apps.cli.exit_codes import guarded
from apps.cli.help import EXIT_CODES
from edge_effnet.errors import InputError, MachineError
from tests.support.images import draw_image

PACKAGES = ("edge_effnet", "quant", "apps")


def raising(error):
    def command():
        raise error

    return command


def outcome_of(command, capsys):
    code = guarded(command)
    out, err = capsys.readouterr()
    assert out == ""
    return code, err


@pytest.mark.parametrize("code", [0, 1, 2])
def test_a_commands_own_code_is_the_exit_code(code, capsys):
    assert outcome_of(lambda: code, capsys) == (code, "")


def test_a_command_that_returns_nothing_passed(capsys):
    assert outcome_of(lambda: None, capsys) == (0, "")


@pytest.mark.parametrize(
    ("error", "code", "words"),
    [
        (InputError("b.jpg: broken; remove it."), 2, "error: b.jpg: broken; remove it.\n"),
        (MachineError("no network; pass a file."), 3, "error: no network; pass a file.\n"),
        (MemoryError(), 3, "not enough memory"),
        (PermissionError(errno.EACCES, "Permission denied", "/data"), 3, "/data: Permission denied; check the path"),
        (OSError(errno.ENOSPC, "No space left on device", "x.pte"), 3, "No space left on device; free some space"),
        (KeyboardInterrupt(), 130, "error: interrupted; no unfinished file is left.\n"),
        (typer.Abort(), 130, "interrupted"),
    ],
)
def test_a_known_error_is_one_sentence_and_a_code(error, code, words, capsys):
    found, err = outcome_of(raising(error), capsys)
    assert found == code and words in err
    assert err.startswith("error: ") and err.count("\n") == 1


@pytest.mark.parametrize("error", [ValueError("x"), KeyError("x"), AssertionError(), RuntimeError("x")])
def test_a_fault_of_ours_is_neither_a_pass_nor_a_regression_nor_the_users(error, capsys):
    code, err = outcome_of(raising(error), capsys)
    assert code == 70
    assert "Traceback" in err and "please report it" in err


def test_typers_own_exits_keep_their_code(capsys):
    assert outcome_of(raising(typer.Exit(0)), capsys) == (0, "")
    # What typer makes of Ctrl-C before it reaches us.
    assert guarded(lambda: 130) == 130
    assert "interrupted" in capsys.readouterr().err


@pytest.fixture
def app():
    app = typer.Typer(pretty_exceptions_enable=False)

    @app.command(no_args_is_help=True)
    def shout(count: int, loud: bool = False) -> int:
        if loud:
            raise KeyboardInterrupt
        return count

    return app


@pytest.mark.parametrize(
    ("arguments", "code", "words"),
    [
        (["0"], 0, ""),
        (["1"], 1, ""),
        (["many"], 2, "Invalid value for 'count'"),
        (["1", "--bogus"], 2, "No such option: --bogus"),
        (["1", "2"], 2, "unexpected extra argument"),
        (["1", "--loud"], 130, "interrupted"),
    ],
)
def test_typers_usage_errors_are_ours(app, arguments, code, words, capsys):
    found, err = outcome_of(lambda: app(arguments, standalone_mode=False), capsys)
    assert found == code
    assert words in err and "Traceback" not in err
    assert err == "" or err.startswith("error: ")


def test_no_arguments_print_the_help_and_are_a_usage_error(app, capsys):
    assert guarded(lambda: app([], standalone_mode=False)) == 2
    out, err = capsys.readouterr()
    assert "Usage" in out + err and "Traceback" not in err


def test_help_passes(app, capsys):
    assert guarded(lambda: app(["--help"], standalone_mode=False)) == 0
    assert "--loud" in capsys.readouterr().out


def test_the_help_line_names_the_codes():
    for code in (
        exit_codes.PASS,
        exit_codes.REGRESSION,
        exit_codes.INPUT,
        exit_codes.MACHINE,
        exit_codes.INTERRUPTED,
    ):
        assert f"{code} " in EXIT_CODES


def test_the_documentation_lists_every_code(pytestconfig):
    page = (pytestconfig.rootpath / "docs" / "exit-codes.md").read_text()
    codes = [value for name, value in vars(exit_codes).items() if name.isupper() and isinstance(value, int)]
    assert len(codes) == 7
    for code in codes:
        assert f"| {code} |" in page


def test_termination_passes_through_every_finally():
    with pytest.raises(SystemExit) as stop:
        exit_codes._terminate(15, None)
    assert stop.value.code == 143


_LEAVING = """
import typer
from apps.cli.exit_codes import run

class Circle:
    def __init__(self):
        self.itself = self
    def __del__(self):
        print("searched for")

app = typer.Typer()
app.command()(lambda: 1 if Circle() else 0)
run(app)
"""


def test_a_command_ends_without_searching_for_garbage():
    left = subprocess.run([sys.executable, "-c", _LEAVING], capture_output=True, text=True, check=False)
    assert (left.returncode, left.stdout) == (1, ""), left.stderr


@pytest.fixture
def configured(monkeypatch):
    """What the command line makes of warnings and log lines; undone afterwards, since it is the whole process's."""
    loggers = [logging.getLogger(name) for name in (None, "torch", "torchao", "executorch", *PACKAGES)]
    levels = [logger.level for logger in loggers]
    monkeypatch.setattr("sys.warnoptions", [])
    with warnings.catch_warnings():
        exit_codes._configure_output()
        yield
    for logger, level in zip(loggers, levels, strict=True):
        logger.setLevel(level)


@pytest.mark.parametrize("name", PACKAGES)
def test_our_own_warnings_are_shown(configured, name):
    assert logging.getLogger(f"{name}.somewhere").isEnabledFor(logging.WARNING)


@pytest.mark.parametrize("name", [None, "torch.export", "torchao", "executorch.exir"])
def test_the_stacks_warnings_are_not_but_its_errors_are(configured, name):
    assert not logging.getLogger(name).isEnabledFor(logging.WARNING)
    assert logging.getLogger(name).isEnabledFor(logging.ERROR)


def test_large_images_are_no_warning_on_the_command_line(monkeypatch, tmp_path, request):
    path = draw_image(tmp_path / "a.jpg")
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", 400)  # 480 pixels warn, from 800 on they would be refused
    with pytest.raises(Image.DecompressionBombWarning):
        Image.open(path)
    request.getfixturevalue("configured")
    Image.open(path).close()


def test_a_full_standard_output_is_the_machines_fault(capsys):
    with open("/dev/full", "w") as full, pytest.raises(OSError) as caught:  # noqa: PTH123
        os.write(full.fileno(), b"x")
    assert outcome_of(raising(caught.value), capsys)[0] == 3
