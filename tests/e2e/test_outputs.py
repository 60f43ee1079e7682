"""What programs put out: probabilities or logits, float32 or int8; verdicts are those of the logits."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch

from apps.device.check import check_on_device
from edge_effnet import InputError
from quant import QuantizeResult, check, open_artifact, quantize
from quant.lower.output import Output
from tests.support.tiny import TinyFiles, installed

pytestmark = pytest.mark.usefixtures("tiny_variant", "quick_host")

SETTINGS = {"calibration": 16, "recipe": "int8-fast", "max_drop": 5}


def test_logits_come_back_out_of_what_is_put_out() -> None:
    logits = 4 * torch.randn(50, 7)
    for kind in ("logits", "softmax", "sigmoid"):
        output = Output(kind=kind)
        compared = output.compared(logits)
        torch.testing.assert_close(output.logits_of(output.values(logits)), compared, rtol=1e-3, atol=2e-2)
        assert torch.equal(compared.argmax(dim=1), logits.argmax(dim=1)) or kind == "sigmoid"
    extreme = Output(kind="softmax").logits_of(torch.tensor([[1.0, 0.0], [0.0, 1.0]]))
    assert extreme.isfinite().all()


@pytest.fixture(scope="module")
def plain(tiny: TinyFiles, tmp_path_factory: pytest.TempPathFactory) -> QuantizeResult:
    """The same network with logits."""
    with installed():
        out = tmp_path_factory.mktemp("plain") / "a"
        return quantize("lite0", weights=tiny.weights, data=tiny.data, out=out, **SETTINGS)


@pytest.mark.parametrize("output", ["softmax", "sigmoid", "logits:int8", "softmax:int8"])
def test_an_output_from_quantize_to_a_device(
    output: str, plain: QuantizeResult, tiny: TinyFiles, tmp_path: Path
) -> None:
    made = quantize("lite0", weights=tiny.weights, data=tiny.data, out=tmp_path / "a", output=output, **SETTINGS)
    artifact = open_artifact(tmp_path / "a")
    assert made.passed
    assert (artifact.delegation.partitions, artifact.delegation.left) == (1, 0)
    entry = artifact.manifest["output"]
    kind, _, dtype = output.partition(":")
    assert (entry.get("kind", "logits"), entry["dtype"]) == (kind, dtype or "float32")
    assert f"--output {output}" in " ".join(artifact.manifest["command"])
    got, logits = (result.artifact.golden()[0].output for result in (made, plain))
    if dtype:
        assert torch.equal(got, got.round())
        got = (got - entry["zero_point"]) * entry["scale"]
    expected = Output(kind=kind).values(logits[None])[0]
    torch.testing.assert_close(got, expected, rtol=1e-3, atol=1 / 256 if dtype else 1e-4)
    if kind == "logits":
        assert torch.equal(got, logits)
        assert made.outcome.pte == plain.outcome.pte
    elif output == "softmax":
        assert made.outcome.pte.agreement == plain.outcome.pte.agreement
        assert abs(made.outcome.pte.sqnr_db - plain.outcome.pte.sqnr_db) < 3
    image = sorted((tiny.data / "val" / "red").iterdir())[0]
    answers, others = artifact.predict(image), plain.artifact.predict(image)
    assert [answer.index for answer in answers.pte] == [answer.index for answer in others.pte]
    if kind != "sigmoid":
        found, wanted = ([answer.probability for answer in given.pte] for given in (answers, others))
        assert found == pytest.approx(wanted, abs=2 / 256)
    assert check(tmp_path / "a", data=tiny.data, max_drop=5).passed
    assert check_on_device(tmp_path / "a", device="host", data=tiny.data, limit=6, max_drop=100).same.identical == 6


def test_a_head_that_ends_in_softmax_puts_it_out(tiny: TinyFiles, tmp_path: Path) -> None:
    made = quantize(
        "lite0", weights=tiny.weights, data=tiny.data, out=tmp_path / "a", head="linear-softmax", **SETTINGS
    )
    assert made.artifact.manifest["output"]["kind"] == "softmax"
    assert torch.isclose(made.artifact.golden()[0].output.sum(), torch.tensor(1.0), atol=1e-3)


@pytest.mark.parametrize(
    ("settings", "said"),
    [
        ({"output": "argmax"}, "--output argmax: need one of logits, softmax, sigmoid"),
        ({"output": "softmax", "head": "none"}, "--head none has no logits"),
        ({"output": "softmax:int8", "backend": "portable"}, "for the int8 xnnpack program alone"),
    ],
)
def test_impossible_outputs_are_refused(settings: dict[str, str], said: str, tiny: TinyFiles) -> None:
    with pytest.raises(InputError, match=said):
        quantize("lite0", weights=tiny.weights, data=tiny.data, **settings)
