"""The example notebook runs from its first cell to its last, and shows tables."""

import pytest

from tests.support.paths import ROOT

pytest.importorskip("nbclient")
pytest.importorskip("ipykernel")

CELL_TIMEOUT_S = 600


@pytest.mark.slow
@pytest.mark.filterwarnings("default")  # of the notebook's own machinery
def test_example_notebook_runs(tmp_path):
    import nbformat
    from nbclient import NotebookClient

    notebook = nbformat.read(ROOT / "docs/example.ipynb", as_version=4)
    NotebookClient(
        notebook, timeout=CELL_TIMEOUT_S, kernel_name="python3", resources={"metadata": {"path": str(tmp_path)}}
    ).execute()
    shown = [
        output["data"]["text/html"]
        for cell in notebook.cells
        for output in cell.get("outputs", ())
        if "text/html" in output.get("data", {})
    ]
    assert len(shown) == 2 and all("<table>" in page for page in shown)
