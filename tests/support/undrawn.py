"""Reports without plots, for runs whose tests look at something else: matplotlib takes 0.7 of 2.6 seconds.

`tests/quant/report` draws every plot; what a command writes in a process of its own (`quantized`) has them too.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager
from typing import Any
from unittest import mock

from markupsafe import Markup

from quant.report.single import render_report

_PLOTS = ("plot_layers", "plot_changes", "plot_search", "plot_training")


def without_plots() -> AbstractContextManager[object]:
    """Let reports be rendered so."""
    return mock.patch.multiple("quant.report.single", **{name: lambda *_, **__: Markup() for name in _PLOTS})


def _rendered(*given: Any) -> bytes:
    with without_plots():
        return render_report(*given)


@contextmanager
def undrawn() -> Iterator[None]:
    """Let runs of this process write such reports."""
    with mock.patch("quant.pipeline.write.render_report", _rendered):
        yield
