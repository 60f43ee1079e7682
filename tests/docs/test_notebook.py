"""The notebooks run from their first cell to their last, and show tables."""

import pytest

from tests.support.paths import ROOT

pytest.importorskip("nbclient")
pytest.importorskip("ipykernel")

CELL_TIMEOUT_S = 600


TABLES = {"example": 2, "own-timm-model": 1}
"""Notebooks, and the objects that show themselves as a table in each."""

CHANGED = {
    "calibration=64": 'calibration=32, recipe="int8-fast", image_size=128',
    "calibration=40": 'calibration=40, recipe="int8-fast"',
    "STEPS := 12": "STEPS := 2",
}
"""Parts of cells by what stands for them here: fewer and smaller images, ranges alone, hardly any training."""


@pytest.mark.slow
@pytest.mark.filterwarnings("default")  # of the notebook's own machinery
@pytest.mark.parametrize("name", TABLES)
def test_notebook_runs(name, tmp_path):
    import nbformat
    from nbclient import NotebookClient

    notebook = nbformat.read(ROOT / f"docs/{name}.ipynb", as_version=4)
    for cell in notebook.cells:
        for theirs, ours in CHANGED.items():
            cell["source"] = cell["source"].replace(theirs, ours)
    if "timm" in name:
        # Where torchvision's operators do not load, timm does not either: the peers' own way around it.
        pytest.importorskip("tests.support.peers", reason="needs timm: pip install -e '.[dev]'")
        around = f"import sys; sys.path.insert(0, {str(ROOT)!r}); import tests.support.peers"
        notebook.cells.insert(0, nbformat.v4.new_code_cell(around))
    NotebookClient(
        notebook, timeout=CELL_TIMEOUT_S, kernel_name="python3", resources={"metadata": {"path": str(tmp_path)}}
    ).execute()
    shown = [
        output["data"]["text/html"]
        for cell in notebook.cells
        for output in cell.get("outputs", ())
        if "text/html" in output.get("data", {})
    ]
    assert len(shown) == TABLES[name] and all("<table>" in page for page in shown)
