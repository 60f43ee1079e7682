import os
import signal
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import torch

from edge_effnet.errors import InputError, MachineError
from quant.artifact.bundle import bundle_program
from quant.artifact.model import Golden
from quant.program import host as module
from quant.program.host import MAX_THREADS, EmulatorRuntime, HostRuntime, check_threads
from quant.program.reader import parse_pte
from tests.support.programs import RIGHT, SIZE, SWAPPED, ColourNet, colour_program
from tests.support.refusals import refusal_of


@pytest.fixture(scope="module")
def runtime():
    with HostRuntime() as runtime:
        yield runtime


@pytest.fixture(scope="module")
def program_file(tmp_path_factory):
    path = tmp_path_factory.mktemp("program") / "model.pte"
    path.write_bytes(colour_program())
    return path


@pytest.fixture
def inputs():
    return torch.randn(5, 3, SIZE, SIZE, generator=torch.Generator().manual_seed(0))


def test_a_program_gives_what_its_network_gives(runtime, program_file, inputs):
    program = runtime.load(program_file, "right")
    assert program.input_shape == (1, 3, SIZE, SIZE) and program.output_shape == (1, 3)
    assert program.load_ms > 0
    torch.testing.assert_close(runtime.run(program, inputs), ColourNet(RIGHT)(inputs))


def test_two_programs_are_held_at_once(runtime, program_file, inputs, tmp_path):
    (tmp_path / "swapped.pte").write_bytes(colour_program(SWAPPED))
    right, swapped = runtime.load(program_file, "right"), runtime.load(tmp_path / "swapped.pte", "swapped")
    torch.testing.assert_close(runtime.run(right, inputs), ColourNet(RIGHT)(inputs))
    torch.testing.assert_close(runtime.run(swapped, inputs), ColourNet(SWAPPED)(inputs))


def test_a_channels_last_input_is_read_rightly(runtime, program_file, inputs):
    """The runtime itself would read it as if it were contiguous (pytorch/executorch #21837)."""
    program = runtime.load(program_file, "right")
    found = runtime.run(program, inputs.contiguous(memory_format=torch.channels_last))
    assert torch.equal(found, runtime.run(program, inputs))
    assert torch.equal(runtime.run(program, inputs[::2]), runtime.run(program, inputs)[::2])


def test_programs_are_timed_in_turns(runtime, program_file, inputs):
    programs = [runtime.load(program_file, name) for name in ("a", "b")]
    times = runtime.time(programs, [inputs[:1]] * len(programs), 5)
    assert {name: len(values) for name, values in times.items()} == {"a": 5, "b": 5}
    assert all(value > 0 for values in times.values() for value in values)


@pytest.mark.parametrize("shape", [(1, 3, SIZE, SIZE + 1), (1, 1, SIZE, SIZE), (1, SIZE, SIZE, 3), (3, SIZE, SIZE)])
def test_an_input_of_another_shape_is_refused_and_the_runtime_lives_on(runtime, program_file, inputs, shape):
    program = runtime.load(program_file, "right")
    for call in (lambda x: runtime.run(program, x), lambda x: runtime.time([program], [x], 3)):
        with pytest.raises(InputError, match=r"takes float32 inputs of \(1, 3, 16, 16\)"):
            call(torch.zeros(shape))
    assert runtime.run(program, inputs).shape == (5, 3)


def test_an_input_of_another_kind_is_refused(runtime, program_file, inputs):
    with pytest.raises(InputError, match=r"got torch\.float64"):
        runtime.run(runtime.load(program_file, "right"), inputs.double())


def no_programs():
    whole = colour_program()
    rng = np.random.default_rng(0)
    yield "empty", b""
    yield "text", b"this is no program\n" * 100
    yield "random", rng.bytes(4096)
    yield "random after a right head", whole[:32] + rng.bytes(4096)
    yield "zeros", bytes(len(whole))
    for share in (0.1, 0.5, 0.9):
        yield f"cut at {share:.0%}", whole[: int(len(whole) * share)]


