"""Anybody's Gradle project: the module that gets the model, and the ExecuTorch that it links."""

import pytest

from apps.cli import edge_effnet
from apps.cli.exit_codes import guarded
from apps.device.deploy import deploy
from edge_effnet.errors import InputError
from tests.support.artifacts import make_artifact

C = "org.pytorch:executorch-android"
APPLICATION = 'plugins { id("com.android.application") }\n'
LINE = f'dependencies {{ implementation("{C}:1.4.1") }}\n'
SETTINGS = {"settings.gradle.kts": 'include(":app")\n'}
CATALOG = "gradle/libs.versions.toml"


@pytest.fixture
def artifact(tmp_path):
    return make_artifact(tmp_path / "b0-int8-xnnpack").folder


def project_of(folder, files):
    folder.mkdir()
    for name, text in files.items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(text if isinstance(text, bytes) else text.encode())
    return folder


def of_app(text):
    """A project whose application's script holds this text."""
    return {**SETTINGS, "app/build.gradle.kts": APPLICATION + text}


def refusal(artifact, project, **settings):
    """What a project is refused for; nothing may be left in it."""
    before = sorted(project.rglob("*"))
    with pytest.raises(InputError) as caught:
        deploy(artifact, app="android", project=project, **settings)
    assert sorted(project.rglob("*")) == before
    return str(caught.value)


MODULES = {
    "nested": (
        {"settings.gradle": "include ':core',\n    ':mobile:app'\n", "mobile/app/build.gradle": APPLICATION},
        ":mobile:app",
    ),
    "in a folder of another name": (
        {
            "settings.gradle": "include ':app'\nproject(':app').projectDir = new File(rootDir, 'android-app')\n",
            "android-app/build.gradle": "apply plugin: 'com.android.application'\n",
        },
        ":app",
    ),
    "beside a library named app": (
        {
            "settings.gradle.kts": 'include(":app", ":mobile")\n',
            "app/build.gradle.kts": 'plugins { id("com.android.library") }\n',
            "mobile/build.gradle.kts": APPLICATION,
        },
        ":mobile",
    ),
    "of an alias": (
        {
            "settings.gradle.kts": 'include(":phone", ":core")\n',
            "build.gradle.kts": "plugins { alias(libs.plugins.some.app) apply false }\n",
            CATALOG: '[plugins]\nsome-app = { id = "com.android.application", version = "8" }\n'
            'lib = "com.android.library:8"\n',
            "phone/build.gradle.kts": "plugins {\n    alias(libs.plugins.some.app)\n}\n",
            "core/build.gradle.kts": "plugins { alias(libs.plugins.lib) }\n",
        },
        ":phone",
    ),
    "of a convention plugin by name": (
        {
            "settings.gradle.kts": 'include(":phone", ":core")\n',
            "phone/build.gradle.kts": 'plugins { id("ours.android-application") }\n',
            "core/build.gradle.kts": 'plugins { id("ours.android-library") }\n',
        },
        ":phone",
    ),
    "of a convention plugin by its script": (
        {
            "settings.gradle.kts": 'pluginManagement { includeBuild("build-logic") }\ninclude(":phone", ":core")\n',
            "build-logic/convention/src/main/kotlin/ours.shippable.gradle.kts": APPLICATION,
            "phone/build.gradle.kts": 'plugins { id("ours.shippable") }\n',
            "core/build.gradle.kts": 'plugins { id("ours.shared") }\n',
        },
        ":phone",
    ),
    "with an application id": (
        {
            "settings.gradle.kts": 'include(":phone", ":core")\n',
            "phone/build.gradle.kts": 'plugins { id("ours.one") }\ndefaultConfig {\n    applicationId = "a.b"\n}\n',
            "core/build.gradle.kts": 'plugins { id("ours.two") }\n',
        },
        ":phone",
    ),
    "included by a loop": (
        {"settings.gradle": "['app', 'core'].each { include \":$it\" }\n", "app/build.gradle": APPLICATION},
        ":app",
    ),
    "without a comment that says so": (
        {
            "settings.gradle.kts": 'include(":phone", ":core")\n',
            "phone/build.gradle.kts": APPLICATION,
            "core/build.gradle.kts": f"/* {APPLICATION} */\n",
        },
        ":phone",
    ),
}
FOLDERS = {"in a folder of another name": "android-app"}


