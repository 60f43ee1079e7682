import json

import pytest

from edge_effnet.errors import InputError
from quant.report.comparison import compared, opened, render_comparison
from quant.report.make import make_report
from quant.report.plots.pareto import Dot, accuracy_frame, front, plot_pareto
from tests.support.artifacts import make_artifact
from tests.support.outcomes import outcome
from tests.support.reports import Elements, measured_artifact


def test_the_front_is_what_nothing_else_dominates():
    assert front([(1, 1), (2, 0), (0, 2), (1, 0), (1, 1)]) == [0, 1, 2, 4]
    assert front([]) == []


def test_programs_that_another_one_beats_are_not_optimal(tmp_path):
    measured_artifact(tmp_path / "small", top1=0.90, ms=3.0, size=1_000_000)
    measured_artifact(tmp_path / "good", top1=0.96, ms=6.0)
    measured_artifact(tmp_path / "bad", top1=0.95, ms=7.0)
    rows = compared(opened([tmp_path / name for name in ("small", "good", "bad")]), beside=tmp_path)
    assert [(row.entry.name, row.optimal) for row in rows if not row.is_float] == [
        ("small", True),
        ("good", True),
        ("bad", False),
    ]
    # One float network behind them all, and it takes no part.
    assert [row.number for row in rows if row.is_float] == [4]


def test_a_program_that_failed_is_not_optimal_and_beats_nothing(tmp_path):
    measured_artifact(tmp_path / "good", top1=0.96)
    measured_artifact(tmp_path / "fast", top1=0.97, ms=3.0, size=1_000_000, failed=True)
    # Passed by a limit of its own, or of an earlier version: what it sees is not what float sees.
    measured_artifact(tmp_path / "blind", agreement=0.5, ms=2.0, size=1_000_000)
    entries = opened([tmp_path / name for name in ("good", "fast", "blind")])
    rows = compared(entries, beside=tmp_path)
    assert [(row.entry.failed, row.optimal) for row in rows if not row.is_float] == [
        (False, True),
        (True, False),
        (True, False),
    ]
    elements = Elements(render_comparison(entries, beside=tmp_path).decode())
    labels = [plot["aria-label"] for plot in elements.all("svg")]
    assert len(labels) == 2 and all("Failed: 2, 3." in label for label in labels)
    assert labels[0].endswith("Pareto-optimal in the two: 6.50: 96.00.")
    assert "2 failed" in elements.text and "collapsed" in elements.text


def test_programs_that_all_failed_are_drawn_and_none_is_optimal(tmp_path):
    for name in ("a", "b"):
        measured_artifact(tmp_path / name, failed=True)
    entries = opened([tmp_path / "a", tmp_path / "b"])
    assert not any(row.optimal for row in compared(entries, beside=tmp_path))
    page = render_comparison(entries, beside=tmp_path).decode()
    assert page.count("Pareto-optimal in the two: none.") == 2


def test_a_collapsed_program_does_not_flatten_the_others(tmp_path):
    dots = [
        Dot(
            number=i,
            is_float=False,
            optimal=False,
            failed=accuracy < 50,
            accuracy=accuracy,
            latency_ms=i,
            size_mb=4.0,
        )
        for i, accuracy in enumerate((95.0, 94.0, 3.0), start=1)
    ]
    assert accuracy_frame(dots)[0] > 90
    assert "Off the scale: 3 at 3.00." in plot_pareto(dots, "latency_ms", x_label="ms", y_label="top-1, %")


def test_a_folder_of_several_backends_stands_for_its_artifacts(tmp_path):
    fleet = tmp_path / "fleet"
    fleet.mkdir()
    measured_artifact(fleet / "xnnpack-int8", backend="xnnpack")
    make_artifact(
        fleet / "coreml-fp16",
        backend="coreml",
        precision="fp16",
        verdict={"verdict": "not measured here", "float": {"size_bytes": 9}, "pte": {"size_bytes": 4}},
    )
    (fleet / "fleet.json").write_text("{}")
    measured_artifact(tmp_path / "other")
    entries = opened([fleet, tmp_path / "other"])
    assert [entry.name for entry in entries] == ["coreml-fp16", "xnnpack-int8", "other"]
    text = Elements(render_comparison(entries, beside=tmp_path).decode()).text
    assert "3 programs compared" in text and "1 could not be run where it was made" in text


def test_names_that_are_the_same_get_their_parents(tmp_path):
    for parent in ("one", "two"):
        measured_artifact(tmp_path / parent / "int8")
    entries = opened([tmp_path / "one" / "int8", tmp_path / "two" / "int8"])
    assert [entry.name for entry in entries] == ["one/int8", "two/int8"]


