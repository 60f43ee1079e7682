"""Qualcomm's QNN libraries in a child process: loaded, asked whether they take executorch's device config, helped.

executorch 1.4.1 hands the SoC over in a custom device config laid out as in the headers it was built with (QNN 2.27):
`{uint32 option, uint32 soc}`. Later libraries read the value four bytes later and refuse ("unknown custom config
socModel 0", error 14001). Where a release that was tried does so, `deviceCreate` in the library's interface table is
replaced by a function that hands the config on in the layout that it reads. Nothing of the library's files changes.

Only ever in a child process: a C library that is unhappy ends it. To be called once torch (and torchao, where it is
used) is imported: the other way round the first C++ exception of torch ends the process.
"""

from __future__ import annotations

import ctypes
import re
from collections.abc import Callable, Sequence
from functools import cache
from pathlib import Path

from quant.program.qnn_library import WHEELS, folder, wheel_of

_PROBED_SOC = 57  # SM8650: all releases that were tried know it

# Of QnnInterface.h: the functions stand behind 40 bytes, 8 bytes each.
_TABLE = 40
_BACKEND_CREATE, _BUILD_ID, _BACKEND_FREE, _DEVICE_CREATE, _DEVICE_FREE = 1, 4, 8, 40, 43

_OPTION_SOC = 0
_PAGE = 4096
_READ_WRITE = 3

_kept: list[object] = []
"""What the libraries go on pointing at."""

_Pointer = ctypes.c_void_p


class QnnError(RuntimeError):
    """The libraries cannot be used; the message is a sentence for the user."""


@cache
def load() -> str:
    """Load the libraries that `folder` finds, once; they stay in this process.

    Returns:
        The version that they give themselves, such as "2.51.0.260929181845".

    Raises:
        QnnError: none there, ones that do not load, or an unknown release that executorch's config is refused by.
    """
    where = folder()
    if where is None:
        raise QnnError("no QNN libraries here")
    try:
        interface = _interface(where)
    except OSError as error:
        raise QnnError(f"the QNN libraries in {where} do not load ({error})") from error
    version = _version(interface)
    layouts = ((_OPTION_SOC, _PROBED_SOC), (_OPTION_SOC, 0, _PROBED_SOC))
    if needs_repair(version, [_creates_device(interface, *layout) for layout in layouts]):
        _repair(interface)
    return version


def needs_repair(version: str, taken: Sequence[bool]) -> bool:
    """Whether the device config has to be rewritten.

    Args:
        version: of the libraries.
        taken: whether a device was created with executorch's layout, and with the later one.

    Raises:
        QnnError: executorch's layout is refused, and nobody tried the later one with this release, or it fails too.
    """
    as_it_is, rewritten = taken
    if as_it_is:
        return False
    if wheel_of(version) is not None and rewritten:
        return True
    raise QnnError(
        f"QNN libraries {version} do not take the device config of executorch 1.4.1, and "
        + ("its later layout neither" if not rewritten else "are none that its later layout was tried with")
        + f"; take those of QNN 2.27, or of {', '.join(WHEELS)} (pip install 'edge-effnet[qnn]')"
    )


def _interface(where: Path) -> int:
    """Address of the HTP library's interface table."""
    _kept.append(ctypes.CDLL(str(where / "libQnnSystem.so")))
    library = ctypes.CDLL(str(where / "libQnnHtp.so"))
    _kept.append(library)
    providers, count = _Pointer(), ctypes.c_uint32()
    get = library.QnnInterface_getProviders
    get.argtypes, get.restype = [_Pointer, _Pointer], ctypes.c_uint64
    if get(ctypes.byref(providers), ctypes.byref(count)) != 0 or not count.value:
        raise QnnError(f"the QNN libraries in {where} offer no interface")
    address = ctypes.cast(providers, ctypes.POINTER(_Pointer))[0]
    assert address is not None
    return int(address)


def _function(interface: int, index: int, *arguments: type) -> Callable[..., int]:
    signature = ctypes.CFUNCTYPE(ctypes.c_uint64, *arguments)
    address = _Pointer.from_address(interface + _TABLE + 8 * index).value
    assert address is not None
    return signature(address)


def _version(interface: int) -> str:
    text = ctypes.c_char_p()
    _function(interface, _BUILD_ID, _Pointer)(ctypes.byref(text))
    found = re.search(rb"\d+(\.\d+)+", text.value or b"")
    return found[0].decode() if found else "of no known version"


def _device_config(*words: int) -> int:
    """Address of a device config whose custom config begins with these words."""
    custom = (ctypes.c_uint32 * 16)(*words)
    config = (ctypes.c_uint64 * 4)(0, ctypes.addressof(custom))
    _kept.extend((custom, config))
    return ctypes.addressof(config)


def _creates_device(interface: int, *words: int) -> bool:
    backend, device = _Pointer(), _Pointer()
    if _function(interface, _BACKEND_CREATE, _Pointer, _Pointer, _Pointer)(None, None, ctypes.byref(backend)) != 0:
        return False
    configs = (_Pointer * 2)(_device_config(*words), None)
    create = _function(interface, _DEVICE_CREATE, _Pointer, _Pointer, _Pointer)
    created = create(None, ctypes.addressof(configs), ctypes.byref(device)) == 0
    if created:
        _function(interface, _DEVICE_FREE, _Pointer)(device)
    _function(interface, _BACKEND_FREE, _Pointer)(backend)
    return created


def _repair(interface: int) -> None:
    """Put a function into the table that rewrites custom configs of option 0, the SoC, and calls the library's."""
    slot = interface + _TABLE + 8 * _DEVICE_CREATE
    original = _function(interface, _DEVICE_CREATE, _Pointer, _Pointer, _Pointer)

    def device_create(logger: int, configs: int, device: int) -> int:
        handed: list[int | None] = []
        while configs and (config := _Pointer.from_address(configs + 8 * len(handed)).value):
            custom = _Pointer.from_address(config + 8).value
            if ctypes.c_uint32.from_address(config).value == _OPTION_SOC and custom:
                option, soc, more = (ctypes.c_uint32 * 3).from_address(custom)
                config = _device_config(option, 0, soc, more)
            handed.append(config)
        array = (_Pointer * (len(handed) + 1))(*handed, None)  # lives until the call is done
        return original(logger, ctypes.addressof(array), device)

    replacement = ctypes.CFUNCTYPE(ctypes.c_uint64, _Pointer, _Pointer, _Pointer)(device_create)
    _kept.extend((original, replacement))
    libc = ctypes.CDLL(None, use_errno=True)
    if libc.mprotect(_Pointer(slot & -_PAGE), ctypes.c_size_t(2 * _PAGE), _READ_WRITE) != 0:
        raise QnnError(f"the QNN libraries' table cannot be written to (error {ctypes.get_errno()})")
    _Pointer.from_address(slot).value = ctypes.cast(replacement, _Pointer).value