@pytest.mark.parametrize("case", MODULES)
def test_the_application_gets_the_model_and_the_next_step_builds_it(case, artifact, tmp_path):
    files, path = MODULES[case]
    project = project_of(tmp_path / "theirs", files)
    done = deploy(artifact, app="android", project=project)
    folder = project / FOLDERS.get(case, path.strip(":").replace(":", "/"))
    assert done.folder == folder / "src/main/assets/model" and (done.folder / "model.pte").is_file()
    assert f"cd {project} && ./gradlew {path}:installDebug" in done.next_step


@pytest.mark.parametrize("name", ["settings.gradle.kts", "nothing.txt"])
def test_a_project_of_one_module_has_it_in_its_root(name, artifact, tmp_path):
    project = project_of(
        tmp_path / "theirs", {name: 'rootProject.name = "x"\n', "build.gradle.kts": APPLICATION + LINE}
    )
    done = deploy(artifact, app="android", project=project)
    assert done.folder == project / "src/main/assets/model"
    assert "./gradlew installDebug" in done.next_step


@pytest.mark.parametrize("plugin", ["com.android.application", "com.android.library"])
def test_a_module_may_be_given_as_the_project(plugin, artifact, tmp_path):
    files = {
        "settings.gradle": "include ':mobile:app'\n",
        "mobile/app/build.gradle": f"plugins {{ id '{plugin}' }}\n",
    }
    project = project_of(tmp_path / "theirs", {**files, CATALOG: f'[libraries]\na = "{C}:1.4.1"\n'})
    done = deploy(artifact, app="android", project=project / "mobile/app")
    assert done.folder == project / "mobile/app/src/main/assets/model"
    task = "installDebug" if plugin.endswith("application") else "assembleDebug"
    assert f"cd {project} && ./gradlew :mobile:app:{task}" in done.next_step
    assert not any("Not checked" in note for note in done.notes)


TWO = {
    "settings.gradle.kts": 'include(":phone", ":wear")',
    "phone/build.gradle.kts": APPLICATION,
    "wear/build.gradle.kts": APPLICATION,
}


def test_of_two_applications_one_has_to_be_named(artifact, tmp_path):
    project = project_of(tmp_path / "theirs", {**TWO, "phone/build.gradle.kts": APPLICATION + LINE.replace("4", "3")})
    said = refusal(artifact, project)
    assert ":phone" in said and ":wear" in said and "--module" in said
    assert "no such module" in refusal(artifact, project, module="watch")
    # What another application links is its own matter.
    for name in ("wear", ":wear"):
        assert deploy(artifact, app="android", project=project, module=name).folder.parents[3] == project / "wear"
    words = ["deploy", str(artifact), "--app", "android", "--project", str(project), "--module", "wear"]
    assert guarded(lambda: edge_effnet.app(words, standalone_mode=False)) == 0


@pytest.mark.parametrize(
    ("files", "listed"),
    [
        (
            {"settings.gradle": "include ':core'\n", "core/build.gradle": "plugins { id 'com.android.library' }\n"},
            ":core",
        ),
        (
            {
                "settings.gradle": "include ':app'\n",
                "build.gradle": "plugins { id 'com.android.application' apply false }\n",
            },
            "",
        ),
        ({CATALOG: f'[libraries]\na = "{C}:1.4.1"\n'}, ""),
    ],
)
def test_a_project_without_an_application_is_refused(files, listed, artifact, tmp_path):
    project = project_of(tmp_path / "theirs", files)
    said = refusal(artifact, project)
    assert listed in said and ("--module" in said or "--project" in said)


def test_a_folder_that_is_not_there_is_said_to_be_missing(artifact, tmp_path):
    with pytest.raises(InputError, match=r"nowhere: no such folder"):
        deploy(artifact, app="android", project=tmp_path / "nowhere")


