"""Imports point one way: edge_effnet <- quant <- apps, and inside `quant` in the order of `ROOMS`."""

import ast
import graphlib
from pathlib import Path

import pytest

from tests.support.paths import ROOT

LAYERS = ("edge_effnet", "quant", "apps")

# A package of `quant` imports only from those before it.
ROOMS = (
    "thresholds",
    "recipes",
    "common",
    "data",
    "graph",
    "program",
    "lower",
    "metrics",
    "ptq",
    "analysis",
    "training",
    "qat",
    "verdict",
    "artifact",
    "checks",
    "report",
    "pipeline",
)


def imported_by(source: str, package: str) -> set[str]:
    """Top-level packages that a module imports, anywhere in it, `importlib.import_module("...")` included."""
    found = set()
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Import):
            found |= {alias.name.split(".")[0] for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            found.add(package if node.level else (node.module or "").split(".")[0])
        elif isinstance(node, ast.Constant) and isinstance(node.value, str):
            # Lazy imports and child processes name modules in strings.
            found |= {layer for layer in LAYERS if node.value.startswith(f"{layer}.") and " " not in node.value}
    return found


def modules(layer: str) -> list[Path]:
    return sorted((ROOT / layer).rglob("*.py"))


@pytest.mark.parametrize("layer", LAYERS)
def test_no_module_imports_a_later_layer(layer):
    later = set(LAYERS[LAYERS.index(layer) + 1 :])
    assert modules(layer)
    wrong = {
        str(path.relative_to(ROOT)): sorted(imported_by(path.read_text(), layer) & later) for path in modules(layer)
    }
    assert {path: names for path, names in wrong.items() if names} == {}


def test_product_code_imports_no_tests_and_no_benchmarks():
    for layer in LAYERS:
        for path in modules(layer):
            assert not imported_by(path.read_text(), layer) & {"tests", "benchmarks", "support", "pytest"}, path


@pytest.mark.parametrize(
    "source",
    [
        "import quant",
        "import quant.data.split as d",
        "from quant import check",
        "from quant.data.split import ImageRecord",
        "def f():\n    from quant.data.split import ImageRecord",
        "importlib.import_module('quant.data.split')",
        "if TYPE_CHECKING:\n    import quant.data.split",
    ],
)
def test_the_search_finds_every_way_to_import(source):
    assert "quant" in imported_by(source, "edge_effnet")


def test_the_search_is_not_fooled_by_prose_and_relatives():
    assert imported_by('"""quant. is mentioned here"""\nfrom . import x', "edge_effnet") == {"edge_effnet"}


def rooms_of(source: str) -> set[str]:
    """Packages of `quant` that a module imports or names as the home of something."""
    found: set[str] = set()
    for node in ast.walk(ast.parse(source)):
        names: list[str] = []
        if isinstance(node, ast.Import):
            names = [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom):
            names = [f"{node.module}.{alias.name}" for alias in node.names]
        elif isinstance(node, ast.Constant) and isinstance(node.value, str) and " " not in node.value:
            names = [node.value]
        found |= {name.split(".")[1] for name in names if name.startswith("quant.")}
    return found & set(ROOMS)


def room_of(path: Path) -> str:
    """Package of `quant` that a file belongs to."""
    return path.relative_to(ROOT / "quant").parts[0].removesuffix(".py")


def test_every_room_of_quant_stands_in_the_order():
    assert {room_of(path) for path in modules("quant")} - {"__init__"} == set(ROOMS)


def test_rooms_import_only_from_those_before_them():
    wrong = {}
    for path in modules("quant"):
        if (own := room_of(path)) in ROOMS:
            later = rooms_of(path.read_text()) & set(ROOMS[ROOMS.index(own) + 1 :])
            wrong |= {str(path.relative_to(ROOT)): sorted(later)} if later else {}
    assert wrong == {}


def test_the_look_into_rooms_finds_an_import_that_points_up():
    assert rooms_of("def f():\n    from quant.pipeline import check") == {"pipeline"}
    assert rooms_of('importlib.import_module("quant.verdict.assemble")') == {"verdict"}


def test_no_import_cycle():
    known = module_names()
    graph = {name: module_imports(path.read_text(), set(known)) - {name} for name, path in known.items()}
    # Raises with the cycle.
    graphlib.TopologicalSorter(graph).prepare()


def module_names() -> dict[str, Path]:
    """Every module of the product by its dotted name."""
    return {
        ".".join(path.relative_to(ROOT).with_suffix("").parts).removesuffix(".__init__"): path
        for layer in LAYERS
        for path in modules(layer)
    }


def module_imports(source: str, known: set[str]) -> set[str]:
    """Which of the known modules a module imports while it is imported itself."""
    found = set()
    for node in ast.parse(source).body:
        if isinstance(node, ast.ImportFrom) and node.module:
            inner = {f"{node.module}.{alias.name}" for alias in node.names} & known
            found |= inner or {node.module}
        elif isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
    return found & known
