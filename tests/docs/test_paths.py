"""Every file and every name of the project that README, the docs and the source mention is there.

Of names in Python, comments, docstrings and imports count. `NAME`, `<name>` and `{name}` stand for anything.
"""

from __future__ import annotations

import ast
import io
import re
import tokenize
from collections.abc import Iterable, Iterator
from functools import cache
from pathlib import Path

import pytest

from tests.support.code_blocks import PAGES
from tests.support.paths import ROOT
from tests.test_imports import ROOMS

EXAMPLES = {"quant/ptq/power_of_two.py"}
"""What a page tells the reader to write."""

PACKAGES = ("edge_effnet", "quant", "apps", "tests", "benchmarks")

_FILE = re.compile(rf"(?<![\w/.~-])(?:{'|'.join(PACKAGES)}|docs|\.ci)/[\w./*<>{{}}-]+")
_NAME = re.compile(rf"(?<![\w/.-])(?:{'|'.join(PACKAGES)})(?:\.[A-Za-z_]\w*)+")
_BARE = re.compile(r"`(\w+\.(?:py|kt|swift))`")
"""A file without its folder, in a page."""
_TEST = re.compile(r"(?<![\w/])test_\w+\.py")
"""The same, anywhere."""
_ANYTHING = re.compile(r"<\w+>|\{[\w.]*\}?|\bNAME\b")
_LINK = re.compile(r"\]\((?!https?:)([^)#\s]*)(?:#([\w-]+))?\)")

_BUILT = {"__pycache__", ".gradle", ".build", "build", "site", ".venv"}
OTHERS = [
    path
    for pattern in ("*.kt", "*.kts", "*.swift", "*.toml", "*.yml", "*.json", "*.j2")
    for path in sorted(ROOT.rglob(pattern))
    if not _BUILT & set(path.relative_to(ROOT).parts) and "results" not in path.relative_to(ROOT).parts
]
PYTHON = [path for package in PACKAGES for path in sorted((ROOT / package).rglob("*.py"))]
TEXTS = (*PAGES, ROOT / "apps/android/README.md", ROOT / "apps/ios/README.md", *(ROOT / "docs").glob("*.ipynb"))


def spoken(path: Path) -> Iterator[tuple[int, str]]:
    """Pieces of a file that people read, and the line that each starts in."""
    text = path.read_text(encoding="utf-8")
    if path.suffix != ".py":
        yield 1, text
        return
    for token in tokenize.generate_tokens(io.StringIO(text).readline):
        if token.type == tokenize.COMMENT:
            yield token.start[0], token.string
    for node in ast.walk(ast.parse(text)):
        match node:
            case ast.Expr(value=ast.Constant(value=str() as docstring)):
                yield node.lineno, docstring


def mentions(pattern: re.Pattern[str], pieces: Iterable[tuple[int, str]], path: Path) -> Iterator[tuple[str, str]]:
    """Place and text of everything that looks like a path or a name."""
    for start, text in pieces:
        for number, line in enumerate(text.splitlines(), start):
            for found in pattern.findall(line):
                yield f"{path.relative_to(ROOT)}:{number}", found


def file_exists(mentioned: str) -> bool:
    """Whether a path, or something that it stands for, is in the repository."""
    pattern = _ANYTHING.sub("*", mentioned.rstrip("."))
    if "*" in pattern:
        return any(ROOT.glob(pattern))
    return (ROOT / pattern).exists() or pattern in EXAMPLES


@cache
def names_of(module: Path) -> dict[str, ast.stmt | None]:
    """What a module defines, imports or exports lazily; of classes their node."""
    found: dict[str, ast.stmt | None] = {}
    tree = ast.parse(module.read_text(encoding="utf-8"))
    for node in (each for outer in tree.body for each in (outer, *getattr(outer, "body", ()))):
        match node:
            case ast.FunctionDef(name=name):
                found.setdefault(name, None)
            case ast.ClassDef(name=name):
                found[name] = node
            case ast.Import(names=aliases) | ast.ImportFrom(names=aliases):
                found |= {(alias.asname or alias.name): None for alias in aliases}
            case ast.AnnAssign(target=ast.Name(id=name)):
                found.setdefault(name, None)
            case ast.Assign(targets=targets):
                named = [part for target in targets for part in ast.walk(target) if isinstance(part, ast.Name)]
                found |= {part.id: None for part in named}
    return found


def name_exists(mentioned: str) -> bool:
    """Whether a dotted name is a module of the repository, or leads to something that one defines."""
    parts = mentioned.split(".")
    place = ROOT
    while parts and (place / parts[0]).is_dir():
        place /= parts.pop(0)
    if parts and (place / f"{parts[0]}.py").exists():
        place /= f"{parts.pop(0)}.py"
    elif parts and (place / "__init__.py").exists():
        place /= "__init__.py"
    if not parts:
        return True
    if place.is_dir() or parts[0] not in names_of(place):
        return parts[0].startswith("__")
    owner = names_of(place)[parts[0]]
    # Fields and methods; those that a class inherits are not looked for, for none is mentioned so.
    return len(parts) == 1 or owner is None or re.search(rf"\b{parts[1]}\b", ast.unparse(owner)) is not None


