import io
import re
import time

import pytest
from rich.console import Console

from apps.cli.render.bars import Bars
from edge_effnet.errors import InputError
from quant.common import progress as module
from quant.common.progress import NoProgress, Stopwatch


def test_stages_add_up_and_the_total_is_at_least_their_sum(monkeypatch):
    clock = iter([0.0, 1.0, 3.0, 4.0, 4.5, 10.0])
    monkeypatch.setattr(module.time, "perf_counter", lambda: next(clock))
    watch = Stopwatch()
    for _ in range(2):
        with watch.measure("evaluate"):
            pass
    assert watch.total() == {"total": 10.0, "evaluate": 2.5}


def test_a_stage_that_fails_is_timed_too():
    watch = Stopwatch()
    try:
        with watch.measure("lower"):
            raise ValueError
    except ValueError:
        pass
    assert "lower" in watch.total()


def test_no_progress_takes_steps_and_shows_nothing(capfd):
    with NoProgress().stage("Evaluating", 10) as advance:
        advance(10)
    assert capfd.readouterr() == ("", "")


def test_bars_are_silent_where_standard_error_is_no_terminal(capfd):
    with Bars().stage("Evaluating", 10) as advance:
        advance(10)
    assert capfd.readouterr() == ("", "")


def test_lines_say_in_a_log_when_a_long_stage_begins_and_ends(capfd, monkeypatch):
    monkeypatch.setattr("apps.cli.render.bars._BRIEF_S", 0.05)
    with Bars(lines=True).stage("Evaluating", 10) as advance:
        time.sleep(0.2)
        assert capfd.readouterr() == ("", "Evaluating: 10 to do\n")
        advance(10)
    assert re.fullmatch(r"Evaluating: done in 0\.\d s\n", capfd.readouterr().err)
    with Bars(lines=True, quiet=True).stage("Evaluating", 10):
        time.sleep(0.2)
    assert capfd.readouterr() == ("", "")


def test_a_short_stage_needs_no_lines(capfd):
    with Bars(lines=True).stage("Evaluating", 10) as advance:
        advance(10)
    with pytest.raises(InputError), Bars(lines=True).stage("Reading", 10):
        raise InputError("x.jpg: unreadable.")
    assert capfd.readouterr() == ("", "")


def test_bars_show_stage_and_count_on_a_terminal(capfd, monkeypatch):
    screen = io.StringIO()
    bars = Bars()
    monkeypatch.setattr(bars, "_console", Console(file=screen, force_terminal=True, width=80))
    with bars.stage("Evaluating", 250) as advance:
        advance(250)
    assert "Evaluating" in screen.getvalue() and "250/250" in screen.getvalue()
    assert capfd.readouterr().out == ""
