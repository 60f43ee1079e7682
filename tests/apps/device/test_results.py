"""Results files: what is read of them, and what is refused (docs/device.md)."""

import base64
import json
import math
from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from apps.device.job.folder import limit_findings, limited
from apps.device.job.results import parse_results, read_results, require_same_program, write_results
from apps.device.sameness import compare_logits, faults, repeatability
from apps.device.table import read_exported
from edge_effnet.errors import InputError
from tests.golden.make import BROKEN, GOOD
from tests.support.outcomes import images
from tests.support.paths import GOLDEN

RESULTS = GOLDEN / "results"


def test_a_good_file_gives_its_numbers_to_the_bit(tmp_path):
    results = read_results(RESULTS / "good.json")
    expected = np.fromfile(RESULTS / "good.logits.f32", dtype="<f4")
    assert results.logits.numpy().tobytes() == expected.tobytes()
    assert (results.latency_p50_ms, results.load_ms) == (4.375, 12.5)
    write_results(tmp_path / "again.json", results)
    assert read_results(tmp_path / "again.json").values == results.values


@pytest.mark.parametrize(
    ("name", "complaint"),
    [
        ("schema-2", r"schema 2; this version reads 1"),
        ("no-photographs", r"not a results file of a device \(\$\.photographs"),
        ("no-latency", r"'latency' is a required property"),
        ("logits-not-base64", r"\$\.photographs\[0\]\.logits"),
        ("unknown-key", r"'more' was unexpected"),
        ("truncated", r"not readable as JSON, truncated or damaged"),
        ("none", r"no such file"),
    ],
)
def test_broken_files_are_one_sentence_each(name, complaint):
    with pytest.raises(InputError, match=complaint) as caught:
        read_results(RESULTS / f"{name}.json")
    assert f"{name}.json" in str(caught.value)
    assert set(BROKEN) <= {"schema-2", "no-photographs", "no-latency", "logits-not-base64", "unknown-key"}


def test_files_of_before_reruns_are_read_and_strange_ones_are_refused():
    old = {key: value for key, value in GOOD.items() if key != "reruns"}
    assert repeatability(parse_results(json.dumps(old).encode(), where="phone")) is None
    strange = {**GOOD, "reruns": [{**GOOD["reruns"][0], "sha256": "ef" * 32}]}
    with pytest.raises(InputError, match=r"phone: ran an image again that it has no logits of"):
        parse_results(json.dumps(strange).encode(), where="phone")


@pytest.mark.parametrize("logits", [(0.0, -0.0), (0.0, math.nan), (1.0, 0.0)])
def test_a_rerun_is_compared_by_its_bits(logits):
    values = json.loads(with_logits([0.0, 0.0]))
    entry = values["photographs"][0]
    values["reruns"] = [entry, {**entry, "logits": base64.b64encode(np.array(logits, "<f4").tobytes()).decode()}]
    found = repeatability(parse_results(json.dumps(values).encode(), where="phone"))
    assert (found.images, found.reruns, found.varied) == (1, 2, ("0.jpg",))


def with_logits(*rows):
    encoded = [base64.b64encode(np.array(row, "<f4").tobytes()).decode() for row in rows]
    entries = [{"name": f"{i}.jpg", "sha256": f"{i:064x}", "logits": text} for i, text in enumerate(encoded)]
    return json.dumps({**GOOD, "photographs": entries}).encode()


def test_numbers_that_cannot_be_logits_are_refused():
    with pytest.raises(InputError, match=r"phone: the output for 1\.jpg is not finite \(1 images in all\)"):
        parse_results(with_logits([1.0, 2.0], [1.0, math.nan]), where="phone")
    with pytest.raises(InputError, match=r"the logits of 1\.jpg are 12 bytes; need 4 a class, the same"):
        parse_results(with_logits([1.0, 2.0], [1.0, 2.0, 3.0]), where="phone")


def test_results_of_another_program_are_refused():
    with pytest.raises(InputError, match=r"results of another program \(SHA-256 abababababab"):
        require_same_program(read_results(RESULTS / "good.json"), "c" * 64, Path("b0"))


def test_an_exported_file_has_to_be_complete(tmp_path):
    (tmp_path / "early.json").write_text(json.dumps({**GOOD, "complete": False}))
    with pytest.raises(InputError, match=r"exported after 1 images, before the run was complete"):
        read_exported(str(tmp_path / "early.json"))
    with pytest.raises(InputError, match=r"--device ios:FILE"):
        read_exported("")


@given(st.integers(1, 60), st.integers(1, 80))
def test_a_limit_takes_evenly_of_each_class(count, limit):
    everything = images(count)
    chosen = limited(everything, limit)
    assert len(chosen) == min(count, limit)
    assert list(chosen) == [p for p in everything if p in chosen], "in their order, none twice"
    counts = [sum(p.label == label for p in chosen) for label in range(3)]
    possible = [sum(p.label == label for p in everything) for label in range(3)]
    assert all(c == p or c >= max(counts) - 1 for c, p in zip(counts, possible, strict=True))


def test_a_limit_says_what_it_costs():
    assert limit_findings(50, 50) == ()
    (found,) = limit_findings(30, 250)
    assert found.message == (
        "30 of 250 images (--limit): near 95 %, a share's 95 % interval is 17.9 points wide instead of 5.5."
    )
    with pytest.raises(InputError, match=r"--limit 0: need at least 1"):
        limited(images(3), 0)


def test_equal_bits_are_asked_of_int8_alone():
    reference = torch.tensor([[1.0, 0.0], [0.0, 1.0]] * 50)
    other = reference.clone()
    other[3, 0] += 1e-6
    same = compare_logits(reference, other, [str(i) for i in range(100)])
    assert (same.identical, same.agreement, same.flips) == (99, 1.0, ())
    assert faults(same, exact=False) == ()
    assert "differ for 1 of 100 images" in faults(same, exact=True)[0]
    zero = compare_logits(torch.tensor([[0.0, 1.0]]), torch.tensor([[-0.0, 1.0]]), ["a"])
    assert zero.identical == 0, "bits, not values"


def test_more_than_rounding_fails_float_programs_too():
    reference = torch.eye(4).repeat(10, 1)
    other = reference.roll(1, dims=1)
    found = faults(compare_logits(reference, other, [str(i) for i in range(40)]), exact=False)
    assert len(found) == 2
    assert "40 of 40 images another class" in found[0] and "dB from this host's" in found[1]
