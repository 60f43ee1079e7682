"""One runtime for many checks: the child process of production, started again only after a mutant has ended it."""

from __future__ import annotations

from quant.program.host import HostRuntime


class WarmRuntime(HostRuntime):
    """Stands for `HostRuntime`: a block's end leaves the child alive."""

    _living: HostRuntime | None = None

    def __new__(cls, threads: int = 1) -> WarmRuntime:
        """Give the living one."""
        living = cls._living
        if living is None or living._child.poll() is not None:
            living = super().__new__(cls)
            HostRuntime.__init__(living, threads)
            cls._living = living
        assert isinstance(living, WarmRuntime)
        return living

    def __init__(self, threads: int = 1) -> None:
        pass

    def close(self) -> None:
        """Bury a dead child; keep a living one."""
        if self._child.poll() is not None:
            super().close()
