import base64
import functools
import hashlib
import re
from dataclasses import replace

import pytest

from edge_effnet.errors import InputError
from quant.artifact.open import open_artifact
from quant.artifact.write import write_artifact
from quant.common.findings import finding
from quant.data.split import ImageRecord
from quant.metrics.evaluate import NO_ACCURACY
from quant.metrics.metrics import wilson_interval
from quant.metrics.per_class import ClassFigures
from quant.qat.report import QatReport
from quant.recipes import RECIPES
from quant.report import single as single_module
from quant.report.formats import interval
from quant.report.single import Sources, remade_report, render_report
from quant.verdict.diagnosis import Circumstances, diagnose
from quant.verdict.verdict import Verdict
from tests.support.artifacts import LAYER, make_artifact, manifest_fields
from tests.support.images import draw_image
from tests.support.outcomes import FIDELITY, flip, outcome
from tests.support.reports import FOUND, IMAGE, SCRIPT, SHOWN, Elements, hostile, layers, many_classes, page

CASES = {
    "pass": lambda: (outcome(), {}),
    "no flips": lambda: (outcome(flips=(), confusion=()), {}),
    "two classes": lambda: (many_classes(2), {}),
    "a thousand classes": lambda: (many_classes(1000), {}),
    "huge names": lambda: (many_classes(3, name="x" * 900), {}),
    "unlabelled": lambda: (unlabelled(), {}),
    "fail": lambda: (failed(), {}),
    "no analysis": lambda: (outcome(), {"analysis": ()}),
    "search": lambda: (outcome(search=FOUND, min_agreement=0.99), {}),
    "trained": lambda: (outcome(ptq=(outcome().pte_accuracy, FIDELITY), training=TRAINED), {}),
}

ROWS = tuple(
    {
        "step": 10.0 * i,
        "epoch": float(i),
        "train_loss": float("nan") if i == 0 else 1.0 / i,
        "val_top1": 0.9 + 0.01 * i,
    }
    for i in range(4)
)
TRAINED = QatReport(steps=30, epochs=3, best_epoch=2, training_images=100, selection_images=50, rows=ROWS)


def unlabelled():
    return outcome(
        float_accuracy=NO_ACCURACY,
        pte_accuracy=NO_ACCURACY,
        quantized=(NO_ACCURACY, FIDELITY),
        drop_interval=None,
        classes=(ClassFigures(name="red", images=9, float_right=None, pte_right=None, kept=8),),
        flips=(flip(label=None),),
    )


def failed():
    broken = [replace(LAYER, layer="stages.0.1.expand", sqnr_db=5.0)]
    diagnosis = diagnose(
        broken, Circumstances(recipe="int8-minmax", targeted=False, calibration=128, odd_images=False)
    )
    return outcome(verdict=Verdict(passed=False, reasons=("collapsed",)), diagnosis=diagnosis)


@functools.cache
def page_of(case):
    """Plots take most of a page's time."""
    found, settings = CASES[case]()
    return page(found, **settings)


@pytest.mark.parametrize("case", CASES)
def test_a_page_is_whole_and_accessible_whatever_the_outcome(case):
    text = page_of(case)
    elements = Elements(text)
    assert len(text) < 2_000_000
    assert len(list(elements.all("caption"))) == len(list(elements.all("table")))
    assert all(head.get("scope") in ("row", "col") for head in elements.all("th"))
    assert all(image.get("alt") for image in elements.all("img"))
    assert all(svg.get("aria-hidden") == "true" or svg.get("aria-label") for svg in elements.all("svg"))
    ids = [attributes["id"] for _, attributes in elements.found if "id" in attributes]
    assert len(ids) == len(set(ids))
    for _, attributes in elements.found:
        for target in re.findall(r"url\(#(.+?)\)", " ".join(str(value) for value in attributes.values())):
            assert target in ids
        reference = attributes.get("aria-labelledby") or (attributes.get("href") or "").removeprefix("#")
        assert reference in ("", "data:,", *ids)
    assert not re.search(r"(?:src|href)=\"(?!#|data:)", text)
    assert "http:" not in text and "https:" not in text and "style=" not in text


