"""A Kotlin compiler and the libraries of apps/android's tests, where this machine has them."""

from __future__ import annotations

import importlib.metadata
import os
import re
import shutil
import subprocess
import tomllib
from dataclasses import dataclass
from pathlib import Path
from xml.etree import ElementTree

ANDROID = Path(__file__).parents[2] / "apps" / "android"
BUILDS = ("main", "debug")
"""Folders of the app's sources: those of every build, and what a debug build adds."""

DEBIAN_JARS = tuple(Path("/usr/share/java") / name for name in ("json-android.jar", "junit4.jar", "hamcrest.jar"))
INSTALL = (
    "install it with: apt-get install openjdk-17-jre-headless junit4 libhamcrest-java libandroid-json-org-java; "
    "pip install --no-deps kotlin-jupyter-kernel"
)


class MissingError(Exception):
    """Something is not installed; the message says what, and how to install it."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Kotlin:
    """A compiler for the JVM."""

    compiler: tuple[Path, ...]
    """The compiler's own jars: those of Jupyter's Kotlin kernel, the one package that brings them along."""
    libraries: tuple[Path, ...]
    """Kotlin's standard library, coroutines, Android's org.json, JUnit."""

    @classmethod
    def find(cls) -> Kotlin:
        """Raises `MissingError` where a part is not there."""
        if shutil.which("java") is None:
            raise MissingError(f"no Java here; {INSTALL}")
        try:
            files = importlib.metadata.files("kotlin-jupyter-kernel") or []
        except importlib.metadata.PackageNotFoundError as error:
            raise MissingError(f"no Kotlin compiler here; {INSTALL}") from error
        jars = tuple(Path(str(file.locate())) for file in files if file.suffix == ".jar")
        absent = [jar.name for jar in DEBIAN_JARS if not jar.exists()]
        if absent:
            raise MissingError(f"no {', '.join(absent)} here; {INSTALL}")
        standard = tuple(jar for jar in jars if jar.name.startswith("kotlin-stdlib-"))
        coroutines = tuple(jar for jar in jars if jar.name.endswith("-all.jar"))
        return cls(compiler=jars, libraries=(*standard, *DEBIAN_JARS, *coroutines))

    def compile(
        self, target: Path, *sources: Path, classes: tuple[Path, ...] = ()
    ) -> subprocess.CompletedProcess[str]:
        """Compile folders of Kotlin (which may refer to Java sources among them) to `target`."""
        catalog = tomllib.loads((ANDROID / "gradle/libs.versions.toml").read_text())
        language = ".".join(catalog["versions"]["kotlin"].split(".")[:2])
        options = ("-no-stdlib", "-no-reflect", "-jvm-target", "17", "-language-version", language, "-Werror")
        path = _path((*classes, *self.libraries))
        return _java(
            *("-Xmx1500m", "-cp", _path(self.compiler), "org.jetbrains.kotlin.cli.jvm.K2JVMCompiler"),
            *(*options, "-classpath", path, "-d", str(target), *map(str, sources)),
        )

    def junit(self, classes: Path, tests: list[str], **properties: Path) -> subprocess.CompletedProcess[str]:
        """Run JUnit 4 test classes."""
        return _java(
            *(f"-D{key}={value}" for key, value in properties.items()),
            *("-cp", _path((classes, *self.libraries)), "org.junit.runner.JUnitCore", *tests),
        )


def _path(entries: tuple[Path, ...]) -> str:
    return os.pathsep.join(map(str, entries))


def _java(*arguments: str) -> subprocess.CompletedProcess[str]:
    # The quick compiler only: none of these processes lives long enough for the thorough one to pay.
    command = ("java", "-XX:TieredStopAtLevel=1", "-XX:+UseSerialGC", *arguments)
    return subprocess.run(command, capture_output=True, text=True, check=False, timeout=900)


def write_android_api(folder: Path) -> None:
    """Write the declarations of `android_api.txt`, and what the Android build generates: R, BuildConfig."""
    text = (Path(__file__).parent / "android_api.txt").read_text()
    for number, block in enumerate(re.split(r"^(?=package )", text, flags=re.MULTILINE)[1:]):
        package = re.match(r"package ([\w.]+)", block)
        assert package
        place = folder / package[1].replace(".", "/")
        place.mkdir(parents=True, exist_ok=True)
        kotlin = re.search(r"^(suspend )?(fun|val) ", block, re.MULTILINE)
        java = re.search(r"^public .*?\b(?:class|interface|enum) (\w+)", block, re.MULTILINE)
        name = f"declarations{number}.kt" if kotlin else f"{java[1] if java else number}.java"
        (place / name).write_text(block)
    (folder / "generated.kt").write_text(_generated())


def _generated() -> str:
    groups = "\n".join(
        f"    object {kind} {{ {'; '.join(f'const val {name} = 0' for name in sorted(names))} }}"
        for kind, names in resources().items()
    )
    config = 'object BuildConfig { val DEBUG = true; const val EXECUTORCH_VERSION = "" }'
    return f"package org.edgeeffnet.app\nobject R {{\n{groups}\n}}\n{config}\n"


def resources() -> dict[str, set[str]]:
    """Names by kind (id, layout, string), as R of a debug build has them."""
    files = [file for build in BUILDS for file in (ANDROID / "app/src" / build / "res").rglob("*.xml")]
    strings = [
        element for file in files if file.name == "strings.xml" for element in ElementTree.parse(file).getroot()
    ]
    return {
        "id": {found for file in files for found in re.findall(r"@\+id/(\w+)", file.read_text())},
        "string": {each.attrib["name"] for each in strings},
        "layout": {file.stem for file in files if file.parent.name == "layout"},
    }
