"""Images that are handed over are written down where nobody looks; messages name what was given."""

from __future__ import annotations

import numpy as np
import pytest

from edge_effnet import InputError, Preprocess
from quant.common.progress import NoProgress
from quant.data.readers.in_memory import Wanted
from quant.pipeline.handed_over import Given, as_folders


def test_a_message_does_not_name_the_folder_of_the_run() -> None:
    given = Given(data=np.zeros((4, 20, 20, 3), np.uint8))
    wanted = Wanted(preprocess=Preprocess(crop=16, resize=16), kind="class", names=None)
    with (
        pytest.raises(InputError, match=r"^images: only 2 images$"),
        as_folders(given, wanted, NoProgress()) as folders,
    ):
        raise InputError(f"{folders.data}: only 2 images")
