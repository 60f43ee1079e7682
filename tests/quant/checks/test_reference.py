"""What float's answers say against a verdict; logits, images and networks are written down."""

from contextlib import contextmanager
from dataclasses import replace

import pytest
import torch

from quant.checks.recorded_figures import Recorded
from quant.checks.reference import Reference, check_reference
from quant.common.progress import NoProgress
from quant.data.perceptual_hash import Calibrated
from quant.metrics.tasks.classes import CLASSES
from quant.metrics.tasks.table import TASKS
from tests.support.images import COLOURS, draw_image
from tests.support.outcomes import images
from tests.support.programs import PREPROCESS

COUNT, QUIET = 40, NoProgress()


@pytest.fixture(scope="module")
def drawn(tmp_path_factory):
    folder = tmp_path_factory.mktemp("drawn")
    paths = [draw_image(folder / f"{i}.jpg", COLOURS[i % 3], seed=i) for i in range(COUNT)]
    return [replace(image, path=path) for image, path in zip(images(COUNT), paths, strict=True)]


@pytest.fixture
def codes(drawn):
    """Codes of what is found, with some parts of an honest reference changed."""

    def found(answers, progress=QUIET, **changes):
        fields = {
            "task": CLASSES,
            "run": lambda x: torch.zeros(len(x), 3),
            "logits": 9.0 * torch.eye(3)[torch.tensor(answers)],
            "images": drawn,
            "class_names": COLOURS,
            "preprocess": PREPROCESS,
            "pte_logits": None,
            "recorded": None,
            "hashes": torch.rand(COUNT, 64, generator=torch.Generator().manual_seed(0)) * 255,
            "calibrated": None,
        }
        return [each.code for each in check_reference(Reference(**{**fields, **changes}), progress)]

    return found


RIGHT = [i % 3 for i in range(COUNT)]


def test_an_honest_reference_has_no_findings(codes):
    assert codes(RIGHT) == []


@pytest.mark.parametrize("usual", [COUNT, 20], ids=["explained", "not explained"])
def test_every_check_advances_the_stage(codes, usual):
    """Float runs again in some of them: minutes, of a large network."""
    stages = {}

    class Counted:
        @contextmanager
        def stage(self, title, total):
            steps = []
            yield steps.append
            stages[title] = (total, sum(steps))

    codes([0] * usual + [1] * (COUNT - usual), Counted())
    (total, done) = stages["Checking"]
    assert total == done > 5


@pytest.mark.parametrize(
    ("usual", "code"), [(COUNT, "one-class"), (COUNT - 1, "nearly-one-class"), (30, "nearly-one-class"), (29, None)]
)
def test_images_that_are_all_but_one_class_prove_little(codes, drawn, usual, code):
    unlabelled = [replace(image, label=None) for image in drawn]
    found = codes([2] * usual + [0] * (COUNT - usual), images=unlabelled)
    assert found == ([] if code is None else [code])


def test_every_check_has_its_say(codes):
    """Labels in another order, a calibration image among the others, other figures than were recorded."""
    hashes = torch.rand(COUNT, 64, generator=torch.Generator().manual_seed(0)) * 255
    calibrated = Calibrated(names=("train/0.jpg",), hashes=hashes[:1])
    logits = 9.0 * torch.eye(3)[torch.tensor(RIGHT)]
    same = tuple(sorted(image.sha256 for image in images(COUNT)))
    recorded = Recorded(top1=1.0, sqnr_db=40.0, images=COUNT, hashes=same)
    swapped = [{0: 1, 1: 0, 2: 2}[label] for label in RIGHT]
    sure = torch.tensor([[0.0, 0.0, 99.0]])  # and no reading of the images helps
    run = {"run": lambda x: sure.expand(len(x), 3)}
    found = codes(swapped, **run, hashes=hashes, calibrated=calibrated, recorded=recorded, pte_logits=logits.flip(1))
    assert found == ["leakage", "label-order", "float-changed", "program-changed"]


def test_another_reading_is_tried_on_a_network_that_is_often_wrong(codes, drawn):
    """It reads BGR: blue for red and red for blue."""

    def run(x):
        return 9.0 * x.mean(dim=(2, 3))

    x = torch.stack([PREPROCESS(image.path) for image in drawn])
    assert codes(RIGHT, run=run, logits=run(x)) == ["label-order", "preprocessing"]


def test_a_network_of_one_output_is_never_judged_by_its_largest(drawn, codes):
    assert "one-class" in codes([0] * COUNT, logits=torch.randn(COUNT, 1), run=lambda x: torch.zeros(len(x), 1))


def test_a_float_network_at_chance_is_never_a_pass(codes):
    """Halves of a split taken for classes: nothing is lost, and nothing is proved."""
    assert "float-at-chance" in codes(([0, 1, 2, 1, 2, 0, 2, 0, 1] * COUNT)[:COUNT])


def seen(task, outputs, **records):
    """Codes of what is found of a task's outputs; what each image is labelled with by the field of its record."""
    some = [replace(image, **{"label": None, **{key: values[i] for key, values in records.items()}})
            for i, image in enumerate(images(len(outputs)))]  # fmt: skip
    return [each.code for each in check_reference(Reference(
        task=TASKS[task], run=lambda x: x, logits=outputs, images=some, class_names=("no", "yes"),
        preprocess=PREPROCESS, pte_logits=None, recorded=None, hashes=torch.rand(len(outputs), 64), calibrated=None,
    ), NoProgress())]  # fmt: skip


@pytest.mark.parametrize("task", ["multilabel", "regression", "embedding"])
def test_the_same_answer_for_every_image_proves_nothing(task):
    varied = torch.randn(COUNT, 4)
    assert "one-answer" in seen(task, varied[:1].expand(COUNT, 4))
    assert "one-answer" not in seen(task, varied)


def test_a_task_without_labels_can_have_no_chance():
    assert seen("multilabel", torch.randn(COUNT, 4)) == seen("embedding", torch.randn(COUNT, 4)) == []


@pytest.mark.parametrize("task", ["multilabel", "regression"])
def test_float_that_sees_nothing_of_its_targets_is_at_chance(task):
    outputs = torch.randn(COUNT, 4)
    targets = outputs if task == "regression" else (outputs > 0).double()
    rows = [tuple(row) for row in targets.tolist()]
    assert seen(task, outputs, targets=rows) == []
    assert seen(task, outputs, targets=rows[1:] + rows[:1]) == ["float-at-chance"]
    # Numbers of another unit are no better than the mean of the labels.
    scaled = [tuple(100.0 + value for value in row) for row in rows]
    assert task == "multilabel" or seen(task, outputs, targets=scaled) == ["float-at-chance"]


def test_features_that_know_nothing_of_the_classes_are_at_chance():
    labels = [i % 2 for i in range(COUNT)]
    near = torch.eye(2)[torch.tensor(labels)] + 0.1 * torch.randn(COUNT, 2)
    assert seen("embedding", near, label=labels) == []
    assert seen("embedding", torch.randn(COUNT, 8), label=labels) == ["float-at-chance"]