def test_accuracies_on_other_images_are_not_compared_without_a_word(tmp_path):
    measured_artifact(tmp_path / "a")
    listed = {"calibration": [], "evaluation": [{"name": "x.jpg", "sha256": "1" * 64}]}
    measured_artifact(tmp_path / "b", photographs=listed)
    page = render_comparison(opened([tmp_path / "a", tmp_path / "b"]), beside=tmp_path).decode()
    assert "Not all were evaluated on the same images" in page
    page = render_comparison(opened([tmp_path / "a", tmp_path / "a"]), beside=tmp_path).decode()
    assert "Not all" not in page


def test_one_program_without_labels_makes_all_be_compared_by_agreement(tmp_path):
    measured_artifact(tmp_path / "a", agreement=0.99)
    measured_artifact(tmp_path / "b", agreement=0.98, unlabelled=True)
    entries = opened([tmp_path / "a", tmp_path / "b"])
    assert [row.optimal for row in compared(entries, beside=tmp_path) if not row.is_float] == [True, False]
    assert "top-1, %" not in render_comparison(entries, beside=tmp_path).decode()


def test_nothing_measured_is_a_table_without_plots(tmp_path):
    make_artifact(tmp_path / "a", verdict={"verdict": "not measured here", "float": {}, "pte": {}})
    assert "<figure>" not in render_comparison(opened([tmp_path / "a"]), beside=tmp_path).decode()


def test_the_same_folders_give_the_same_bytes(tmp_path):
    measured_artifact(tmp_path / "a")
    measured_artifact(tmp_path / "b", ms=80.0)
    pages = [render_comparison(opened([tmp_path / "a", tmp_path / "b"]), beside=tmp_path) for _ in range(2)]
    assert pages[0] == pages[1]


def test_a_folders_name_is_neither_markup_nor_a_scheme(tmp_path):
    for name in ("<b>", "javascript:alert(1)"):
        made = measured_artifact(tmp_path / name)
        made.manifest["files"]["report.html"] = made.manifest["files"]["labels.txt"]
        (tmp_path / name / "report.html").write_bytes((tmp_path / name / "labels.txt").read_bytes())
        (tmp_path / name / "manifest.json").write_text(json.dumps(made.manifest))
    entries = opened([tmp_path / "<b>", tmp_path / "javascript:alert(1)"])
    elements = Elements(render_comparison(entries, beside=tmp_path).decode())
    assert not list(elements.all("b"))
    assert [link["href"] for link in elements.all("a")] == [
        "%3Cb%3E/report.html",
        "javascript%3Aalert%281%29/report.html",
    ]


def test_one_artifact_gives_its_own_report_and_several_a_comparison(tmp_path):
    measured_artifact(tmp_path / "a")
    measured_artifact(tmp_path / "b")
    one = make_report([tmp_path / "a"], out=tmp_path / "one.html")
    assert one.rows == () and one.missing == ("val/red/1.jpg",)
    assert "How it was made" in (tmp_path / "one.html").read_text()
    two = make_report([tmp_path / "a", tmp_path / "b"], out=tmp_path / "one.html")
    assert len(two.rows) == 3 and "2 programs" in (tmp_path / "one.html").read_text()


def test_only_unchanged_images_of_the_folder_itself_are_shown(tmp_path):
    (tmp_path / "secret.jpg").write_bytes(b"secret")
    (tmp_path / "photos").mkdir()
    (tmp_path / "photos" / "x.jpg").write_bytes(b"changed since")
    for name in ("../secret.jpg", "x.jpg"):
        values = outcome().to_json()
        values["flips"][0]["photograph"] = name
        listed = {"calibration": [], "evaluation": [{"name": name, "sha256": "0" * 64}]}
        make_artifact(tmp_path / "a", verdict=values, photographs=listed)
        made = make_report([tmp_path / "a"], data=tmp_path / "photos", out=tmp_path / "page.html")
        assert made.missing == (name,)


def test_a_page_never_damages_an_artifact_nor_anything_else(tmp_path):
    measured_artifact(tmp_path / "a")
    (tmp_path / "mine.html").write_text("<p>mine")
    (tmp_path / "folder").mkdir()
    for out, words in (
        (tmp_path / "a" / "report.html", "lies in an artifact"),
        (tmp_path / "mine.html", "something other than a report"),
        (tmp_path / "folder", "is a folder"),
    ):
        with pytest.raises(InputError, match=words):
            make_report([tmp_path / "a"], out=out)
    with pytest.raises(InputError, match="leave it out to compare"):
        make_report([tmp_path / "a", tmp_path / "a"], data=tmp_path, out=tmp_path / "x.html")
    with pytest.raises(InputError, match="no such folder"):
        make_report([tmp_path / "a"], data=tmp_path / "absent", out=tmp_path / "x.html")
    with pytest.raises(InputError, match="no artifact here"):
        make_report([tmp_path / "folder"], out=tmp_path / "x.html")
    assert (tmp_path / "mine.html").read_text() == "<p>mine" and not (tmp_path / "x.html").exists()
