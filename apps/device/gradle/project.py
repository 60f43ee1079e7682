"""The modules of a Gradle project, and which of them becomes the app."""

from __future__ import annotations

import re
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

from apps.device.gradle.catalog import Catalog, accessor, read_catalog
from apps.device.gradle.script import SETTINGS, code_of, scripts_in
from edge_effnet.errors import InputError
from edge_effnet.io.text import listed_names

_APPLICATION = "com.android.application"

_INCLUDE = re.compile(r"\binclude\b\s*\(?((?:\s*[\"'][^\"']+[\"']\s*,?)+)")
_QUOTED = re.compile(r"[\"']([^\"']+)[\"']")
_FOLDER = re.compile(r"\bproject\(\s*[\"']([^\"']+)[\"']\s*\)\s*\.projectDir\s*=[^\n\"']*[\"']([^\"']+)[\"']")
_CATALOG = re.compile(r"\bfrom\(\s*[\w.]*\bfiles\(\s*[\"']([^\"']+)[\"']")
_BUILD = re.compile(r"\bincludeBuild\b\s*\(?\s*[\"']([^\"']+)[\"']")

_NOT_APPLIED = re.compile(r"\bapply\b\s*\(?\s*false\b")
_PLUGIN = re.compile(r"\b(?:id|plugin|apply)\b\s*[(:=]*\s*[\"']([\w.-]+)[\"']")
_ALIAS = re.compile(r"\.plugins\.([\w.]+)")
_CONVENTION = re.compile(r"android\W?app(?:lication)?(?![a-z])", re.IGNORECASE)
"""Names of plugins of one's own that apply `com.android.application`."""
_APPLICATION_ID = re.compile(r"(?:^|[{;])\s*applicationId\b", re.MULTILINE)
"""Only applications may have one."""

_NO_MODULES = frozenset({"build", "buildSrc", "node_modules"})
_DEPTH = 3
"""Folders below the root where a module is looked for that settings do not name in so many words."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Module:
    """A folder with a build script."""

    path: str
    """Gradle's name: `:mobile:app`; ":" for the root."""
    folder: Path


