"""Version catalogs (docs.gradle.org, "Version catalogs"): what they call libraries, plugins and versions."""

from __future__ import annotations

import re
import tomllib
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from apps.device.gradle.script import text_of

_GROUP = "org.pytorch"


@dataclass(frozen=True, kw_only=True, slots=True)
class Entry:
    """A library of org.pytorch."""

    aliases: tuple[str, ...]
    """Its key, and those of bundles that hold it."""
    name: str
    version: str
    """As it is written; "" where there is none."""

    def used_in(self, scripts: str) -> bool:
        """Whether scripts name it: `libs.executorch.android`, `findLibrary("executorch-android")`."""
        names = "|".join("[-_.]".join(map(re.escape, re.split("[-_.]", alias))) for alias in self.aliases)
        called = rf"(?:(?<!versions)(?<!plugins)\.|\bfind(?:Library|Bundle)\(\s*[\"'])(?:{names})\b"
        return re.search(called, scripts, re.IGNORECASE) is not None


@dataclass(frozen=True, kw_only=True, slots=True)
class Catalog:
    """One file."""

    path: Path
    versions: dict[str, str]
    """By accessor."""
    plugins: dict[str, str]
    """Ids by accessor."""
    libraries: tuple[Entry, ...]


def accessor(key: str) -> str:
    """How scripts call an entry: `android-application` is `android.application`."""
    return re.sub("[-_]", ".", key).lower()


def read_catalog(path: Path) -> Catalog:
    """Read a catalog; what is not as Gradle wants it names nothing."""
    try:
        tables = tomllib.loads(text_of(path))
    except tomllib.TOMLDecodeError:
        tables = {}
    versions = {accessor(key): value for key, value in _table(tables, "versions").items()}
    found = ((key, *_library(entry, versions)) for key, entry in _table(tables, "libraries").items())
    bundles = {key: held for key, held in _table(tables, "bundles").items() if isinstance(held, list)}
    return Catalog(
        path=path,
        versions={key: _plain(value) for key, value in versions.items()},
        plugins={accessor(key): _plugin(entry) for key, entry in _table(tables, "plugins").items()},
        libraries=tuple(
            Entry(aliases=(key, *(each for each, held in bundles.items() if key in held)), name=name, version=version)
            for key, group, name, version in found
            if group == _GROUP
        ),
    )


def _table(tables: dict[str, Any], name: str) -> dict[str, Any]:
    table = tables.get(name)
    return table if isinstance(table, dict) else {}


def _plugin(entry: Any) -> str:
    """The id of `id:version` or of a table."""
    return str(entry.get("id", "")) if isinstance(entry, dict) else str(entry).partition(":")[0]


def _library(entry: Any, versions: dict[str, Any]) -> tuple[str, str, str]:
    """Group, name and version of `group:name:version` or of a table."""
    if not isinstance(entry, dict):
        group, name, written = (*str(entry).split(":", 2), "", "")[:3]
        return group, name, written
    group, _, name = str(entry.get("module", f"{entry.get('group')}:{entry.get('name')}")).partition(":")
    version: Any = entry.get("version", "")
    if isinstance(version, dict) and "ref" in version:
        version = versions.get(accessor(str(version["ref"])), version["ref"])
    return group, name, _plain(version)


def _plain(version: Any) -> str:
    """A version as one string; of a rich one the most binding part."""
    if isinstance(version, dict):
        version = next((version[key] for key in ("strictly", "require", "prefer") if version.get(key)), "")
    return str(version)