def test_the_interval_of_a_network_simulated_on_fewer_images_is_theirs():
    found = outcome(quantized_images=100, lowering=replace(FIDELITY, agreement=0.994, sqnr_db=30.0))
    text = Elements(page(found)).text
    intervals = [interval(wilson_interval(FIDELITY.agreement, images)) for images in (100, found.evaluation_images)]
    assert "Over the same 250 images (quantized: over 100 of them). Agrees" in text
    assert "quantized (100)" in text and " ".join(intervals).replace("\N{EN DASH}", "-") in text


@pytest.mark.parametrize("case", CASES)
def test_the_same_inputs_give_the_same_bytes(case):
    again, settings = CASES[case]()
    assert page_of(case) == page(again, **settings)


@pytest.mark.parametrize(
    ("verdict", "word"),
    [
        (Verdict(passed=True, reasons=("fine",)), "✓ Pass Fine."),
        (Verdict(passed=True, reasons=("fine",), cautions=("few images",)), "! Pass, with caution Fine. Few"),
        (Verdict(passed=False, reasons=("too much lost",)), "✕ Fail Too much lost."),
    ],
)
def test_the_verdict_comes_first_with_its_reasons(verdict, word):
    text = Elements(page(outcome(verdict=verdict))).text
    assert word in text and text.index(word) < text.index("Accuracy Over the same 250 images")


def test_a_failure_names_what_to_try_and_marks_the_layer():
    text = page_of("fail")
    assert "What to try" in text and "<code>--recipe int8</code>" in text
    assert "stages.0.1.expand: 36.0 dB" not in page_of("pass")
    assert ">stages.0.1.expand: 38.0 dB</text>" in text


def test_every_figure_is_in_the_accuracy_table():
    text = Elements(page_of("pass")).text
    for words in (
        "top-1, % 96.0 96.0 96.0",
        "interval 93.0-98.0 93.0-98.0 93.0-98.0",
        "agrees, % 95.0 95.0",
        "SQNR, dB 21.2 21.2",
        "Top-1 from float to .pte: 0.0 points; lost 2, won 1 of 250 images, 95 % interval -2.0 to +1.0: no signif",
        "size, MB x0.27",
        "latency, ms x0.54",
        "stem recipe int8 +0.12",
        "xnnpack runs 3 operators in 1 delegate; portable kernels run 0.",
        "quantize --variant b0 --weights w.pth --data photos",
        "edge-effnet deploy b0-int8-xnnpack --app android",
        "red 95.2 94.0 -1.2",
    ):
        assert words in text, words


def test_the_change_of_top1_is_told_once_and_with_one_sign():
    lost = "lost 2, won 1 of 250 images, 95 % interval -2.0 to +1.0: no significant change"
    reason = f"top-1 95.6 % (float 96.0 %): -0.4 points, limit -1.0; {lost}"
    made = page(outcome(verdict=Verdict(passed=True, reasons=(reason,))))
    text = Elements(made).text
    assert text.count(lost) == 1 and text.count("won 1") == 1 and "points lost" not in text
    assert "\N{MINUS SIGN}0.4 points, limit \N{MINUS SIGN}1.0" in made and "-0.4 points" not in made


def test_of_numbers_too_the_interval_has_the_sign_of_the_change():
    text = Elements(page(outcome(changes=None))).text
    assert "Top-1 from float to .pte: 0.0 points, 95 % interval -2.0 to +1.0." in text


def test_the_check_on_a_phone_is_a_command_that_can_be_run():
    command = ["quantize", "--weights", "w.pth", "--data", "my photos", "--labels", "l.csv", "--calibration", "64"]
    text = Elements(page(command=command)).text
    assert "edge-effnet check b0-int8-xnnpack --data 'my photos' --labels l.csv --device adb Copy" in text
    assert text.count(" Copy ") == 4
    unknown = Elements(page(command=["quantize", "--data", "Flowers in memory"])).text
    assert "edge-effnet check b0-int8-xnnpack --data IMAGES --device adb Recipe" in unknown


