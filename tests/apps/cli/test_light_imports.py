"""What is wrong with a command is said before ExecuTorch and torchao, seconds of imports, are loaded."""

import subprocess
import sys

import pytest

from apps.doctor import _BACKENDS_OF_RUNTIME
from tests.support.paths import ROOT

_RUN = """
import sys
sys.argv = sys.argv[1:]
try:
    if sys.argv[0] == "quantize":
        from apps.cli.commands.quantize import main
    else:
        from apps.cli.edge_effnet import main
    main()
finally:
    print(*sorted({name.split(".")[0] for name in sys.modules}), file=sys.stderr)
"""


def modules_of(*words: str) -> tuple[int, set[str]]:
    done = subprocess.run(
        [sys.executable, "-P", "-c", _RUN, *words], check=False, capture_output=True, text=True, cwd=ROOT
    )
    return done.returncode, set(done.stderr.splitlines()[-1].split())


@pytest.mark.parametrize(
    "command", [("quantize", "--help"), ("edge-effnet", "--help"), ("edge-effnet", "check", "--help")]
)
def test_help_needs_no_torch(command):
    code, modules = modules_of(*command)
    assert code == 0 and not modules & {"torch", "executorch", "matplotlib"}


def test_doctor_imports_nothing_heavy(tmp_path):
    """It asks the runtime in a process of its own, which takes torch and no exporter along."""
    code, modules = modules_of("edge-effnet", "doctor")
    assert code == 0 and not modules & {"torch", "executorch", "torchao", "matplotlib"}
    code = f"{_BACKENDS_OF_RUNTIME}; import sys; print('modules:', *sys.modules)"
    done = subprocess.run(
        [sys.executable, "-P", "-c", code], check=True, capture_output=True, text=True, cwd=tmp_path
    )
    backends, _, modules = done.stdout.partition("modules:")
    assert "XnnpackBackend" in backends and not set(modules.split()) & {"torchao", "executorch.exir"}


@pytest.mark.parametrize(
    "command",
    [
        ("quantize", "--variant", "b99", "--weights", "w.pth", "--data", "photos"),
        ("quantize", "--variant", "b0", "--weights", "missing.pth", "--data", "missing", "--out", "made"),
        ("edge-effnet", "check", "missing", "--data", "missing"),
        ("edge-effnet", "analyze", "missing"),
        ("edge-effnet", "bench", "missing"),
        ("edge-effnet", "predict", "missing", "missing.jpg"),
        ("edge-effnet", "deploy", "missing", "--app", "android"),
    ],
    ids=lambda command: " ".join(command[:2]),
)
def test_input_errors_need_neither_executorch_nor_torchao(command):
    code, modules = modules_of(*command)
    assert code == 2 and not modules & {"executorch", "torchao", "pandas"}
