"""What a call says that refuses what it was given."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from edge_effnet.errors import InputError


def refusal_of(
    call: Callable[..., object],
    *arguments: Any,
    error: type[Exception] = InputError,
    begins: str = "",
    **settings: Any,
) -> str:
    """The one line that a call fails with."""
    with pytest.raises(error) as caught:
        call(*arguments, **settings)
    message = str(caught.value)
    assert message.startswith(begins) and "\n" not in message
    return message
