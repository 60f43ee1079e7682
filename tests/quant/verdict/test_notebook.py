"""Results in a notebook, and the example notebook as it lies in the repository."""

import json
from xml.etree import ElementTree

from quant.metrics.evaluate import NO_ACCURACY
from quant.verdict.notebook import outcome_html
from quant.verdict.verdict import Verdict
from tests.support.outcomes import outcome
from tests.support.paths import ROOT


def parsed(html):
    return ElementTree.fromstring(f"<div>{html}</div>")


def test_table_holds_the_figures():
    page = parsed(outcome()._repr_html_())
    rows = {row[0].text: [cell.text or "" for cell in row[1:]] for row in page.find("table/tbody")}
    assert rows["top-1, %"] == ["96.0", "96.0", "96.0"]
    assert rows["agrees with float, %"][2] == "95.0"
    assert rows["latency, ms"] == ["12.00", "", "6.50"]
    assert page.find("p/strong").text == "pass"


def test_text_of_others_is_escaped():
    hostile = "<script>alert('x')</script>&"
    verdict = Verdict(passed=False, reasons=(hostile,), cautions=())
    page = outcome_html(outcome(artifact=hostile, verdict=verdict), next_command=("quantize", hostile))
    assert "<script" not in page
    assert hostile in parsed(page).find("ul/li").text
    assert parsed(page).find("p/strong").text == "fail"


def test_check_has_no_quantized_column_and_images_may_have_no_labels():
    page = outcome_html(outcome(quantized=None, float_accuracy=NO_ACCURACY, pte_accuracy=NO_ACCURACY))
    assert "None" not in page


def test_a_caution_is_part_of_the_verdict():
    page = outcome_html(outcome(verdict=Verdict(passed=True, reasons=("fine",), cautions=("few images",))))
    assert "pass with caution" in page and "few images" in page


def test_example_notebook_is_kept_without_outputs():
    cells = json.loads((ROOT / "docs/example.ipynb").read_text())["cells"]
    code = [cell for cell in cells if cell["cell_type"] == "code"]
    assert code and all(cell["outputs"] == [] and cell["execution_count"] is None for cell in code)
