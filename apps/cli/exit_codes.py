"""Exit codes of every command, and the one place where an exception becomes one.

0    pass
1    accuracy regression: the .pte lost more than allowed
2    usage or input error: an option, weights, images, an artifact
3    the machine: full disk, no permission, no network, a runtime that does not start
70   a fault of this program; the traceback is for its developers
130  interrupted (Ctrl-C); 143 terminated
"""

from __future__ import annotations

import errno
import io
import logging
import signal
import sys
import traceback
import warnings
from collections.abc import Callable
from types import FrameType
from typing import NoReturn

import typer

from apps.cli.process import collect_seldom, keep_freed_memory, take_short_turns
from apps.cli.render.plain import PlainFormatter, sentence
from edge_effnet.errors import InputError, MachineError
from edge_effnet.io.text import plain

PASS = 0
REGRESSION = 1
INPUT = 2
MACHINE = 3
FAULT = 70
INTERRUPTED = 130
TERMINATED = 143


def run(app: typer.Typer) -> NoReturn:
    """Run a command line and exit; known errors become one sentence on standard error."""
    _configure_output()
    keep_freed_memory()
    collect_seldom()
    take_short_turns()
    signal.signal(signal.SIGTERM, _terminate)
    sys.exit(guarded(lambda: app(standalone_mode=False)))


def of_verdict(*, passed: bool) -> int:
    """The code that says how something was judged."""
    return PASS if passed else REGRESSION


def guarded(command: Callable[[], object]) -> int:
    """Run a command and return its exit code; one that judges nothing returns none, and passes."""
    said = ""
    try:
        code = command()
    except (KeyboardInterrupt, typer.Abort):
        code = INTERRUPTED
    except typer.Exit as stop:
        code = stop.exit_code
    except Exception as error:
        said, code = _explained(error)
    # Typer turns Ctrl-C into this code before it reaches us.
    if code == INTERRUPTED:
        said = "interrupted; no unfinished file is left."
    if said:
        print(f"error: {plain(said)}", file=sys.stderr)  # noqa: T201
    return code if isinstance(code, int) else PASS


def _explained(error: Exception) -> tuple[str, int]:
    """One sentence for an error, and its exit code."""
    match error:
        case InputError():
            return sentence(str(error)), INPUT
        case MachineError():
            return sentence(str(error)), MACHINE
        case _ if _lacks_memory(error):
            return "not enough memory; close other programs, or take a smaller variant or image size.", MACHINE
        case OSError():
            full = error.errno in (errno.ENOSPC, errno.EDQUOT)
            advice = "free some space" if full else "check the path and its permissions"
            return sentence(f"{error.filename or 'a file'}: {error.strerror or error}; {advice}."), MACHINE
        case typer.TyperException():  # usage: an unknown option, a bad number
            message = error.format_message()
            # No error to tell of: the help is what was wanted.
            if asked := type(error).__name__ == "NoArgsIsHelpError":
                print(plain(message), file=sys.stderr)  # noqa: T201
            # Without a message the help was printed already.
            return f"{message.rstrip('.')}; see --help." if message and not asked else "", INPUT
        case _:
            print(plain("".join(traceback.format_exception(error))), end="", file=sys.stderr)  # noqa: T201
            return "this is a fault of edge-effnet, not yours; please report it with the lines above.", FAULT


def _lacks_memory(error: Exception) -> bool:
    # Torch has no class of its own for the CPU.
    said = ("can't allocate memory", "not enough memory", "Cannot allocate memory")
    of_torch = isinstance(error, RuntimeError) and any(words in str(error) for words in said)
    return of_torch or isinstance(error, MemoryError)


def _terminate(_number: int, _frame: FrameType | None) -> NoReturn:
    """Leave through every `finally`, so that nothing half-written stays."""
    raise SystemExit(TERMINATED)


def _configure_output() -> None:
    """Our own warnings to standard error, the stack's chatter nowhere; file names in any encoding."""
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(PlainFormatter("%(levelname)s: %(message)s"))
    logging.basicConfig(level=logging.WARNING, handlers=[handler])
    for name in (None, "torch", "torchao", "executorch"):  # None: the root, which some of the stack logs to
        logging.getLogger(name).setLevel(logging.ERROR)
    for name in ("edge_effnet", "quant", "apps"):
        logging.getLogger(name).setLevel(logging.WARNING)
    if not sys.warnoptions:
        # Deprecations inside the stack, Pillow's remarks on large images: nothing that a user could act on.
        warnings.simplefilter("ignore")
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="backslashreplace")