def slugs(page: Path) -> set[str]:
    """Anchors of a page's headings that GitHub and the site agree on: the site joins hyphens, GitHub does not."""
    headings = re.findall(r"^#+ (.+)$", page.read_text(encoding="utf-8"), re.MULTILINE)
    plain = [re.sub(r"[^\w\s-]", "", heading).strip().lower() for heading in headings]
    return {re.sub(r"\s", "-", each) for each in plain} & {re.sub(r"[\s-]+", "-", each) for each in plain}


@cache
def file_names() -> frozenset[str]:
    """Names of all files of the packages, without their folders."""
    return frozenset(path.name for package in PACKAGES for path in (ROOT / package).rglob("*"))


def test_paths_that_are_mentioned_exist():
    wrong = [
        f"{place}: {mentioned}"
        for path in (*TEXTS, *OTHERS, *PYTHON)
        for place, mentioned in mentions(_FILE, [(1, path.read_text(encoding="utf-8"))], path)
        if not file_exists(mentioned)
    ]
    assert not wrong, "\n".join(wrong)


def test_dotted_names_that_are_mentioned_exist():
    wrong = [
        f"{place}: {mentioned}"
        for path in (*TEXTS, *PYTHON)
        for place, mentioned in mentions(_NAME, spoken(path), path)
        if not name_exists(mentioned)
    ]
    assert not wrong, "\n".join(wrong)


def test_files_that_are_mentioned_without_their_folder_exist():
    patterns = {**dict.fromkeys(TEXTS, _BARE), **dict.fromkeys(PYTHON, _TEST)}
    wrong = [
        f"{place}: {mentioned}"
        for path, pattern in patterns.items()
        for place, mentioned in mentions(pattern, [(1, path.read_text(encoding="utf-8"))], path)
        if mentioned not in file_names()
    ]
    assert not wrong, "\n".join(wrong)


def test_links_of_pages_lead_somewhere():
    wrong = []
    for path in TEXTS:
        for place, (target, anchor) in mentions(_LINK, spoken(path), path):
            page = (path.parent / target).resolve() if target else path
            if not page.exists() or (anchor and anchor not in slugs(page)):
                wrong.append(f"{place}: {target}#{anchor}")
    assert not wrong, "\n".join(wrong)


def test_imports_lead_somewhere():
    # Those inside functions and of scripts fail late, those of benchmarks where no test runs them.
    wrong = [
        f"{path.relative_to(ROOT)}: {name}"
        for path in PYTHON
        for name in imports_of(path.read_text(encoding="utf-8"))
        if name.split(".")[0] in PACKAGES and not name_exists(name)
    ]
    assert not wrong, "\n".join(wrong)


def imports_of(script: str) -> list[str]:
    """Dotted names that a script imports, and the scripts that it keeps as strings; none where it is no Python."""
    try:
        nodes = list(ast.walk(ast.parse(script)))
    except SyntaxError:
        return []
    found = [
        f"{node.module}.{alias.name}" for node in nodes if isinstance(node, ast.ImportFrom) for alias in node.names
    ]
    for node in nodes:
        match node:
            case ast.Constant(value=str() as text) if "\nfrom " in text:
                found += imports_of(text)
    return found


@pytest.mark.parametrize(
    ("mentioned", "exists"),
    [
        ("quant/ptq/steps.py", True),
        ("quant/lower/NAME.py", True),
        ("benchmarks/results/accuracy-NAME.md", True),
        ("apps/<app>", True),
        ("quant/" + "gone.py", False),
        ("quant/ptq/" + "NAME.md", False),
    ],
)
def test_a_path_is_told_from_one_that_is_gone(mentioned, exists):
    assert file_exists(mentioned) == exists


@pytest.mark.parametrize(
    ("mentioned", "exists"),
    [
        ("quant.ptq.steps", True),
        ("quant.ptq.steps.STEPS", True),
        ("quant.ptq.steps.State.floats", True),
        ("quant.quantize", True),
        ("quant.ptq.steps.GONE", False),
        ("quant.ptq.gone", False),
        ("quant.search", False),
    ],
)
def test_a_name_is_told_from_one_that_is_gone(mentioned, exists):
    assert name_exists(mentioned) == exists


def test_contributing_has_the_rooms_of_quant_in_the_order_of_imports():
    rows = re.findall(r"^\| (`quant/[^|]*`) \|", (ROOT / "CONTRIBUTING.md").read_text(encoding="utf-8"), re.MULTILINE)
    assert tuple(room for row in rows for room in re.findall(r"quant/(\w+)", row)) == ROOMS
