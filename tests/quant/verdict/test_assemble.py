import json
import math
from dataclasses import replace

import pytest
import torch

from edge_effnet.errors import InputError
from quant.common.findings import finding
from quant.common.progress import NoProgress
from quant.metrics.evaluate import NO_ACCURACY, Accuracy, accuracy, collect_logits, fidelity, labels_of
from quant.verdict.assemble import assemble
from quant.verdict.flips import Flip
from quant.verdict.limits import Limits
from quant.verdict.outcome import Simulated
from tests.support.artifacts import LAYER
from tests.support.images import draw_image
from tests.support.outcomes import collected, images, outcome
from tests.support.programs import PREPROCESS

FLOAT = torch.tensor([[9.0, 1.0, 0.0], [0.0, 9.0, 1.0], [0.0, 1.0, 9.0], [9.0, 1.0, 0.0]])
"""Right on four images labelled 0, 1, 2, 0."""
PTE = torch.tensor([[9.0, 1.0, 0.0], [0.0, 9.0, 1.0], [8.0, 1.0, 0.0], [8.0, 1.0, 0.0]])


def evidence(**changes):
    return collected(**{"logits": {"float": FLOAT, "pte": PTE}, "images": images(4), **changes})


def summarize(found, *, max_drop, min_agreement=None, baseline=None):
    return assemble(found, Limits(max_drop=max_drop, min_agreement=min_agreement, baseline=baseline))


def _softmax(logits):
    total = sum(math.exp(value) for value in logits.values())
    return [(name, math.exp(value) / total) for name, value in logits.items()]


def test_figures_flips_and_verdict_come_from_the_logits():
    found = summarize(evidence(), max_drop=1.0)
    assert (found.float_accuracy.top1, found.pte_accuracy.top1) == (1.0, 0.75)
    assert found.pte.agreement == 0.75
    assert found.flips == (
        Flip(
            image="2.jpg",
            label="red",
            float_class="red",
            pte_class="blue",
            float_probability=pytest.approx(1 / (1 + math.exp(-8) + math.exp(-9))),
            pte_probability=pytest.approx(1 / (1 + math.exp(-7) + math.exp(-8))),
            float_top=tuple((name, pytest.approx(p)) for name, p in _softmax({"red": 9, "green": 1, "blue": 0})),
            pte_top=tuple((name, pytest.approx(p)) for name, p in _softmax({"blue": 8, "green": 1, "red": 0})),
        ),
    )
    assert not found.passed and "-25.0 points, limit -1.0" in found.verdict.reasons[0]
    assert found.quantized is None and found.lowering is None
    assert found.evaluation_images == 4
    assert summarize(evidence(), max_drop=25.0).passed


def test_the_two_errors_are_reported_apart():
    """Float to quantized is the loss; quantized to .pte is the lowering."""
    found = summarize(evidence(simulated=Simulated(rows=[0, 1, 2, 3], logits=FLOAT + 0.01)), max_drop=1.0)
    loss_accuracy, loss = found.quantized
    assert loss_accuracy.top1 == 1.0 and loss.agreement == 1.0 and loss.sqnr_db > 50
    assert found.lowering.agreement == 0.75 and found.lowering.sqnr_db < 10
    assert not found.passed  # the verdict is on the .pte


def test_without_labels_there_is_no_accuracy_but_a_verdict():
    found = summarize(evidence(images=images(4, labelled=False)), max_drop=1.0)
    assert found.float_accuracy == NO_ACCURACY and found.drop_interval is None
    assert found.flips[0].label is None
    assert not found.passed and summarize(evidence(images=images(4, labelled=False)), max_drop=25.0).passed


def test_accuracy_of_known_answers():
    labels = torch.tensor([0, 1, 2, 1])
    assert accuracy(FLOAT, labels) == Accuracy(
        top1=0.75, top5=1.0, top1_interval=pytest.approx((0.3006, 0.9544), abs=1e-4)
    )
    assert labels_of(images(4)).tolist() == [0, 1, 2, 0]
    assert labels_of(images(4, labelled=False)) is None


def test_sqnr_stays_a_number_that_json_knows():
    assert fidelity(FLOAT, FLOAT.clone()).sqnr_db == 200.0
    assert fidelity(torch.zeros(1, 3), FLOAT[:1]).sqnr_db == -200.0


KEYS = {
    "float": {"top1", "top5", "latency_ms", "size_bytes"},
    "quantized": {"top1", "top5", "agreement", "sqnr_db"},
    "pte": {"top1", "top5", "agreement", "sqnr_db", "latency_ms", "latency_p90_ms", "load_ms", "size_bytes"},
    "delegation": {"partitions", "delegated", "left"},
    "images": {"calibration", "evaluation"},
    "seconds": {"total"},
}


