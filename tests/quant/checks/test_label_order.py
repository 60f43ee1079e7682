"""Class names in another order than the network's outputs, on logits that are written down."""

import pytest
import torch

from quant.checks.label_order import check_label_order, permuted_classes

NAMES = ("ant", "bee", "cat", "dog", "elk", "fox")


def answers(*rows):
    """One-hot logits: `(label, answer, how many)` a row; gives logits and labels."""
    labels = torch.tensor([label for label, _, count in rows for _ in range(count)])
    taken = torch.tensor([answer for _, answer, count in rows for _ in range(count)])
    return torch.eye(len(NAMES))[taken], labels


RIGHT = [(label, label, 5) for label in range(6)]


@pytest.mark.parametrize(
    ("rows", "moved"),
    [
        (RIGHT, {}),
        ([(0, 1, 5), (1, 0, 5), *RIGHT[2:]], {0: 1, 1: 0}),
        ([(0, 1, 5), (1, 2, 5), (2, 0, 5), *RIGHT[3:]], {0: 1, 1: 2, 2: 0}),
        # Mistakes go one way: a weak class, no exchange.
        ([(0, 1, 5), *RIGHT[1:]], {}),
        # A chain that ends in a class that is itself right.
        ([(0, 1, 5), (1, 2, 5), *RIGHT[2:]], {}),
        # A chain into an exchange is no part of it.
        ([(3, 0, 5), (0, 1, 5), (1, 0, 5), *RIGHT[4:]], {0: 1, 1: 0}),
        # Half of the images are not most of them.
        ([(0, 1, 3), (0, 0, 3), (1, 0, 3), (1, 1, 3), *RIGHT[2:]], {}),
        ([(0, 1, 4), (0, 0, 3), (1, 0, 4), (1, 1, 3), *RIGHT[2:]], {0: 1, 1: 0}),
        # Two images of a class say nothing.
        ([(0, 1, 2), (1, 0, 2), *RIGHT[2:]], {}),
        ([(0, 1, 3), (1, 0, 3), *RIGHT[2:]], {0: 1, 1: 0}),
    ],
)
def test_classes_taken_for_each_other_are_found(rows, moved):
    assert permuted_classes(*answers(*rows)) == moved
    assert (check_label_order(*answers(*rows), NAMES) is None) == (moved == {})


def test_the_sentence_names_four_of_them():
    found = check_label_order(*answers(*((label, (label + 1) % 6, 4) for label in range(6))), NAMES)
    assert found.code == "label-order"
    assert found.message.startswith("labels: 'ant' is taken for 'bee', 'bee' is taken for 'cat'")
    assert "'dog' is taken for 'elk' and 2 more: the class names or folders are in another order" in found.message