def test_an_xcode_project_has_no_modules(artifact, tmp_path):
    project = project_of(tmp_path / "theirs", {"Package.swift": ""})
    with pytest.raises(InputError, match="--module"):
        deploy(artifact, app="ios", project=project, module="app")


PINNED = {
    "a catalog with a byte-order mark": {CATALOG: f'\ufeff[libraries]\na = "{C}:1.3.0"\n'},
    "a catalog in Latin-1": {CATALOG: f'# M\xfcller\n[libraries]\na = "{C}:1.3.0"\n'.encode("latin-1")},
    "a script in Latin-1": {
        "app/build.gradle": f"{APPLICATION}// M\xfcller\nimplementation '{C}:1.3.0'".encode("latin-1")
    },
    "a catalog that settings name": {
        "settings.gradle.kts": 'include(":app")\ncreate("deps") { from(files("config/deps.toml")) }\n',
        "config/deps.toml": f'[libraries]\na = "{C}:1.3.0"\n',
    },
    "a catalog in settings": {"settings.gradle.kts": f'include(":app")\nlibrary("et", "{C}:1.3.0")\n'},
    "a catalog in settings by parts": {
        "settings.gradle.kts": 'include(":app")\nversion("et", "1.3.0")\n'
        'library("x", "org.pytorch", "executorch-android").versionRef("et")\n'
    },
    "Groovy's map": {
        "app/build.gradle": APPLICATION
        + "implementation group: 'org.pytorch', name: 'executorch-android', version: '1.3.0'\n"
    },
    "Groovy's map over lines": {
        "app/build.gradle": APPLICATION
        + "implementation(group: 'org.pytorch',\n    name: 'executorch-android',\n    version: '1.3.0')\n"
    },
    "Kotlin's named arguments": {
        "app/build.gradle.kts": APPLICATION
        + 'implementation(group = "org.pytorch", name = "executorch-android", version = "1.3.0")\n'
    },
    "Kotlin's arguments": {
        "app/build.gradle.kts": APPLICATION + 'implementation("org.pytorch", "executorch-android", "1.3.0")\n'
    },
    "strictly by marks": of_app(f'implementation("{C}:1.3.0!!")\n'),
    "a version of the catalog": {
        **of_app(f'implementation("{C}:${{libs.versions.et.get()}}")\n'),
        CATALOG: '[versions]\net = "1.3.0"\n',
    },
    "a variable of the root": {
        "build.gradle": "ext {\n    executorchVersion = '1.3.0'\n}\n",
        "app/build.gradle": APPLICATION + f'implementation "{C}:$executorchVersion"\n',
    },
    "a variable of Kotlin": of_app(f'val et by extra("1.3.0")\nimplementation("{C}:${{et}}")\n'),
    "gradle.properties": {
        "gradle.properties": "executorchVersion=1.3.0\n",
        "app/build.gradle": APPLICATION + f'implementation "{C}:${{rootProject.executorchVersion}}"\n',
    },
    "buildSrc": {
        **of_app("implementation(Deps.et)\n"),
        "buildSrc/src/main/kotlin/Deps.kt": f'object Deps {{ const val et = "{C}:1.3.0" }}\n',
    },
    "a script of another module": {
        "settings.gradle": "include ':app', ':features:ml'\n",
        "features/ml/build.gradle": f"implementation '{C}:1.3.0'\n",
    },
    "a script beside a catalog that agrees": {
        **of_app(f'implementation("{C}:1.3.0")\n'),
        CATALOG: f'[libraries]\na = "{C}:1.4.1"\n',
    },
    "a script beside a version that nothing uses": {
        **of_app(f'implementation("{C}:1.3.0")\n'),
        CATALOG: '[versions]\nexecutorch = "1.4.1"\n',
    },
    "an entry of a catalog beside one that nothing uses": {
        **of_app("implementation(libs.pytorch.executorch)\n"),
        CATALOG: f'[libraries]\npytorch-executorch = "{C}:1.3.0"\nother = "{C}:1.4.1"\n',
    },
    "a bundle": {
        **of_app(f"implementation(libs.bundles.ml)\n{LINE}"),
        CATALOG: f'[libraries]\npytorch-executorch = "{C}:1.3.0"\n[bundles]\nml = ["pytorch-executorch"]\n',
    },
    "an entry that a plugin of one's own looks up": {
        **of_app(LINE),
        "buildSrc/src/main/kotlin/Ml.kt": 'add("implementation", libs.findLibrary("et").get())\n',
        CATALOG: f'[libraries]\net = "{C}:1.3.0"\n',
    },
    "an entry that nothing uses, beside nothing else": {**of_app(""), CATALOG: f'[libraries]\net = "{C}:1.3.0"\n'},
    "a line behind one that is commented out": of_app(
        f'// implementation("{C}:1.4.1")\n/* "{C}:1.4.1" */\nimplementation("{C}:1.3.0")\n'
    ),
}


