"""What is wrong with a command is said before ExecuTorch and torchao, seconds of imports, are loaded."""

import json
import subprocess
import sys
from importlib.metadata import version

from apps.doctor import _BACKENDS_OF_RUNTIME
from tests.support.paths import ROOT

_RUN = """
import json, sys
for words in json.loads(sys.argv[1]):
    sys.argv = words
    if words[0] == "quantize":
        from apps.cli.commands.quantize import main
    else:
        from apps.cli.edge_effnet import main
    code = 0
    try:
        main()
    except SystemExit as end:
        code = end.code or 0
    print(json.dumps([code, sorted({name.split(".")[0] for name in sys.modules})]), file=sys.stderr)
"""


def modules_of(*commands: tuple[str, ...]) -> list[tuple[int, set[str]]]:
    """Exit code of each command, run one after the other in one process, and what it had imported by then."""
    done = subprocess.run(
        [sys.executable, "-P", "-c", _RUN, json.dumps(commands)], check=True, capture_output=True, text=True, cwd=ROOT
    )
    told = [json.loads(line) for line in done.stderr.splitlines() if line.startswith("[")]
    return [(code, set(modules)) for code, modules in told]


def test_help_needs_no_torch():
    commands = ("quantize", "--help"), ("edge-effnet", "--help"), ("edge-effnet", "check", "--help")
    found = modules_of(*commands)
    assert len(found) == len(commands)
    for code, modules in found:
        assert code == 0 and not modules & {"torch", "executorch", "matplotlib"}


def test_the_packages_say_their_version_without_torch():
    code = "import edge_effnet, quant, sys; print(edge_effnet.__version__, quant.__version__, 'torch' in sys.modules)"
    done = subprocess.run([sys.executable, "-P", "-c", code], check=True, capture_output=True, text=True, cwd=ROOT)
    assert done.stdout.split() == [version("edge-effnet")] * 2 + ["False"]


def test_doctor_imports_nothing_heavy(tmp_path):
    """It asks the runtime in a process of its own, which takes torch and no exporter along."""
    ((code, modules),) = modules_of(("edge-effnet", "doctor"))
    assert code == 0 and not modules & {"torch", "executorch", "torchao", "matplotlib"}
    code = f"{_BACKENDS_OF_RUNTIME}; import sys; print('modules:', *sys.modules)"
    done = subprocess.run(
        [sys.executable, "-P", "-c", code], check=True, capture_output=True, text=True, cwd=tmp_path
    )
    backends, _, modules = done.stdout.partition("modules:")
    assert "XnnpackBackend" in backends and not set(modules.split()) & {"torchao", "executorch.exir"}


def test_input_errors_need_neither_executorch_nor_torchao():
    commands = (
        ("quantize", "--variant", "b99", "--weights", "w.pth", "--data", "photos"),
        ("quantize", "--variant", "b0", "--weights", "missing.pth", "--data", "missing", "--out", "made"),
        ("edge-effnet", "check", "missing", "--data", "missing"),
        ("edge-effnet", "analyze", "missing"),
        ("edge-effnet", "bench", "missing"),
        ("edge-effnet", "predict", "missing", "missing.jpg"),
        ("edge-effnet", "deploy", "missing", "--app", "android"),
    )
    found = modules_of(*commands)
    assert len(found) == len(commands)
    for words, (code, modules) in zip(commands, found, strict=True):
        assert code == 2 and not modules & {"executorch", "torchao", "pandas"}, words
