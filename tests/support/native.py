"""Native libraries as Android packages them, too small to run."""

from __future__ import annotations

import struct
import zipfile
from pathlib import Path

from apps.device.native_libraries import PAGE


def library(align: int) -> bytes:
    """A 64-bit ELF file with one segment to load."""
    head = b"\x7fELF\x02" + bytes(27) + struct.pack("<Q", 64) + bytes(14) + struct.pack("<HH", 56, 1) + bytes(6)
    return head + struct.pack("<IIQQQQQQ", 1, 5, 0, 0, 0, 64, 64, align)


def make_archive(path: Path, *, align: int = PAGE, stored: bool = False, pad: int = 0) -> None:
    """An APK, AAR or App Bundle with a 64-bit library and one for other phones."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with zipfile.ZipFile(path, "w", zipfile.ZIP_STORED if stored else zipfile.ZIP_DEFLATED) as made:
        info = zipfile.ZipInfo("lib/arm64-v8a/libexecutorch.so")
        info.extra = bytes(pad)
        made.writestr(info, library(align), made.compression)
        made.writestr("lib/armeabi-v7a/libexecutorch.so", b"32 bits")
