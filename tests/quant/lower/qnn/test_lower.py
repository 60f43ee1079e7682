"""The compiler's child process: whatever becomes of it, one sentence comes back."""

import sys
import time

import pytest

from edge_effnet.errors import InputError
from quant.lower.child_process import run_child

WHO = {"backend": "qnn", "remedy": "try another"}
ANSWER = "open(sys.argv[1] + '/answer.json', 'w').write"


@pytest.mark.parametrize(
    ("code", "sentence"),
    [
        (f'import sys; {ANSWER}(\'{{"error": "TypeError: no op"}}\')', r"was not lowered \(TypeError: no op\)"),
        (
            "import os, signal; print('in prepare', flush=True); os.kill(os.getpid(), 11)",
            "crashed.*SIGSEGV.*in prepare",
        ),
        ("pass", "crashed on this network.*exit code 0"),
    ],
)
def test_a_child_that_fails_is_a_sentence(tmp_path, code, sentence):
    with pytest.raises(InputError, match=sentence):
        run_child([sys.executable, "-c", code, str(tmp_path)], tmp_path, **WHO)


def test_a_child_that_hangs_is_ended(tmp_path):
    start = time.monotonic()
    with pytest.raises(InputError, match="not done with this network in 1 s and was ended"):
        run_child([sys.executable, "-c", "import time; time.sleep(60)"], tmp_path, **WHO, deadline_s=1.0)
    assert time.monotonic() - start < 30


def test_an_answer_is_read(tmp_path):
    code = f'import sys; {ANSWER}(\'{{"version": "2.51"}}\')'
    assert run_child([sys.executable, "-c", code, str(tmp_path)], tmp_path, **WHO) == {"version": "2.51"}
