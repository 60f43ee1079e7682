"""Which ExecuTorch a Gradle project asks for: version catalogs, build scripts, and what these take versions from."""

from __future__ import annotations

import os
import re
from collections.abc import Iterator
from itertools import chain
from pathlib import Path

from apps.device.gradle.catalog import Entry, accessor
from apps.device.gradle.project import GradleProject, Module
from apps.device.gradle.script import SETTINGS, code_of, scripts_in, text_of
from apps.device.linked import Pin

_LIBRARY = r"(executorch-android[\w-]*)"

_NOTATIONS = tuple(
    re.compile(pattern)
    for pattern in (
        # Coordinates: org.pytorch:executorch-android:1.4.1@aar in quotes.
        rf"\borg\.pytorch:{_LIBRARY}(?::([^\"'@\s]*))?",
        # In parts: a name in quotes, then a comma and the version, its own argument or not, or a call of version.
        rf"[\"']{_LIBRARY}[\"']\s*(?:,\s*(?:version\s*[:=]\s*)?|\)\s*\.\s*version(?:Ref)?\s*\(\s*)((?:\(\)|[^,)\n])+)",
        # A file that the project holds.
        r"[\"'](?:[^\"']*/)?()([^\"'/]*executorch[^\"'/]*\.aar)[\"']",
    )
)
"""Library and version."""

_EXACT = re.compile(r"\d+(\.\d+)+([-+.]\w+)*")

_ASSIGNED = r"\b{name}\b[\"'\]]*\s*(?:=|,|:|by\s+extra\s*\()\s*[\"']([^\"']+)[\"']"
"""A variable of a script that gets a string."""


def pins_of(project: GradleProject, module: Module | None = None) -> tuple[Pin, ...]:
    """Every place that asks for ExecuTorch; of applications only `module`, where one is given.

    A place that names it without a version counts only where no other place says one; so does a catalog's entry that
    no script uses.
    """
    scripts = [path for path in _scripts(project, module) if path.is_file()]
    code = {path: code_of(path) for path in scripts}
    text = "\n".join((*code.values(), *_properties(project.root)))
    versions = {key: value for catalog in project.catalogs for key, value in catalog.versions.items()}
    entries = [(each.path, entry) for each in project.catalogs for entry in each.libraries]
    used = [(path, entry) for path, entry in entries if entry.used_in(text)]
    lines = [(path, *found) for path, script in code.items() for found in _named(script)]

    def pins(entries: list[tuple[Path, Entry]]) -> list[Pin]:
        named = chain(((path, entry.name, entry.version) for path, entry in entries), lines)
        return [
            Pin(where=where, library=library, said=said, version=_exact(said, text, versions))
            for where, library, said in named
            if not library or library.startswith("executorch-android")
        ]

    of_used = pins(used)
    found = of_used if any(pin.said for pin in of_used) else pins(entries)
    known = any(pin.version for pin in found)
    return tuple(dict.fromkeys(pin for pin in found if pin.said or not known))


def unused_versions(project: GradleProject) -> Iterator[str]:
    """Sentences on versions of a catalog that are called ExecuTorch's."""
    for catalog in project.catalogs:
        for key, version in catalog.versions.items():
            if key.startswith("executorch"):
                place = os.path.relpath(catalog.path, project.root)
                yield f"{place} has {key} = {version}, which no dependency that was read uses"


def _scripts(project: GradleProject, module: Module | None) -> Iterator[Path]:
    yield from (project.root / name for name in SETTINGS)
    for folder in (project.root, project.root / "gradle"):
        yield from scripts_in(folder)
    others = () if module is None else set(project.applications) - {module}
    for each in dict.fromkeys((*project.modules, *(() if module is None else (module,)))):
        if each not in others and each.folder != project.root:
            yield from scripts_in(each.folder)
    yield from project.build_logic


def _named(script: str) -> Iterator[tuple[str, str]]:
    for pattern in _NOTATIONS:
        for library, said in pattern.findall(script):
            yield library, said.strip(" \t\"'")


def _properties(root: Path) -> Iterator[str]:
    """gradle.properties, as if a script said it."""
    for line in text_of(root / "gradle.properties").splitlines():
        key, found, value = line.partition("=")
        if found and not key.lstrip().startswith(("#", "!")):
            yield f'{key.strip()} = "{value.strip()}"'


def _exact(said: str, text: str, versions: dict[str, str]) -> str | None:
    """The version that is meant: written out, of a catalog, or of a variable that gets only one value."""
    value = said.removesuffix("!!")
    if _EXACT.fullmatch(value):
        return value
    name = value.strip("${} ").removesuffix(".get()")
    _, of_catalog, key = name.partition(".versions.")
    variable = name.rpartition(".")[2]
    if of_catalog:
        found = {versions.get(accessor(key), "")}
    elif variable.isidentifier() and not name.startswith("latest."):
        found = set(re.findall(_ASSIGNED.format(name=variable), text))
    else:
        return None
    exact = [each for each in found if _EXACT.fullmatch(each)]
    return exact[0] if len(exact) == 1 else None
