"""The documentation site builds without a warning, and needs no network."""

import importlib.util
import re
import subprocess
import sys

import pytest

import edge_effnet
import quant
from tests.support.paths import ROOT

needs_mkdocs = pytest.mark.skipif(
    importlib.util.find_spec("mkdocs") is None, reason="needs mkdocs: pip install '.[docs]'"
)


@pytest.fixture(scope="module")
def site(tmp_path_factory):
    folder = tmp_path_factory.mktemp("site")
    built = subprocess.run(
        [sys.executable, "-m", "mkdocs", "build", "--strict", "--quiet", "--site-dir", str(folder)],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
    )
    assert built.returncode == 0, built.stderr
    return folder


@needs_mkdocs
def test_builds_without_a_warning_and_holds_every_page(site):
    pages = {page.relative_to(ROOT / "docs").with_suffix("") for page in (ROOT / "docs").rglob("*.md")}
    assert pages <= {page.relative_to(site).with_suffix("") for page in site.rglob("*.html")}


def test_code_in_a_list_is_indented_so_that_the_list_goes_on():
    """By four spaces: with three, as GitHub takes it too, the site numbers every step behind a block 1."""
    for page in (ROOT / "docs").rglob("*.md"):
        indents = {len(indent) for indent in re.findall("^( *)```", page.read_text(), re.MULTILINE)}
        assert all(indent % 4 == 0 for indent in indents), page.name


@needs_mkdocs
def test_pages_load_nothing_from_elsewhere(site):
    for page in site.rglob("*.html"):
        loaded = re.findall(r'<(?:script|img|link)[^>]*?(?:src|href)="(https?:[^"]+)"', page.read_text())
        assert not loaded, page.name


@needs_mkdocs
@pytest.mark.parametrize("name", ["quantize", "check", "EfficientNet", "load_checkpoint"])
def test_reference_has_the_public_names(site, name):
    assert re.search(rf'id="[\w.]+\.{name}"', (site / "api.html").read_text())


@pytest.mark.parametrize("package", [edge_effnet, quant])
def test_reference_names_all_that_users_import_and_no_more(package):
    page = (ROOT / "docs" / "api.md").read_text(encoding="utf-8")
    named = re.findall(rf"^::: {package.__name__}\.(?:\w+\.)*(\w+)$", page, re.MULTILINE)
    assert sorted(named) == sorted(package.__all__)