@dataclass(frozen=True, kw_only=True)
class GradleProject:
    """A project as its settings describe it."""

    root: Path

    @cached_property
    def settings(self) -> str:
        """The settings scripts without comments."""
        return "\n".join(code_of(self.root / name) for name in SETTINGS)

    @cached_property
    def catalogs(self) -> tuple[Catalog, ...]:
        """Version catalogs: where Gradle looks for them, and those that settings name."""
        named = [self.root / name for name in _CATALOG.findall(self.settings)]
        return tuple(map(read_catalog, dict.fromkeys([*sorted(self.root.glob("gradle/*.versions.toml")), *named])))

    @cached_property
    def modules(self) -> tuple[Module, ...]:
        """Those that settings name, with a build script; where none of them is an application, any below the root."""
        root = Module(path=":", folder=self.root)
        named = [each for each in (root, *self._included()) if scripts_in(each.folder)]
        if any(map(self.is_application, named)):
            return tuple(named)
        known = {each.folder.resolve() for each in named}
        return (*named, *(each for each in self._below() if each.folder.resolve() not in known))

    @cached_property
    def applications(self) -> tuple[Module, ...]:
        """Modules that become an app."""
        return tuple(filter(self.is_application, self.modules))

    @cached_property
    def build_logic(self) -> tuple[Path, ...]:
        """Sources of plugins and constants that build scripts use."""
        folders = [self.root / name for name in ("buildSrc", *_BUILD.findall(self.settings))]
        kinds = {".gradle", ".kts", ".kt", ".groovy", ".java"}
        patterns = ("src/main/**/*", "*/src/main/**/*")
        found = (path for folder in folders for pattern in patterns for path in sorted(folder.glob(pattern)))
        return tuple(path for path in found if path.suffix in kinds and path.is_file())

    def is_application(self, module: Module) -> bool:
        """Whether a module's script applies Android's plugin for applications, itself or by another plugin."""
        scripts = [code_of(path) for path in scripts_in(module.folder)]
        return any(
            _APPLICATION_ID.search(text)
            or any(each in self._conventions or _CONVENTION.search(each) for each in self._plugins(text))
            for text in scripts
        )

    def find(self, name: str) -> Module:
        """Look a module up by Gradle's name or its folder.

        Raises:
            InputError: no such one; the message lists the choices.
        """
        bare = name.strip(":/").replace("/", ":")
        named = next((each for each in self.modules if each.path == f":{bare}"), None)
        found = named or self.module_in(self.root / bare.replace(":", "/"))
        if found is None:
            choices = f"choose one of {self._listed(self.modules)}" if self.modules else "it has none"
            raise InputError(f"--module {name}: no such module in {self.root}; {choices}.")
        return found

    def module_in(self, folder: Path) -> Module | None:
        """The module of a folder, if it has a build script."""
        place = folder.resolve()
        known = next((each for each in self.modules if each.folder.resolve() == place), None)
        if known is not None or not scripts_in(folder):
            return known
        return self._at(folder)

    def application(self) -> Module:
        """The one module that becomes the app.

        Raises:
            InputError: there is none, or more than one.
        """
        if len(self.applications) == 1:
            return self.applications[0]
        if self.applications:
            listed = self._listed(self.applications)
            raise InputError(f"{self.root}: several modules become an app ({listed}); choose one: --module NAME.")
        if not self.modules:
            raise InputError(f"{self.root}: no module with a build script there; --project takes the app's project.")
        raise InputError(
            f"{self.root}: of its modules ({self._listed(self.modules)}) none is known to become an app; say which "
            "one gets the model: --module NAME."
        )

    @staticmethod
    def _listed(modules: tuple[Module, ...]) -> str:
        return listed_names([each.path for each in modules if each.path != ":"] or [each.path for each in modules])

    def _included(self) -> list[Module]:
        names = [name for group in _INCLUDE.findall(self.settings) for name in _QUOTED.findall(group)]
        folders = {_path(name): folder for name, folder in _FOLDER.findall(self.settings)}
        paths = dict.fromkeys(map(_path, names))
        return [Module(path=each, folder=self.root / folders.get(each, each[1:].replace(":", "/"))) for each in paths]

    def _below(self) -> list[Module]:
        """Folders below the root with a build script, but for builds of their own."""
        patterns = [f"{'*/' * depth}build.gradle{end}" for depth in range(1, _DEPTH + 1) for end in ("", ".kts")]
        found = (path for pattern in patterns for path in sorted(self.root.glob(pattern)))
        folders = dict.fromkeys(path.parent for path in found if path.is_file())
        return [self._at(folder) for folder in folders if not self._is_foreign(folder)]

    def _is_foreign(self, folder: Path) -> bool:
        """Whether a folder below the root is no part of this build."""
        parts = _parts(folder, self.root)
        builds = (folder, *folder.parents[: len(parts) - 1])
        return bool(_NO_MODULES & set(parts)) or any(map(_has_settings, builds))

    def _at(self, folder: Path) -> Module:
        return Module(path=f":{':'.join(_parts(folder, self.root))}", folder=folder)

    @cached_property
    def _conventions(self) -> frozenset[str]:
        """Android's plugin for applications, and those of the build's own scripts that apply it."""
        scripts = {path.name.partition(".gradle")[0]: path for path in self.build_logic if ".gradle" in path.name}
        return frozenset(
            {_APPLICATION, *(name for name, path in scripts.items() if _APPLICATION in self._plugins(code_of(path)))}
        )

    def _plugins(self, text: str) -> set[str]:
        """Ids of the plugins that a script applies; of an alias that no catalog has, the alias."""
        applied = "\n".join(line for line in text.splitlines() if not _NOT_APPLIED.search(line))
        aliases = (alias.partition(".get")[0] for alias in _ALIAS.findall(applied))
        known = {key: name for catalog in self.catalogs for key, name in catalog.plugins.items()}
        return {*_PLUGIN.findall(applied), *(known.get(accessor(alias), alias) for alias in aliases)}


def project_root(folder: Path) -> Path:
    """The folder with the settings: this one or, as Gradle looks for it, the nearest above; without any, this one."""
    if _has_settings(folder):
        return folder
    above = (*folder.parents, *folder.resolve().parents)
    return next((each for each in above if _has_settings(each)), folder)


def _has_settings(folder: Path) -> bool:
    return any((folder / name).is_file() for name in SETTINGS)


def _path(name: str) -> str:
    return f":{name.strip(':')}"


def _parts(folder: Path, root: Path) -> tuple[str, ...]:
    """Names from the root down to a folder; of one elsewhere, of its whole path."""
    place, top = folder.resolve(), root.resolve()
    return place.relative_to(top).parts if place.is_relative_to(top) else place.parts
