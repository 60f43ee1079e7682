"""The example of docs/adding-a-method.md is a method: it runs at its place in the order, and does what it says."""

from __future__ import annotations

import math
import re
import sys
import textwrap
from dataclasses import asdict, dataclass, fields, replace
from types import ModuleType

import pytest

from edge_effnet import EfficientNet
from edge_effnet.fuse import fold_for_inference
from quant.common.progress import NoProgress
from quant.graph.export import export_graph
from quant.graph.qdq import QUANTIZE
from quant.ptq import steps
from quant.ptq.steps import Context, Phase, State, Step, quantize_program, run_steps
from quant.recipes import RECIPES, Recipe
from tests.support.code_blocks import blocks
from tests.support.networks import images, trained_looking
from tests.support.paths import ROOT
from tests.support.training import TINY

PAGE = "docs/adding-a-method.md"
TEXT = (ROOT / PAGE).read_text(encoding="utf-8")
SIZE = 32


@pytest.fixture
def pieces():
    """The method's file, the field of the recipe, the step's function, the step itself."""
    return [block.text for block in blocks("py") if block.page == PAGE]


@pytest.fixture
def recipe(pieces):
    """The example's recipe: the plain one, with the field set."""
    names = {"dataclass": dataclass, "Recipe": Recipe}
    body = textwrap.indent(pieces[1], "    ")
    exec(f"@dataclass(frozen=True, kw_only=True, slots=True)\nclass Extended(Recipe):\n{body}", names)
    return names["Extended"](**asdict(RECIPES["int8-fast"]) | {"reconstruct": False, "power_of_two": True})


@pytest.fixture
def step(pieces, monkeypatch) -> Step:
    """The example's step, made where the page says, and put into the list behind `ranges`."""
    module = ModuleType("quant.ptq.power_of_two")
    monkeypatch.setitem(sys.modules, module.__name__, module)
    exec(compile(pieces[0], PAGE, "exec"), vars(module))
    names = {**vars(steps), "with_power_of_two_scales": module.with_power_of_two_scales}
    exec(compile(pieces[2], PAGE, "exec"), names)
    made = eval(pieces[3], names)
    place = [each.name for each in steps.STEPS].index("ranges") + 1
    monkeypatch.setattr(steps, "STEPS", (*steps.STEPS[:place], made, *steps.STEPS[place:]))
    return made


def watch(monkeypatch) -> list[str]:
    """Names of the steps that run from now on, in their order."""
    ran: list[str] = []

    def watched(step: Step) -> Step:
        return replace(step, run=lambda state, context: ran.append(step.name) or step.run(state, context))

    monkeypatch.setattr(steps, "STEPS", tuple(map(watched, steps.STEPS)))
    return ran


@pytest.fixture(scope="module")
def graph():
    network = trained_looking(EfficientNet.from_name(TINY, num_classes=3), image_size=SIZE)
    return export_graph(fold_for_inference(network, SIZE), SIZE)


def scales(graph, recipe) -> list[float]:
    """Of all activations of the network that the steps make."""
    context = Context(inputs=[images(4, SIZE)], recipe=recipe, seed=0, progress=NoProgress())
    quantized = quantize_program(run_steps(Phase.NETWORK, State(graph=graph), context), context)
    return [float(node.args[1]) for node in quantized.converted.graph.nodes if node.target is QUANTIZE]


def test_the_example_runs_at_its_place_and_does_what_it_says(graph, recipe, step, monkeypatch):
    ran = watch(monkeypatch)
    rounded = scales(graph, recipe)
    assert ran == ["ranges", step.name, "convert"] and f"between `{ran[0]}` and `{ran[2]}`" in TEXT
    assert len(rounded) > 20 and all(math.log2(scale).is_integer() for scale in rounded)
    plain = scales(graph, replace(recipe, power_of_two=False))
    assert ran[3:] == ["ranges", "convert"]
    assert all(before <= after < 2 * before for before, after in zip(plain, rounded, strict=True))
    assert recipe.to_json()["power_of_two"]


def test_the_page_has_the_order_of_the_steps():
    table = re.findall(r"^\| ([\w ]+) \| `([A-Z]+)` \|", TEXT, re.MULTILINE)
    assert table == [(step.name, step.phase.name) for step in steps.STEPS]


def test_the_page_has_the_fields_of_a_state():
    table = re.findall(r"^\| `(\w+)` \|", TEXT, re.MULTILINE)
    assert table == [field.name for field in fields(State)]