def test_a_runtime_that_is_interrupted_while_it_starts_is_ended(monkeypatch):
    started = []

    class Interrupted(subprocess.Popen):
        def _execute_child(self, *args, **kwargs):
            super()._execute_child(*args, **kwargs)
            started.append(self)
            signal.raise_signal(signal.SIGINT)

    # A shell's background jobs ignore Ctrl-C, and so do the tests that they run.
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    monkeypatch.setattr(module.subprocess, "Popen", Interrupted)
    with pytest.raises(KeyboardInterrupt) as told, HostRuntime():
        pass
    signal.signal(signal.SIGINT, before)
    del told
    (child,) = started
    assert child.wait(timeout=60) == 0  # its pipe is closed


class Sturdy:
    """A runtime that is started again after a program crashed it."""

    def __init__(self):
        self.runtime = HostRuntime()

    def load(self, path):
        if self.runtime._child.poll() is not None:
            self.close()
            self.runtime = HostRuntime()
        return self.runtime.load(path, "p")

    def close(self):
        self.runtime.close()


@pytest.fixture(scope="module")
def sturdy():
    runtime = Sturdy()
    yield runtime
    runtime.close()


@pytest.mark.parametrize(("name", "data"), list(no_programs()), ids=[name for name, _ in no_programs()])
def test_a_file_that_is_no_program_is_an_input_error(sturdy, tmp_path, name, data):
    path = tmp_path / "broken.pte"
    path.write_bytes(data)
    message = refusal_of(sturdy.load, path, begins=f"{path}: ")
    assert "refuses this program" in message or "crashes the" in message


def test_damaged_programs_run_or_are_input_errors_and_never_anything_else(sturdy, tmp_path, inputs):
    whole = np.frombuffer(colour_program(), dtype=np.uint8)
    path, refused = tmp_path / "mutant.pte", 0
    for seed in range(40):
        rng = np.random.default_rng(seed)
        mutant = whole.copy()
        places = rng.integers(0, len(mutant), rng.integers(1, 20))
        mutant[places] = rng.integers(0, 256, len(places))
        path.write_bytes(mutant.tobytes())
        try:
            program = sturdy.load(path)
            assert sturdy.runtime.run(program, torch.zeros(1, *program.input_shape[1:])).dtype == torch.float32
        except InputError:
            refused += 1
    assert refused > 0


def test_a_missing_file_is_an_input_error(runtime, tmp_path):
    with pytest.raises(InputError, match=r"absent\.pte: the ExecuTorch runtime refuses this program"):
        runtime.load(tmp_path / "absent.pte", "absent")


@pytest.mark.parametrize(
    ("number", "error", "words"),
    [
        (signal.SIGSEGV, InputError, "crashes the ExecuTorch runtime (SIGSEGV); it is damaged or hostile"),
        (signal.SIGABRT, InputError, "crashes the ExecuTorch runtime (SIGABRT)"),
        (signal.SIGKILL, MachineError, "most likely for lack of memory"),
    ],
)
def test_a_runtime_that_dies_is_told_by_its_cause(program_file, inputs, number, error, words):
    with HostRuntime() as doomed:
        program = doomed.load(program_file, "right")
        os.kill(doomed._child.pid, number)
        assert words in refusal_of(doomed.run, program, inputs, error=error)


def test_a_runtime_that_hangs_is_ended(program_file, inputs):
    with HostRuntime() as hung:
        program = hung.load(program_file, "right")
        os.kill(hung._child.pid, signal.SIGSTOP)
        hung._silence_s = 0.1
        with pytest.raises(InputError, match="the program hangs"):
            hung.run(program, inputs)
    assert hung._child.poll() is not None


def test_every_process_of_an_emulator_may_think_for_half_an_hour():
    with EmulatorRuntime(2) as emulator:
        assert [each._silence_s for each in (emulator, *emulator._others)] == [1800.0, 1800.0]


