"""Programs of every task that were sabotaged in the ways that are known: the verdict has to fail."""

from __future__ import annotations

from dataclasses import replace

import pytest
import torch

from quant.data.split import ImageRecord
from quant.metrics.tasks.table import TASKS
from quant.verdict.assemble import Judged, judge
from quant.verdict.limits import Limits
from tests.support.outcomes import collected, images

COUNT = 200
WIDTHS = {"binary": 2, "multilabel": 6, "regression": 3, "embedding": 24}


def honest(task: str) -> tuple[torch.Tensor, torch.Tensor, list[ImageRecord]]:
    """Float's outputs, a faithful program's, and labelled images."""
    generator = torch.Generator().manual_seed(0)
    centres = torch.randn(3, WIDTHS[task], generator=generator)
    labels = torch.arange(COUNT) % (2 if task == "binary" else 3)
    reference = 4.0 * centres[labels] + torch.randn(COUNT, WIDTHS[task], generator=generator)
    records = [replace(image, label=int(label)) for image, label in zip(images(COUNT), labels, strict=True)]
    if task == "binary":
        reference = torch.stack([torch.zeros(COUNT), 8.0 * labels - 4.0 + reference[:, 1] - reference[:, 0]], dim=1)
    if TASKS[task].targets != "class":
        wanted = (reference > 0).double() if task == "multilabel" else reference.double()
        records = [replace(record, targets=tuple(row)) for record, row in zip(records, wanted.tolist(), strict=True)]
    return reference, reference + 0.02 * torch.randn(reference.shape, generator=generator), records


def judged(task: str, reference: torch.Tensor, found: torch.Tensor, records: list[ImageRecord], **limits) -> Judged:
    evidence = collected(
        task=TASKS[task],
        logits={"float": reference, "pte": found},
        images=records,
        class_names=[f"n{i}" for i in range(WIDTHS[task])],
    )
    return judge(evidence, Limits(**{"max_drop": 1.0, "min_agreement": None, "baseline": None} | limits))


def unlabelled(records: list[ImageRecord]) -> list[ImageRecord]:
    return [replace(record, label=None, targets=None) for record in records]


@pytest.mark.parametrize("labelled", [True, False])
@pytest.mark.parametrize("task", WIDTHS)
def test_a_faithful_program_passes(task: str, labelled: bool) -> None:
    reference, found, records = honest(task)
    verdict = judged(task, reference, found, records if labelled else unlabelled(records), min_agreement=0.7)
    assert verdict.compared.failures == () and len(verdict.compared.passes) >= 2
    assert (verdict.drop_interval is not None) == labelled


def permuted(found: torch.Tensor) -> torch.Tensor:
    return found.roll(1, dims=1)


def constant(found: torch.Tensor) -> torch.Tensor:
    return found.mean(dim=0, keepdim=True).expand_as(found)


def of_other_images(found: torch.Tensor) -> torch.Tensor:
    return found.roll(1, dims=0)


def noisy(found: torch.Tensor) -> torch.Tensor:
    noise = torch.randn(found.shape, generator=torch.Generator().manual_seed(1))
    return found + found.std(dim=0, keepdim=True).clamp_min(found.std() / 2) * noise


def negated(found: torch.Tensor) -> torch.Tensor:
    return -found


def shifted(found: torch.Tensor) -> torch.Tensor:
    return found + 2.0 * found.std() * torch.eye(found.shape[1])[-1]


SABOTAGES = (permuted, constant, of_other_images, noisy, negated, shifted)
# Which images are near each other knows neither the order of features nor their sign: float's own features do.


@pytest.mark.parametrize("labelled", [True, False])
@pytest.mark.parametrize("task", WIDTHS)
@pytest.mark.parametrize("sabotage", SABOTAGES)
def test_a_sabotaged_program_fails(sabotage, task: str, labelled: bool) -> None:
    reference, found, records = honest(task)
    verdict = judged(task, reference, sabotage(found), records if labelled else unlabelled(records), max_drop=5.0)
    assert verdict.compared.failures, verdict.compared.passes


@pytest.mark.parametrize("task", ["multilabel", "regression", "embedding"])
def test_a_collapse_fails_whatever_is_allowed(task: str) -> None:
    reference, found, records = honest(task)
    verdict = judged(task, reference, constant(found), records, max_drop=100.0)
    assert [failure.code for failure in verdict.compared.failures][:1] == ["collapsed"]


def test_one_sure_label_in_fifty_images_is_too_much_without_labels() -> None:
    reference, found, records = honest("multilabel")
    found[::50, 0] = -reference[::50, 0]
    assert reference[::50, 0].abs().min() > 1.2
    verdict = judged("multilabel", reference, found, unlabelled(records), max_drop=1.0)
    assert "sure-images-changed" in {failure.code for failure in verdict.compared.failures}


def test_agreement_is_bounded_where_it_is_asked_for() -> None:
    reference, found, records = honest("regression")
    found[:30] += 0.3 * reference.std()
    failures = judged("regression", reference, found, records, min_agreement=0.9, max_drop=100).compared.failures
    assert [failure.code for failure in failures] == ["agreement-low"]


def test_what_changed_is_told_in_words() -> None:
    reference, found, records = honest("multilabel")
    found[0] = -5.0
    flips = judged("multilabel", reference, found, records).flips
    assert flips[0].image == records[0].name and flips[0].pte_class == "(none)"
    assert flips[0].label == flips[0].float_class and "n" in flips[0].float_class
    assert flips[0].to_json()["float_probability"] is None
    reference, found, records = honest("embedding")
    assert all(
        flip.float_class.endswith(".jpg") for flip in judged("embedding", reference, noisy(found), records).flips
    )


@pytest.mark.parametrize("labelled", [True, False])
@pytest.mark.parametrize(
    ("decibels", "passes"), [(25.0, True), (19.7, True), (17.4, True), (14.0, False), (10.0, False)]
)
def test_numbers_of_a_healthy_program_pass_and_of_a_broken_one_fail(
    decibels: float, passes: bool, labelled: bool
) -> None:
    reference, _, records = honest("regression")
    noise = torch.randn(reference.shape, generator=torch.Generator().manual_seed(2))
    noise = noise / noise.std(dim=0) * reference.std(dim=0) * 10 ** (-decibels / 20)
    given = records if labelled else unlabelled(records)
    verdict = judged("regression", reference, reference + noise, given, max_drop=TASKS["regression"].max_drop)
    assert (not verdict.compared.failures) == passes, verdict.compared
