"""`check --runtime`: other releases of executorch, played by wheels that need no network."""

from importlib.metadata import version

import pytest

from apps.device import runtime_release
from apps.device.remote import DeviceOptions
from apps.device.runtime_release import with_release
from quant.common.progress import NoProgress
from tests.support.artifacts import make_artifact
from tests.support.cli import call_cli, only_json
from tests.support.executorch_double import write_wheels
from tests.support.images import draw_halves


@pytest.fixture(scope="module")
def data(tmp_path_factory):
    return draw_halves(tmp_path_factory.mktemp("data"), train=1, val=1)


@pytest.fixture(scope="module")
def artifact(tmp_path_factory):
    return make_artifact(tmp_path_factory.mktemp("artifact") / "a", versions={"executorch": "1.4.1"}).folder


@pytest.fixture(scope="module")
def cache(tmp_path_factory):
    return tmp_path_factory.mktemp("cache")


@pytest.fixture(scope="module")
def wheels(tmp_path_factory):
    return write_wheels(tmp_path_factory.mktemp("index") / "wheels")


@pytest.fixture
def check(artifact, data, cache, wheels):
    def run(release, *arguments, index=wheels):
        env = {
            "XDG_CACHE_HOME": str(cache),
            "PIP_NO_INDEX": "1",
            "PIP_FIND_LINKS": str(index),
            "PIP_CONFIG_FILE": "/dev/null",
        }
        return call_cli("edge-effnet", "check", artifact, "--data", data, "--runtime", release, *arguments, env=env)

    return run


def kept(cache):
    return sorted(path.name.split("-py")[0] for path in cache.glob("edge-effnet/runtimes/*"))


def test_a_release_is_installed_once_and_gives_the_same_bits(check, cache, tmp_path):
    first = check("1.5.1", "--json")
    assert first.returncode == 0, first.stderr
    values = only_json(first.stdout)
    assert values["runtime"] == {
        "release": "1.5.1", "made_by": "1.4.1", "answer": "same-bits", "sentence": "same bits",
    }  # fmt: skip
    assert (values["device"]["runtime"], values["device"]["host"]["identical"]) == ("1.5.1", 3)
    offline = check("1.5.1", index=tmp_path)
    assert offline.returncode == 0, offline.stderr
    assert offline.stdout.endswith("Under executorch 1.5.1 (made by 1.4.1): same bits\n")
    assert "executorch-1.5.1" in kept(cache)


def test_a_release_whose_kernels_round_otherwise_passes_with_its_distance(check):
    done = check("1.6.0", "--json")
    assert done.returncode == 0, done.stdout
    said = only_json(done.stdout)["runtime"]
    assert (said["answer"], said["sentence"]) == ("same-classes", "same classes, SQNR 80.0 dB")


def test_a_release_that_refuses_a_program_fails_and_says_why(check):
    done = check("1.7.0", "--json")
    assert done.returncode == 1, done.stderr
    values = only_json(done.stdout)
    assert (values["verdict"], values["runtime"]["answer"]) == ("fail", "refuses")
    assert values["reasons"][0].startswith("refuses, because the runner fails (RuntimeError: Failed to load")


def test_the_installed_release_needs_no_other():
    options = DeviceOptions(runtime=version("executorch"))
    assert with_release(options, ("host", ""), NoProgress()) is options


def test_what_cannot_be_had_is_one_sentence_and_leaves_nothing(check, cache, tmp_path):
    def refused(*arguments, **settings):
        done = check(*arguments, **settings)
        assert done.stdout == "" and done.stderr.count("error: ") == 1, done.stderr
        return done.returncode, done.stderr.rpartition("error: ")[2]

    before = kept(cache)
    code, said = refused("9.9.9")
    assert code == 2 and "no such release of executorch for Python 3" in said and "1.6.0, 1.7.0" in said
    code, said = refused("1.5.0", index=tmp_path)
    assert code == 3 and "no package index answers" in said
    code, said = refused("1.8.0")
    assert code == 3 and "1.8.0: it does not start beside torch" in said and "undefined symbol" in said
    code, said = refused("--index-url=x")
    assert code == 2
    code, said = refused("newest")
    assert code == 2 and "--runtime newest: no release of executorch; write one as 1.5.1" in said
    code, said = refused("1.5.1", "--device", "ssh:board")
    assert code == 2 and "ssh has a runtime of its own" in said
    assert kept(cache) == before


def test_an_interrupted_installation_leaves_nothing(monkeypatch, tmp_path, wheels):
    """The wheel is unpacked already."""

    def interrupt(*_):
        assert list(tmp_path.rglob("_C.py"))
        raise KeyboardInterrupt

    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    monkeypatch.setenv("PIP_NO_INDEX", "1")
    monkeypatch.setenv("PIP_FIND_LINKS", str(wheels))
    monkeypatch.setattr(runtime_release, "_prove", interrupt)
    options = DeviceOptions(runtime="1.5.1")
    with pytest.raises(KeyboardInterrupt):
        with_release(options, ("host", ""), NoProgress())
    assert list(tmp_path.rglob("*")) == [tmp_path / "edge-effnet", tmp_path / "edge-effnet" / "runtimes"]