@pytest.mark.parametrize("case", PINNED)
def test_another_release_is_found_wherever_it_is_said(case, artifact, tmp_path):
    project = project_of(tmp_path / "theirs", {**SETTINGS, "app/build.gradle.kts": APPLICATION, **PINNED[case]})
    if "app/build.gradle" in PINNED[case]:
        (project / "app/build.gradle.kts").unlink()
    assert "pins ExecuTorch 1.3.0, the artifact was made by 1.4.1" in refusal(artifact, project)


@pytest.mark.parametrize(
    "files",
    [
        {**of_app(LINE), CATALOG: '[versions]\nexecutorch = "1.3.0"\n'},
        {**of_app(LINE), CATALOG: f'#[libraries]\n#a = "{C}:1.3.0"\n'},
        {**of_app(LINE), CATALOG: f'[libraries]\nexecutorch = "{C}:1.3.0"\n'},
        {
            **of_app("implementation(libs.pytorch)\nval code = libs.versions.et.get()\n"),
            CATALOG: f'[versions]\net = "1.4.1"\n[libraries]\net = "{C}:1.3.0"\npytorch = "{C}:1.4.1"\n',
        },
        of_app(f'// implementation("{C}:1.3.0")\n{LINE}val link = "https://x" // "{C}:1.3.0"\n'),
    ],
)
def test_what_links_nothing_is_no_pin(files, artifact, tmp_path):
    done = deploy(artifact, app="android", project=project_of(tmp_path / "theirs", files))
    assert not any("Not checked" in note for note in done.notes)


UNRESOLVED = {
    "a variable": (
        f'implementation("{C}:$executorchVersion")',
        "app/build.gradle.kts names it as $executorchVersion",
    ),
    "a range": (f'implementation("{C}:1.+")', "app/build.gradle.kts names it as 1.+"),
    "a range of three": (f'implementation("{C}:1.4.+")', "app/build.gradle.kts names it as 1.4.+"),
    "the latest": (f'val release = "1.3.0"\nimplementation("{C}:latest.release")', "names it as latest.release"),
    "no version": (f'implementation("{C}")', "app/build.gradle.kts names executorch-android without a version"),
    "a file": ('implementation(files("libs/executorch.aar"))', "app/build.gradle.kts names it as executorch.aar"),
    "two values": (f'val et = "1.4.1"\nval et = "1.3.0"\nimplementation("{C}:$et")', "names it as $et"),
}


@pytest.mark.parametrize("case", UNRESOLVED)
def test_what_cannot_be_resolved_is_said_as_it_is_written(case, artifact, tmp_path):
    text, said = UNRESOLVED[case]
    project = project_of(tmp_path / "theirs", of_app(text))
    (note,) = (note for note in deploy(artifact, app="android", project=project).notes if "Not checked" in note)
    assert note.startswith("Not checked: which ExecuTorch the project links: ") and said in note


