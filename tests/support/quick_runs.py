"""What hundreds of small runs in one process need not do again, and no test of theirs looks at: a third of the time.

A run in a process of its own (`quantized` of conftest.py) does all of it.
"""

from __future__ import annotations

import functools
import typing
from collections.abc import Iterator, Sequence
from contextlib import AbstractContextManager, ExitStack, contextmanager
from typing import Any
from unittest import mock

from markupsafe import Markup
from torch import fx

from quant.common.quiet import quiet_libraries
from quant.ptq.convert import convert_pt2e
from quant.report.single import render_report
from quant.training.outputs import _draw
from tests.support.exports import export_once

with quiet_libraries():
    pass

_PLOTS = ("plot_layers", "plot_changes", "plot_search", "plot_training")
_CURVES: dict[tuple[object, ...], bytes | None] = {}


def without_plots() -> AbstractContextManager[object]:
    """Let reports be rendered without plots, which `tests/quant/report` draws."""
    return mock.patch.multiple("quant.report.single", **{name: lambda *_, **__: Markup() for name in _PLOTS})


def _converted(prepared: fx.GraphModule) -> fx.GraphModule:
    """As torchao does, but for 72 patterns of its own training, each exported for every graph with a BatchNorm."""
    with mock.patch("torchao.quantization.pt2e.quantize_pt2e._fold_conv_bn_qat", lambda graph: graph):
        return convert_pt2e(prepared)


def _rendered(*given: Any) -> bytes:
    with without_plots():
        return render_report(*given)


def _drawn(rows: Sequence[dict[str, float]]) -> bytes | None:
    """A learning curve as of the first run that had the same columns and as many image sizes."""
    kind = (*(rows[0] if rows else ()), len({row["image_size"] for row in rows}))
    if kind not in _CURVES:
        _CURVES[kind] = _draw(rows)
    return _CURVES[kind]


@contextmanager
def quick_runs() -> Iterator[None]:
    """Make those of this process so."""
    with ExitStack() as stack:
        with quiet_libraries():
            # ExecuTorch asks for a class's types again for every single object that it writes.
            known = functools.cache(typing.get_type_hints)
            stack.enter_context(mock.patch("executorch.exir._serialize._dataclass.get_type_hints", known))
        stack.enter_context(mock.patch("quant.ptq.convert.convert_pt2e", _converted))
        stack.enter_context(mock.patch("quant.pipeline.float_graphs.export_graph", export_once))
        stack.enter_context(mock.patch("quant.pipeline.write.render_report", _rendered))
        stack.enter_context(mock.patch("quant.training.outputs._draw", _drawn))
        yield
