import pytest

from quant.common.subsample import subsample


@pytest.mark.parametrize(("count", "most"), [(10, 16), (16, 16), (20, 16), (31, 16), (250, 16), (3, 16)])
def test_images_are_thinned_over_all_classes(count, most):
    numbers = subsample(count, most)
    assert len(numbers) == min(count, most) and numbers == sorted(set(numbers))
    # Of those that lie class by class, the last class is seen as well as the first.
    assert numbers[0] == 0 and numbers[-1] >= count - 1 - count // most