@pytest.mark.parametrize(
    ("script", "elsewhere"),
    [
        ("android { sourceSets { main { assets.srcDirs = ['assets'] } } }", True),
        ('android { sourceSets["main"].assets.setSrcDirs(listOf("assets")) }', True),
        ('android { sourceSets { named("main") { assets { setSrcDirs(listOf("assets")) } } } }', True),
        ("android { sourceSets { main { assets.srcDirs = [\n'assets', 'src/main/assets'] } } }", False),
        ('android { sourceSets { main { assets.srcDirs("assets") } } }', False),
        ('android { sourceSets { getByName("androidTest").assets.srcDirs += files("$projectDir/schemas") } }', False),
        ("// assets.srcDirs = ['assets']", False),
    ],
)
def test_other_folders_for_assets_are_said(script, elsewhere, artifact, tmp_path):
    project = project_of(tmp_path / "theirs", of_app(f"{LINE}{script}\n"))
    said = "app/build.gradle.kts sets assets.srcDirs: if these are the app's own, add 'src/main/assets', where the"
    notes = deploy(artifact, app="android", project=project).notes
    assert any(note.startswith(said) for note in notes) == elsewhere


def test_a_version_that_nothing_uses_is_said(artifact, tmp_path):
    files = {**of_app(""), CATALOG: '[versions]\nexecutorch = "1.3.0"\n'}
    done = deploy(artifact, app="android", project=project_of(tmp_path / "theirs", files))
    assert "libs.versions.toml has executorch = 1.3.0, which no dependency that was read uses" in done.notes[0]


ODD = {
    "a library that is a number": "[libraries]\nx = 1\n",
    "a library that is a list": '[libraries]\nx = ["a"]\n',
    "libraries that are a list": "libraries = [1]\n",
    "versions that are a list": f'versions = [1]\n[libraries]\nx = {{ module = "{C}", version.ref = "a" }}\n',
    "a version that is a list": f'[libraries]\nx = {{ module = "{C}", version = [1] }}\n',
    "a reference that is a list": f'[libraries]\nx = {{ module = "{C}", version.ref = ["a"] }}\n',
    "a reference that is a table": f'[libraries]\nx = {{ module = "{C}", version = {{ ref = {{ a = 1 }} }} }}\n',
    "a reference to a table": f'[versions]\na.ref.b = 1\n[libraries]\nx = {{ module = "{C}", version.ref = "a" }}\n',
    "a module that is a list": '[libraries]\nx = { module = ["a"], version = "1" }\n',
    "plugins that are a list": "plugins = [1]\n",
    "a plugin that is a number": "[plugins]\nx = 1\n",
    "a plugin whose id is a list": '[plugins]\nx = { id = ["a"], version = "1" }\n',
    "the same key twice": '[versions]\na = "1"\na = "1"\n',
}


@pytest.mark.parametrize("case", ODD)
def test_a_catalog_of_odd_types_is_no_crash(case, artifact, tmp_path):
    files = {**of_app("plugins { alias(libs.plugins.x) }\n"), CATALOG: ODD[case]}
    done = deploy(artifact, app="android", project=project_of(tmp_path / "theirs", files))
    assert done.notes[0].startswith("Not checked: which ExecuTorch the project links")


@pytest.mark.parametrize("backend", ["vulkan", "qnn"])
def test_remedies_name_the_library_of_the_programs_backend(backend, tmp_path):
    artifact = make_artifact(tmp_path / "a", backend=backend).folder
    wanted = f"org.pytorch:executorch-android-{backend}:1.4.1"
    assert wanted in refusal(artifact, project_of(tmp_path / "plain", of_app(LINE)))
    older = LINE.replace("android:1.4.1", f"android-{backend}:1.3.0")
    assert wanted in refusal(artifact, project_of(tmp_path / "older", of_app(older)))
    done = deploy(artifact, app="android", project=project_of(tmp_path / "silent", of_app("")))
    assert wanted in done.notes[0]


def test_a_library_that_also_runs_the_program_stays(artifact, tmp_path):
    project = project_of(tmp_path / "theirs", of_app(LINE.replace("android:1.4.1", "android-vulkan:1.3.0")))
    assert "org.pytorch:executorch-android-vulkan:1.4.1" in refusal(artifact, project)
