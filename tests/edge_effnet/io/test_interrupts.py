import signal
import threading

import pytest

from edge_effnet.io.interrupts import interrupts_held


def test_an_interrupt_comes_after_the_block():
    done = []
    with pytest.raises(KeyboardInterrupt), interrupts_held():
        signal.raise_signal(signal.SIGINT)
        done.append("to its end")
    assert done == ["to its end"]


def test_a_block_that_fails_does_not_swallow_the_interrupt():
    with pytest.raises(KeyboardInterrupt), interrupts_held():
        signal.raise_signal(signal.SIGINT)
        raise OSError("no such program")


def test_handlers_are_as_before_and_what_is_ignored_stays_ignored():
    told = []
    before = signal.signal(signal.SIGTERM, lambda number, _frame: told.append(number))
    ignored = signal.signal(signal.SIGINT, signal.SIG_IGN)
    try:
        with interrupts_held():
            signal.raise_signal(signal.SIGINT)
            signal.raise_signal(signal.SIGTERM)
            assert told == []
        assert told == [signal.SIGTERM]
        signal.raise_signal(signal.SIGTERM)
        assert len(told) == 2 and signal.getsignal(signal.SIGINT) is signal.SIG_IGN
    finally:
        signal.signal(signal.SIGTERM, before)
        signal.signal(signal.SIGINT, ignored)


def test_other_threads_never_get_signals_and_leave_the_handlers_alone():
    seen = []

    def work():
        with interrupts_held():
            seen.append(signal.getsignal(signal.SIGINT))

    thread = threading.Thread(target=work)
    thread.start()
    thread.join()
    assert seen == [signal.getsignal(signal.SIGINT)]
