import io
from types import SimpleNamespace

from rich.console import Console

from apps.cli.render.programs import print_run, programs_table
from quant.metrics.tasks.classes import CLASSES
from quant.pipeline.results import MEASURED, MISSING, NOT_HERE


def row(name, status, **changes):
    settings = {"report": None, "size_bytes": None, "outcome": None}
    return SimpleNamespace(name=name, status=status, **settings | changes)


def test_a_run_over_backends_has_the_order_of_every_run(capsys):
    missing = row(
        "openvino-int8", MISSING, reason="OpenVINO is not installed", simulated=None, warnings=(), passed=False
    )
    outcome = SimpleNamespace(
        variant="b0",
        recipe="int8",
        rows=[missing],
        notes=("Left out 2 copies",),
        seconds={"total": 3.0, "load": 3.0},
        passed=True,
        cautions=(),
        folder="b0-int8-backends",
        to_json=dict,
    )
    print_run(outcome, as_json=False, report="report.html", data="photos")
    text = capsys.readouterr().out
    parts = (
        "Seconds: 3",
        "b0, int8",
        "PASS  0 programs measured",
        "OpenVINO is not installed",
        "Left out 2",
        "Artifact: ",
    )
    places = [text.index(part) for part in parts]
    assert places == sorted(places)


def test_the_widest_rows_fit_80_columns_uncut():
    """A size of `16.…` MB says nothing."""
    report = SimpleNamespace(partitions=1, leftovers=range(241))
    outcome = SimpleNamespace(
        task=CLASSES,
        pte_accuracy=SimpleNamespace(top1=1.0, more={}),
        pte=SimpleNamespace(agreement=1.0, sqnr_db=113.6),
        pte_program=SimpleNamespace(latency_ms=1618.2),
        evaluation_images=250,
    )
    rows = [
        row("xnnpack-int8-dynamic", MEASURED, report=report, size_bytes=16_040_000, outcome=outcome),
        row("coreml-int8-weights", NOT_HERE, report=report, size_bytes=16_450_000),
        row("openvino-int8", MISSING),
    ]
    console = Console(width=80, file=io.StringIO())
    console.print(programs_table(SimpleNamespace(variant="b0", recipe="int8", rows=rows)))
    shown = console.file.getvalue()
    assert "…" not in shown
    assert all(value in shown for value in ("xnnpack-int8-dynamic", "16.04", "113.6", "1618.2", "on 250", "not here"))
