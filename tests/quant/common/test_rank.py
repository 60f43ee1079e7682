"""An environment that torchrun did not make is one sentence, and of no interest to commands that do not train."""

from __future__ import annotations

import pytest

from apps.cli.render.bars import Bars
from edge_effnet.errors import InputError, MachineError
from quant.common.rank import is_alone, is_leader
from quant.training.distributed import joined_group

NAMES = ("RANK", "WORLD_SIZE", "LOCAL_RANK", "MASTER_ADDR", "MASTER_PORT")


def surround(monkeypatch: pytest.MonkeyPatch, environment: dict[str, str]) -> None:
    for name in NAMES:
        monkeypatch.delenv(name, raising=False)
    for name, value in environment.items():
        monkeypatch.setenv(name, value)


@pytest.mark.parametrize(
    ("environment", "alone", "leader"),
    [
        ({}, True, True),
        ({"RANK": "0", "WORLD_SIZE": "2"}, False, True),
        ({"RANK": "1", "WORLD_SIZE": "2"}, False, False),
        ({"RANK": "1"}, True, True),
        ({"RANK": "abc"}, True, True),
    ],
)
def test_the_leader_is_the_first_of_several(environment, alone, leader, monkeypatch):
    surround(monkeypatch, environment)
    assert (is_alone(), is_leader()) == (alone, leader)


TOGETHER = {"RANK": "0", "WORLD_SIZE": "2", "MASTER_ADDR": "127.0.0.1", "MASTER_PORT": "1"}


@pytest.mark.parametrize(
    ("environment", "words"),
    [
        ({"WORLD_SIZE": "x"}, "WORLD_SIZE is 'x', not a whole number of at least 1"),
        ({"WORLD_SIZE": "0"}, "WORLD_SIZE is '0'"),
        ({"WORLD_SIZE": "-1"}, "WORLD_SIZE is '-1'"),
        ({"WORLD_SIZE": "9" * 5000}, "WORLD_SIZE is"),
        ({"WORLD_SIZE": "\u00b2"}, "WORLD_SIZE is"),
        ({"WORLD_SIZE": "2"}, "RANK, MASTER_ADDR, MASTER_PORT not set"),
        ({"WORLD_SIZE": "2", "RANK": "0"}, "MASTER_ADDR, MASTER_PORT not set: start the processes with torchrun"),
        (TOGETHER | {"RANK": "abc"}, "RANK is 'abc'"),
        (TOGETHER | {"RANK": "2"}, "RANK is 2 among WORLD_SIZE 2 processes"),
        ({"LOCAL_RANK": "x"}, "LOCAL_RANK is 'x'"),
    ],
)
def test_an_environment_that_does_not_fit_is_a_sentence(environment, words, monkeypatch):
    surround(monkeypatch, environment)
    with pytest.raises(InputError, match=words), joined_group():
        pass


@pytest.mark.parametrize("port", ["x", "99999999"])
def test_processes_that_do_not_find_each_other_are_the_machines_fault(port, monkeypatch):
    surround(monkeypatch, TOGETHER | {"MASTER_PORT": port})
    with pytest.raises(MachineError, match="do not find each other"), joined_group():
        pass


def test_commands_that_do_not_train_do_not_look(monkeypatch):
    surround(monkeypatch, {"RANK": "abc", "WORLD_SIZE": "x"})
    with Bars().stage("Evaluating", 10) as advance:
        advance(10)