def test_json_has_the_keys_that_are_promised():
    values = outcome().to_json()
    assert {"verdict", "artifact", "variant", "recipe", "backend", *KEYS} <= set(values)
    for part, keys in KEYS.items():
        assert keys <= set(values[part]), part
    assert values["verdict"] == "pass"
    assert values["pte"]["size_bytes"] == 4_269_368 and values["pte"]["top1"] == 0.96
    assert values["images"] == {"calibration": 128, "evaluation": 250}


def test_a_network_simulated_on_some_images_is_compared_on_these():
    found = summarize(evidence(simulated=Simulated(rows=[1, 3], logits=PTE[[1, 3]])), max_drop=100.0)
    assert found.quantized_images == 2 and found.lowering.agreement == 1.0 and found.lowering.sqnr_db == 200.0
    expected = summarize(
        evidence(logits={"float": FLOAT[[1, 3]], "pte": PTE[[1, 3]]}, images=images(4)[1::2]), max_drop=1.0
    )
    assert found.quantized == (expected.pte_accuracy, expected.pte)


def test_json_of_a_check_has_no_quantized_part():
    values = outcome(quantized=None, lowering=None).to_json()
    assert "quantized" not in values and "lowering" not in values


def test_json_is_strict_json():
    values = summarize(evidence(logits={"float": FLOAT, "pte": FLOAT}), max_drop=1.0).to_json()
    assert json.loads(json.dumps(values, allow_nan=False)) == values
    assert values["pte"]["sqnr_db"] == 200.0 and values["verdict"] == "pass"


@pytest.fixture
def files(tmp_path):
    paths = [draw_image(tmp_path / f"{i}.jpg", seed=i) for i in range(5)]
    return [replace(image, path=path) for image, path in zip(images(5), paths, strict=True)]


def test_models_see_the_same_images_in_their_order(files):
    seen = {"a": [], "b": []}

    def model(name):
        def run(batch):
            seen[name].append(batch)
            return batch.mean(dim=(2, 3)).double()

        return run

    logits = collect_logits({name: model(name) for name in seen}, files, PREPROCESS, NoProgress())
    assert torch.equal(torch.cat(seen["a"]), torch.stack([PREPROCESS(image.path) for image in files]))
    assert torch.equal(logits["a"], logits["b"]) and logits["a"].shape == (5, 3)
    assert logits["a"].dtype == torch.float32


@pytest.mark.parametrize("bad", [float("nan"), float("inf"), -float("inf")])
def test_an_output_that_is_not_finite_fails_and_names_the_image(files, bad):
    def broken(batch):
        values = torch.zeros(len(batch), 3)
        values[3, 1] = bad
        return values

    with pytest.raises(InputError, match=r"the pte model's output for .*3\.jpg is not finite \(1 images"):
        collect_logits({"pte": broken}, files, PREPROCESS, NoProgress())


def many(wrong):
    """Logits of a hundred images, some of them put into another class by the .pte."""
    expected = FLOAT[:3].repeat(40, 1)[:100]
    found = expected.clone()
    found[:wrong] = found[:wrong].roll(1, dims=1)
    return {"float": expected, "pte": found}


def test_a_collapsed_program_names_the_layer_and_the_remedy_whatever_was_allowed():
    layers = [replace(LAYER, layer="stem"), replace(LAYER, layer="stages.1.0", sqnr_db=4.0)]
    run = evidence(logits=many(30), images=images(100), layers=layers, recipe="int8-minmax")
    found = summarize(run, max_drop=100.0)
    assert not found.passed
    assert "SQNR first falls below 10 dB at stages.1.0" in found.verdict.reasons[-1]
    assert "--recipe int8" in found.verdict.reasons[-1]
    assert found.to_json()["diagnosis"]["layer"] == "stages.1.0"


def test_another_failure_has_remedies_but_no_layer_to_blame():
    found = summarize(evidence(logits=many(2), images=images(100)), max_drop=1.0)
    assert not found.passed and len(found.verdict.reasons) == 1
    assert found.diagnosis.remedies[0].options == {"--calibration": "256"}


def test_a_pass_has_no_diagnosis_and_says_what_to_be_careful_about():
    found = summarize(
        evidence(logits=many(0), images=images(100), findings=(finding("calibration-statistics", "odd images"),)),
        max_drop=1.0,
    )
    assert found.passed and found.diagnosis is None and "diagnosis" not in found.to_json()
    assert found.to_json()["cautions"] == list(found.verdict.cautions)
    assert found.verdict.cautions[-1] == "odd images"