@pytest.mark.parametrize(
    ("backend", "apps", "adb"),
    [("vulkan", ["android"], True), ("coreml", ["ios"], False), ("openvino", [], False), ("of old", [], False)],
)
def test_a_program_goes_only_into_apps_that_run_it(backend, apps, adb):
    text = Elements(page(backend=backend)).text
    assert re.findall(r"deploy b0-int8-xnnpack --app (\w+)", text) == apps
    assert ("Put it into an app" in text) == bool(apps) and ("--device adb" in text) == adb


def test_a_recipe_is_its_name_and_what_it_does():
    text = Elements(page(recipe={**RECIPES["int8"].to_json(), "seed": 3})).text
    assert f"recipe int8 {RECIPES['int8'].summary} (settings: manifest.json) random seed 3" in text
    assert "1e-06" not in text and "repair" not in text and "trains" not in text


def test_commands_in_a_remedy_are_set_as_code():
    text = page(outcome(findings=(finding("collapsed", "agrees with float on 12.0 % of images"),)))
    assert "<code>edge-effnet analyze</code>" in text and "`" not in Elements(text).text.split("How it was made")[0]


def test_the_title_names_weights_and_images():
    assert ": w.pth on photos</title>" in page(weights={"name": "w.pth", "origin": "timm", "sha256": "0" * 64})
    sample = {"weights": {"name": "sample", "origin": "edge-effnet", "sha256": "0" * 64}}
    found = outcome(findings=(finding("sample-model", "a sample"),))
    text = page(found, **sample, command=["quantize", "--variant", "b0"])
    assert ": sample weights on synthetic images</title>" in text
    assert ": sample weights on photos</title>" in page(found, **sample)


def test_the_line_at_10_db_is_no_verdict_on_a_layer():
    text = Elements(page_of("pass")).text.split("Layer by layer")[1]
    assert "The verdict is based on the logits, not on this line" in text and "broken" not in text


def test_groups_of_channels_are_told_apart():
    groups = [replace(LAYER, layer="stem.conv", node=f"conv2d_g{k}") for k in (0, 1)]
    text = Elements(page(analysis=[*groups, replace(LAYER, layer="stem.sum", node="conv2d_sum")])).text
    assert "stem.conv group 1 of 2" in text and "stem.conv group 2 of 2" in text and "stem.sum group" not in text
    assert "stem.conv (product, group 1 of 2)" in text and "each group has a row" in text
    assert "each group has a row" not in page_of("pass")


def test_without_labels_agreement_stands_for_accuracy():
    text = Elements(page_of("unlabelled")).text
    assert "have no labels" in text and "top-1, %" not in text and "red 88.9 9" in text


def test_search_and_training_are_drawn_where_there_were_any():
    searched = page_of("search")
    assert "4 sets of float layers tried on 200 images" in Elements(searched).text
    assert "Chosen: 3 layers, 99.5 %, 0.75 ms added." in searched
    trained = page_of("trained")
    assert "30 steps; kept: epoch 2." in Elements(trained).text and "QAT" in trained


def test_most_images_that_changed_are_shown_the_surest_first_and_the_rest_counted():
    flips = [flip(image=f"val/{i}.jpg", float_probability=i / 100) for i in range(80)]
    text = Elements(page(outcome(flips=tuple(flips)))).text
    assert "80 of 250; the 60 that float was surest of and right about are shown" in text
    assert "lists the other 20" in text
    assert text.index("val/79.jpg") < text.index("val/78.jpg") and "val/19.jpg" not in text


def pictures(folder, names):
    return [
        ImageRecord(
            path=draw_image(folder / f"{i}.jpg", seed=i, size=(200, 160)), name=name, label=0, sha256="0" * 64
        )
        for i, name in enumerate(names)
    ]


