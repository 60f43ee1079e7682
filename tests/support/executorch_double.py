"""Doubles of other releases of executorch: wheels that pip installs, around the installed runtime.

Each has the layout of 1.5: no `__init__.py`, and `_C` where 1.4 has `_portable_lib`.
"""

from __future__ import annotations

import zipfile
from pathlib import Path

import executorch

REAL = """
import executorch, importlib.machinery, importlib.util
executorch.__path__.append({root!r})  # while it starts, it imports others of its parts
loader = importlib.machinery.ExtensionFileLoader("executorch.extension.pybindings._portable_lib", {library!r})
real = importlib.util.module_from_spec(importlib.util.spec_from_loader(loader.name, loader))
loader.exec_module(real)
executorch.__path__.pop()
globals().update({{name: getattr(real, name) for name in dir(real) if not name.startswith("__")}})
"""
"""The installed runtime under another name."""

DRIFTS = """
class Method:
    def __init__(self, method):
        self.method_meta = method.method_meta
        self.method = method

    def call(self, inputs):
        return [self.method.call(inputs)[0] * 1.0001]


class Program:
    def __init__(self, *arguments, **settings):
        self.program = real._load_program(*arguments, **settings)

    def load_method(self, name):
        return Method(self.program.load_method(name))


_load_program = Program
"""
"""A release whose kernels round otherwise."""

REFUSES = """
def _load_program(*arguments, **settings):
    raise RuntimeError("Failed to load program, error: 0x23")
"""

BROKEN = "raise ImportError('undefined symbol: _ZN5torch')\n"

RELEASES = {"1.5.1": REAL, "1.6.0": REAL + DRIFTS, "1.7.0": REAL + REFUSES, "1.8.0": BROKEN}


def write_wheels(folder: Path) -> Path:
    """Write a wheel of each double; pip finds them with PIP_NO_INDEX=1 and PIP_FIND_LINKS=FOLDER."""
    folder.mkdir()
    (root,) = executorch.__path__
    (library,) = Path(root, "extension/pybindings").glob("_portable_lib*.so")
    for release, code in RELEASES.items():
        info = f"executorch-{release}.dist-info"
        with zipfile.ZipFile(folder / f"executorch-{release}-py3-none-any.whl", "w") as wheel:
            wheel.writestr("executorch/extension/pybindings/_C.py", code.format(library=str(library), root=root))
            wheel.writestr(f"{info}/METADATA", f"Metadata-Version: 2.1\nName: executorch\nVersion: {release}\n")
            wheel.writestr(f"{info}/WHEEL", "Wheel-Version: 1.0\nRoot-Is-Purelib: true\nTag: py3-none-any\n")
            wheel.writestr(f"{info}/RECORD", "")
    return folder
