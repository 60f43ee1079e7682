"""`.github`, as far as a parser gets: no runner has run these files yet, and their first lines say so."""

import re

import pytest

from tests.support.paths import ROOT

yaml = pytest.importorskip("yaml")

WORKFLOWS = sorted((ROOT / ".github/workflows").glob("*.yml"))
TEMPLATES = [path for path in sorted((ROOT / ".github/ISSUE_TEMPLATE").glob("*.yml")) if path.stem != "config"]

RUNNERS = {"ubuntu-24.04", "macos-15"}
JOB_KEYS = {
    *("strategy", "runs-on", "timeout-minutes", "steps", "needs", "if", "permissions", "environment", "defaults")
}
STEP_KEYS = {"uses", "with", "run", "name", "id", "if", "env", "working-directory"}


def load(path):
    values = yaml.safe_load(path.read_text())
    # YAML 1.1 takes `on` for true.
    return {("on" if key is True else key): value for key, value in values.items()}


def jobs():
    return [(path, name, job) for path in WORKFLOWS for name, job in load(path)["jobs"].items()]


@pytest.mark.parametrize("path", WORKFLOWS, ids=lambda path: path.stem)
def test_a_workflow_may_only_read_and_says_that_it_never_ran(path):
    assert path.read_text().startswith("# Never run yet")
    found = load(path)
    assert set(found) <= {"name", "on", "permissions", "concurrency", "jobs"}
    assert found["permissions"] == {"contents": "read"}
    assert set(found["on"]) == {"push", "pull_request"}


@pytest.mark.parametrize(("path", "name", "job"), jobs(), ids=lambda value: value if isinstance(value, str) else "")
def test_every_job_is_whole(path, name, job):
    assert set(job) <= JOB_KEYS and job["runs-on"] in RUNNERS and job["timeout-minutes"] <= 90
    assert job.get("needs", name) in load(path)["jobs"]
    matrix = job.get("strategy", {}).get("matrix", {})
    assert set(re.findall(r"\$\{\{ matrix\.(\w+) \}\}", str(job))) == set(matrix)
    folder = ROOT / job.get("defaults", {}).get("run", {}).get("working-directory", ".")
    for step in job["steps"]:
        assert set(step) <= STEP_KEYS and ("uses" in step) != ("run" in step)
        for script in re.findall(r"(?<!\S)\./\S+", step.get("run", "")):
            assert (folder / script).is_file()
        for pattern in re.findall(r"cache-dependency-path: (\S+)", str(step)):
            assert (ROOT / pattern).exists()


@pytest.mark.parametrize("path", WORKFLOWS, ids=lambda path: path.stem)
def test_actions_are_pinned_by_commit_with_the_release_beside_it(path):
    """A tag can be moved to other code."""
    pinned = re.compile(r"[\w.-]+/[\w./-]+@[0-9a-f]{40} # v\d+\.\d+\.\d+")
    used = re.findall(r"\buses: (.*)", path.read_text())
    assert used and not [words for words in used if not pinned.fullmatch(words)]


def test_python_is_tested_from_the_oldest_to_the_newest_that_is_allowed():
    matrix = load(ROOT / ".github/workflows/tests.yml")["jobs"]["linux"]["strategy"]["matrix"]
    assert matrix == {"python": ["3.11", "3.12", "3.13"]}
    assert 'requires-python = ">=3.11,<3.14"' in (ROOT / "pyproject.toml").read_text()


def test_the_apps_are_built_without_signing_and_linted():
    text = (ROOT / ".github/workflows/apps.yml").read_text()
    assert text.index("assembleDebug lint") < text.index("edge-effnet doctor --project .")
    for words in ("assembleDebug lint", "CODE_SIGNING_ALLOWED=NO", "swift test --package-path EdgeEffNetCore"):
        assert words in text


@pytest.mark.parametrize("path", TEMPLATES, ids=lambda path: path.stem)
def test_issue_templates_ask_for_what_is_needed(path):
    found = load(path)
    assert {"name", "description", "body"} == set(found)
    for field in found["body"]:
        assert field["type"] in {"textarea", "input"} and field["attributes"]["label"]
    assert len({field["id"] for field in found["body"]}) == len(found["body"])