def test_thumbnails_are_part_of_the_page_and_stop_at_their_allowance(tmp_path, monkeypatch):
    names = [f"val/{i}.jpg" for i in range(5)]
    found = outcome(flips=tuple(flip(image=name) for name in names))
    text = page(found, images=pictures(tmp_path, names))
    assert [image["alt"] for image in Elements(text).all("img")] == names
    data = base64.b64decode(re.search(r"data:image/jpeg;base64,([^\"]+)", text)[1])
    monkeypatch.setattr(single_module, "REPORT_THUMBNAIL_BYTES", 3 * len(data))
    fewer = page(found, images=pictures(tmp_path, names))
    assert 1 <= len(list(Elements(fewer).all("img"))) <= 4 and "left out to keep this file small" in fewer
    assert "To see the images" in page(found) and "To see the images" not in text


def test_what_users_wrote_is_text_and_never_markup(tmp_path):
    found, images = hostile(tmp_path)
    text = page(found, images=images, weights={"name": SCRIPT, "origin": IMAGE, "sha256": "0" * 64})
    elements = Elements(text)
    assert len(list(elements.all("script"))) == 1
    assert not [name for _, attributes in elements.found for name in attributes if name.startswith("on")]
    assert [image["src"][:22] for image in elements.all("img")] == ["data:image/jpeg;base64"]
    assert SCRIPT in elements.text and IMAGE in elements.text and "$x^2$" in elements.text
    assert not [name for name in SHOWN if " ".join(name.split()) not in elements.text]
    assert not set(text) & {chr(code) for code in (*range(9), *range(0x0B, 0x20), *range(0x202A, 0x202F))}
    assert all(link["href"][:1] == "#" or link["href"] == "data:," for link in elements.all("link"))
    assert all(link["href"].startswith("#") for link in elements.all("a"))


def test_images_left_out_are_listed_as_text():
    said = finding("images-left-out", "Left out 2.", items=("train/a<b>.jpg", "val/c.jpg: is empty"))
    text = page(outcome(findings=(said,)))
    assert "<li>train/a&lt;b&gt;.jpg</li>" in text and "<li>val/c.jpg: is empty</li>" in text


def test_names_that_are_no_text_make_a_page_all_the_same():
    odd = b"caf\xe9.jpg".decode("utf-8", "surrogateescape")
    assert "caf\\udce9" in page(outcome(flips=(flip(image=odd),)))


def test_a_layer_named_like_mathematics_or_markup_is_drawn_as_text():
    analysis = [replace(layer, layer="stages.0.$\\frac{<b>&\x0b") for layer in layers()]
    text = page(replace_diagnosis(analysis), analysis=analysis)
    assert ">stages.0.$\\frac{&lt;b&gt;&amp;·: 40.0 dB</text>" in text


def replace_diagnosis(analysis):
    broken = [replace(analysis[0], sqnr_db=1.0)]
    diagnosis = diagnose(broken, Circumstances(recipe="int8", targeted=False, calibration=128, odd_images=False))
    return outcome(verdict=Verdict(passed=False, reasons=("x",)), diagnosis=diagnosis)


def test_the_policy_allows_this_very_style_and_script_and_nothing_else():
    text = page_of("pass")
    (policy,) = [meta["content"] for meta in Elements(text).all("meta") if meta.get("http-equiv")]
    assert policy.startswith("default-src 'none'") and "unsafe" not in policy
    for tag in ("style", "script"):
        content = re.search(f"<{tag}>(.*?)</{tag}>", text, re.DOTALL)[1]
        assert base64.b64encode(hashlib.sha256(content.encode()).digest()).decode() in policy


def luminance(colour):
    parts = [int(colour[i : i + 2], 16) / 255 for i in (1, 3, 5)]
    linear = [part / 12.92 if part <= 0.04045 else ((part + 0.055) / 1.055) ** 2.4 for part in parts]
    return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]


@pytest.mark.parametrize("theme", ["light", "dark"])
@pytest.mark.parametrize("ground", ["paper", "card"])
def test_text_stands_out_from_its_ground_as_wcag_aa_asks(theme, ground):
    style = re.search("<style>(.*?)</style>", page_of("pass"), re.DOTALL)[1]
    light, dark = (dict(re.findall(r"--(\w+): (#\w{6})", part)) for part in style.split("prefers-color-scheme", 1))
    colours = light if theme == "light" else {**light, **dict(list(dark.items()))}
    for name in ("ink", "muted", "accent", "bad", "good", "pass", "caution", "fail", "unmeasured"):
        lighter, darker = sorted((luminance(colours[name]), luminance(colours[ground])), reverse=True)
        assert (lighter + 0.05) / (darker + 0.05) >= 4.5, name


