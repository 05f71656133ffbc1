"""A signal is a wish first, and an order the second time."""

import signal
import threading
from collections.abc import Iterator

import pytest

from litevision.training.process import RunStopped, StopRequest


@pytest.fixture(autouse=True)
def usual_handlers() -> Iterator[None]:
    """Those of a process in the foreground, wherever the tests run."""
    old = {
        signal.SIGINT: signal.signal(signal.SIGINT, signal.default_int_handler),
        signal.SIGTERM: signal.signal(signal.SIGTERM, signal.SIG_DFL),
        signal.SIGHUP: signal.signal(signal.SIGHUP, signal.SIG_DFL),
    }
    yield
    for signum, handler in old.items():
        signal.signal(signum, handler)


@pytest.mark.parametrize("signum", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
def test_the_first_signal_is_a_wish(signum: signal.Signals) -> None:
    before = signal.getsignal(signum)
    with StopRequest() as stop:
        assert stop.signum is None
        signal.raise_signal(signum)
        assert stop.signum == signum
        assert signal.getsignal(signum) == before
    assert signal.getsignal(signum) == before


def test_the_second_one_does_what_it_always_does() -> None:
    with StopRequest() as stop:
        signal.raise_signal(signal.SIGTERM)
        with pytest.raises(KeyboardInterrupt):
            signal.raise_signal(signal.SIGINT)
        assert stop.signum == signal.SIGTERM


def test_behind_it_signals_are_as_before() -> None:
    with StopRequest():
        pass
    with pytest.raises(KeyboardInterrupt):
        signal.raise_signal(signal.SIGINT)


def test_an_ignored_signal_stays_ignored() -> None:
    """As for what nohup, or a script in the background, has started."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    with StopRequest() as stop:
        signal.raise_signal(signal.SIGINT)
        assert stop.signum is None
    assert signal.getsignal(signal.SIGINT) == signal.SIG_IGN


def test_beside_the_main_thread_it_keeps_to_itself() -> None:
    before = signal.getsignal(signal.SIGTERM)
    seen = []

    def enter() -> None:
        with StopRequest() as stop:
            seen.append((stop.signum, signal.getsignal(signal.SIGTERM)))

    thread = threading.Thread(target=enter)
    thread.start()
    thread.join()
    assert seen == [(None, before)]


def test_a_stopped_run_passes_by_whoever_catches_errors() -> None:
    assert not issubclass(RunStopped, Exception)
    stopped = RunStopped(15, "epoch 1, batch 2 of 3")
    assert (stopped.signum, stopped.where) == (15, "epoch 1, batch 2 of 3")