def test_a_runtime_that_does_not_start_is_the_machines_fault(program_file, monkeypatch):
    with monkeypatch.context() as patched:
        patched.setattr(sys, "path", ["/nonexistent"])
        patched.setattr(sys, "executable", "/bin/false")
        broken = HostRuntime()
    with broken, pytest.raises(MachineError, match="the ExecuTorch runtime does not start here"):
        broken.load(program_file, "right")


def test_modules_of_the_current_folder_are_not_the_runtimes(tmp_path, monkeypatch, program_file):
    for name in ("torch", "numpy", "json"):
        (tmp_path / f"{name}.py").write_text("raise SystemExit('hijacked')")
    monkeypatch.chdir(tmp_path)
    with HostRuntime() as fresh:
        assert fresh.load(program_file, "right").output_shape == (1, 3)


def test_the_child_ends_with_the_block():
    with HostRuntime() as short:
        assert short._child.poll() is None
    assert short._child.poll() is not None


def test_the_child_ends_when_the_block_fails(program_file):
    with pytest.raises(ZeroDivisionError), HostRuntime() as short:
        short.load(program_file, "right")
        raise ZeroDivisionError
    assert short._child.poll() is not None


@pytest.mark.parametrize("threads", [-1, 0, MAX_THREADS + 1])
def test_a_number_of_threads_that_is_none_is_refused(threads):
    for call in (check_threads, HostRuntime):
        with pytest.raises(InputError, match=f"--threads {threads}: need 1 to {MAX_THREADS}"):
            call(threads)


def test_several_threads_give_the_same_answers(program_file, inputs):
    with HostRuntime(threads=2) as pair:
        torch.testing.assert_close(pair.run(pair.load(program_file, "right"), inputs), ColourNet(RIGHT)(inputs))


def test_a_program_that_wants_more_memory_than_is_sensible_is_refused(tmp_path):
    """Its plan asks for 2^40 bytes of activations; the limit turns that into an error."""
    data = bytearray(colour_program())
    plan = parse_pte(bytes(data)).methods[0].planned_bytes
    at = data.find(plan.to_bytes(8, "little"))
    data[at : at + 8] = (2**40).to_bytes(8, "little")
    path = tmp_path / "large.pte"
    path.write_bytes(data)
    assert parse_pte(bytes(data)).methods[0].planned_bytes == 2**40
    with HostRuntime() as doomed:
        refusal_of(doomed.load, path, "large", begins=f"{path}: ")


def test_the_limit_is_set_before_a_file_is_read(tmp_path, program_file):
    with HostRuntime() as limited:
        limited.load(program_file, "right")
        text = Path(f"/proc/{limited._child.pid}/limits").read_text()
    address_space = next(line for line in text.splitlines() if line.startswith("Max address space"))
    cores = next(line for line in text.splitlines() if line.startswith("Max core file size"))
    assert int(address_space.split()[3]) < 64 * 1024**3 and cores.split()[4] == "0"


@pytest.mark.parametrize("reply", [b"nope", b"\xff\xff\xff\xff"])
def test_a_runtime_that_answers_nonsense_is_ended(program_file, monkeypatch, reply):
    with HostRuntime() as mad:
        program = mad.load(program_file, "right")
        monkeypatch.setattr(mad._pipe, "recv_bytes", lambda: reply)
        with pytest.raises(InputError, match="answer nonsense"):
            mad.run(program, torch.zeros(1, 3, SIZE, SIZE))
    assert mad._child.poll() is not None


def test_a_bundle_is_verified_before_it_is_read(tmp_path):
    path = tmp_path / "b.bpte"
    golden = [Golden(image="p", input=torch.zeros(3, SIZE, SIZE), output=torch.zeros(3), float_output=torch.zeros(3))]
    whole = bundle_program(colour_program(), golden)
    with HostRuntime() as fresh:
        path.write_bytes(whole)
        fresh.verify_bundle(path, 1, rtol=1e-3, atol=1e-3)
        for data in (b"", b"x" * 100, colour_program(), whole[: len(whole) // 2]):
            path.write_bytes(data)
            with pytest.raises(InputError, match=r"b\.bpte: "):
                fresh.verify_bundle(path, 1, rtol=1e-3, atol=1e-3)