def test_a_manifest_of_an_earlier_version_is_shown_as_far_as_it_goes():
    text = Elements(page(verdict={"verdict": "pass", "float": {}, "pte": {}}, command=[])).text
    assert "✓ Pass" in text and "of an earlier version" in text


def test_a_program_that_was_not_run_says_so():
    verdict = {
        "verdict": "not measured here",
        "reasons": ["not measured here: runs on iOS only"],
        "float": {"size_bytes": 16},
        "pte": {"size_bytes": 4},
        "simulated": {"agreement": 0.98, "sqnr_db": 20.0},
    }
    text = Elements(page(verdict=verdict, backend="coreml", precision="int8", analysis=())).text
    assert "? Not measured here" in text and "agrees with float on 98.00 %" in text


@pytest.mark.parametrize(
    "change",
    [
        {"flips": [{"photograph": "a"}]},
        {"float": {"top1": "much"}},
        {"search": {"photographs": 1, "points": []}},
        {"drop_interval": [1]},
        {"diagnosis": "none"},
        {"float": {**outcome().to_json()["float"], "top1": None}},
        {"float": {**outcome().to_json()["float"], "latency_ms": None}},
        {"classes": [{"name": "a", "photographs": 1, "float_right": None, "pte_right": 1, "kept": 1}]},
        {"classes": [{"name": "a", "photographs": 1, "float_right": 1, "pte_right": 2, "kept": 1}]},
        {"training": {"steps": 1, "best_epoch": 9, "rows": list(ROWS)}},
    ],
)
def test_a_verdict_that_is_none_of_ours_is_refused_in_a_sentence(change):
    verdict = {**outcome().to_json(), **change}
    with pytest.raises(InputError, match=r"verdict cannot be read .* regenerate the artifact\.$"):
        page(verdict=verdict)


def test_the_report_of_a_folder_is_the_one_that_was_written_with_it(tmp_path):
    def report(manifest):
        return render_report(manifest, Sources(layers=[LAYER], delegation=None, images=()))

    plain = make_artifact(tmp_path / "plain")
    written = write_artifact(
        tmp_path / "a",
        model=plain.program.read_bytes(),
        float_model=plain.float_program.read_bytes(),
        classes=plain.labels,
        golden=plain.golden(),
        layers=plain.layers(),
        manifest={
            **manifest_fields(),
            "labelled": True,
            "photographs": plain.manifest["photographs"],
            "verdict": outcome().to_json(),
        },
        report=report,
    )
    assert "report.html" in written.manifest["files"]
    opened = open_artifact(tmp_path / "a")
    assert remade_report(opened) == (tmp_path / "a" / "report.html").read_bytes()


def test_an_artifact_keeps_what_the_report_says_of_each_change(tmp_path):
    ranked = {"float_top": (("red", 0.5), ("blue", 0.4), ("green", 0.1)), "pte_top": (("blue", 0.6), ("red", 0.4))}
    found = outcome(flips=(flip(**ranked),), findings=(finding("few-calibration-images", "8 images calibrate"),))
    machine = {"processor": "AMD EPYC (x86_64, AVX512)", "threads": 1}
    artifact = make_artifact(tmp_path / "a", verdict=found.to_json(), machine=machine)
    text = Elements(remade_report(open_artifact(artifact.folder)).decode()).text
    for words in (
        "1.8x faster (6.5 vs 12.0 ms on this x86 machine), 3.8x smaller.",
        "warning few-calibration-images 8 images calibrate.",
        "float red 50 % blue 40 % green 10 % .pte blue 60 % red 40 %",
        "drifts by -0.4 points on average, and by at most 3.0 points for 95 % of the images",
    ):
        assert words in text, words
