"""Imports point one way: edge_effnet <- quant <- apps. A module imports its own package and those before it."""

import ast
from pathlib import Path

import pytest

LAYERS = ("edge_effnet", "quant", "apps")
ROOT = Path(__file__).parents[2]


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
        "import quant.data as d",
        "from quant import check",
        "from quant.data import Photo",
        "def f():\n    from quant.data import Photo",
        "importlib.import_module('quant.data')",
        "if TYPE_CHECKING:\n    import quant.data",
    ],
)
def test_the_search_finds_every_way_to_import(source):
    assert "quant" in imported_by(source, "edge_effnet")


def test_the_search_is_not_fooled_by_prose_and_relatives():
    assert imported_by('"""quant. is mentioned here"""\nfrom . import x', "edge_effnet") == {"edge_effnet"}
