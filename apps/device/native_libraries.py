"""Native libraries packaged in an Android project: whether they load on phones with memory pages of 16 KB.

Google Play asks it of apps for Android 15 and later: segments of 64-bit libraries aligned to 16 KB in the ELF file,
and libraries that an APK holds uncompressed at offsets of 16 KB (developer.android.com, "Support 16 KB page sizes").
"""

from __future__ import annotations

import os
import struct
import zipfile
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

PAGE = 16_384
"""Bytes."""

_ABIS_64 = ("arm64-v8a", "x86_64")
"""Phones with such pages run nothing else."""

_WHERE = (
    *("**/build/outputs/apk/**/*.apk", "**/build/outputs/bundle/**/*.aab"),
    *("**/libs/*.aar", "**/jniLibs/*/*.so"),
)
"""Below a project: what was built, and what was put there by hand."""

_CACHE = "caches/modules-2/files-2.1/org.pytorch"
"""Below Gradle's home: its downloads of ExecuTorch."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Packaged:
    """What was looked at, and what is wrong."""

    libraries: int
    wrong: tuple[str, ...]
    """A sentence each."""

    @property
    def sentence(self) -> str:
        """For a table or a note."""
        if not self.libraries:
            return "page size of 16 KB: nothing built or downloaded yet to check"
        if self.wrong:
            return f"page size of 16 KB: {'; '.join(self.wrong)}"
        return f"page size of 16 KB: all {self.libraries} native 64-bit libraries are aligned"


def packaged_libraries(project: Path, *, versions: Iterable[str] = (), gradle: Path | None = None) -> Packaged:
    """Look at the 64-bit libraries that an Android project was built with.

    Args:
        project: its root.
        versions: of ExecuTorch, of which Gradle's downloads are looked at too.
        gradle: Gradle's home; by default `GRADLE_USER_HOME`, else `.gradle` in the home folder.
    """
    paths = [path for pattern in _WHERE for path in sorted(project.glob(pattern))]
    cache = (gradle or Path(os.environ.get("GRADLE_USER_HOME") or Path.home() / ".gradle")) / _CACHE
    paths += [path for version in versions for path in sorted(cache.glob(f"*/{version}/*/*.aar"))]
    count, wrong = 0, []
    for path in paths:
        for name, why in _looked_at(path):
            count += 1
            wrong += [f"{path.name}: {name} {why}"] if why else []
    return Packaged(libraries=count, wrong=tuple(wrong))


def _looked_at(path: Path) -> Iterator[tuple[str, str]]:
    """Name and fault ("" where there is none) of each 64-bit library of a file."""
    try:
        if path.suffix == ".so":
            if path.parent.name in _ABIS_64:
                yield f"{path.parent.name}/{path.name}", _fault(path.read_bytes())
            return
        with zipfile.ZipFile(path) as archive:
            for info in archive.infolist():
                folder, _, name = info.filename.rpartition("/")
                abi = folder.rpartition("/")[2]
                if not name.endswith(".so") or abi not in _ABIS_64:
                    continue
                stored = path.suffix == ".apk" and info.compress_type == zipfile.ZIP_STORED
                offset = _data_offset(path, info) if stored else 0
                fault = f"lies at {offset}, no multiple of {PAGE}" if offset % PAGE else _fault(archive.read(info))
                yield f"{abi}/{name}", fault
    except (OSError, zipfile.BadZipFile, struct.error) as error:
        yield path.name, f"cannot be read ({error})"


def _data_offset(path: Path, info: zipfile.ZipInfo) -> int:
    """Where a file's bytes begin: behind its local header, whose extra field may be padded."""
    with path.open("rb") as file:
        file.seek(info.header_offset + 26)
        name, extra = struct.unpack("<HH", file.read(4))
    return int(info.header_offset + 30 + name + extra)


def _fault(library: bytes) -> str:
    """What keeps a 64-bit ELF file from being mapped in pages of 16 KB; "" where nothing does."""
    if library[:5] != b"\x7fELF\x02":
        return "is no 64-bit ELF file"
    (table,) = struct.unpack_from("<Q", library, 32)
    size, count = struct.unpack_from("<HH", library, 54)
    for index in range(count):
        kind, *_, align = struct.unpack_from("<IIQQQQQQ", library, table + index * size)
        if kind == 1 and align % PAGE:  # PT_LOAD
            return f"is aligned to {align} bytes, not {PAGE}"
    return ""
