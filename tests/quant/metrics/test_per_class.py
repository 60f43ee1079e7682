import torch

from quant.metrics.per_class import ClassFigures, ConfusionChange, class_figures, confusion_changes

NAMES = ("blue", "green", "red", "white")
FLOAT = torch.eye(4)[[0, 1, 2, 0]]
PTE = torch.eye(4)[[0, 1, 0, 1]]
LABELS = torch.tensor([0, 1, 2, 2])


def test_classes_are_counted_by_their_true_class_and_empty_ones_left_out():
    assert class_figures(FLOAT, PTE, LABELS, NAMES) == (
        ClassFigures(name="blue", images=1, float_right=1, pte_right=1, kept=1),
        ClassFigures(name="green", images=1, float_right=1, pte_right=1, kept=1),
        ClassFigures(name="red", images=2, float_right=1, pte_right=0, kept=0),
    )


def test_without_labels_floats_answer_is_the_class():
    assert class_figures(FLOAT, PTE, None, NAMES) == (
        ClassFigures(name="blue", images=2, float_right=None, pte_right=None, kept=1),
        ClassFigures(name="green", images=1, float_right=None, pte_right=None, kept=1),
        ClassFigures(name="red", images=1, float_right=None, pte_right=None, kept=0),
    )


def test_only_cells_of_the_confusion_matrix_that_differ_are_listed():
    assert confusion_changes(FLOAT, PTE, LABELS, NAMES) == (
        ConfusionChange(name="red", answer="green", float_count=0, pte_count=1),
        ConfusionChange(name="red", answer="red", float_count=1, pte_count=0),
    )
    assert confusion_changes(FLOAT, FLOAT, LABELS, NAMES) == ()


def test_without_labels_the_rows_are_floats_answers():
    changes = confusion_changes(FLOAT, PTE, None, NAMES)
    assert [(c.name, c.answer, c.float_count, c.pte_count) for c in changes] == [
        ("blue", "blue", 2, 1),
        ("blue", "green", 0, 1),
        ("red", "blue", 0, 1),
        ("red", "red", 1, 0),
    ]
