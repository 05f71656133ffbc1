"""How a command ends early: Ctrl-C, SIGTERM and SIGHUP as one exception, and output that nobody reads any more."""

import os
import signal
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from types import FrameType
from typing import Any

from litevision import console

ENDING = tuple(getattr(signal, name) for name in ("SIGTERM", "SIGHUP") if hasattr(signal, name))
"""What asks a process to end, beside Ctrl-C: SIGHUP comes when its terminal is closed."""
_GRACE_S = 1.0  # timeout(1) and other wrappers send the same signal to a process and to its group


class Interrupted(BaseException):
    """A signal that asks the process to end; ``signum`` is its number."""

    def __init__(self, signum: int) -> None:
        super().__init__(signum)
        self.signum = signum


class Signals:
    """While it is entered, SIGINT, SIGTERM and SIGHUP raise `Interrupted`; `held` puts that off.

    The first signal lets the work end in order. Another one, from a second later on, ends the process at once.
    """

    def __init__(self) -> None:
        self._old: dict[int, Any] = {}
        self._first_at: float | None = None
        self._held = False
        self._waiting: int | None = None

    def __enter__(self) -> "Signals":
        if threading.current_thread() is threading.main_thread():
            for signum in (signal.SIGINT, *ENDING):
                # What is ignored already, nohup and "&" in a script have their reasons for.
                if signal.getsignal(signum) is not signal.SIG_IGN:
                    self._old[signum] = signal.signal(signum, self._arrived)
        return self

    def __exit__(self, *_: object) -> None:
        for signum, handler in self._old.items():
            signal.signal(signum, handler)

    @contextmanager
    def held(self) -> Iterator[None]:
        """Puts the exception off to the end of the block."""
        # One that C code was called back by and passed over, as FFmpeg does while it opens a pipe, is not forgotten.
        self._raise_waiting()
        self._held = True
        try:
            yield
        finally:
            self._held = False
        self._raise_waiting()

    def _raise_waiting(self) -> None:
        if self._waiting is not None:
            signum, self._waiting = self._waiting, None
            raise Interrupted(signum)

    def hold(self) -> None:
        """Raises nothing from here on: the end is near anyway."""
        self._held = True

    def _arrived(self, signum: int, _: FrameType | None) -> None:
        now = time.monotonic()
        console.leave_closed_terminal()
        if self._first_at is None:
            self._first_at = now
            self._waiting = signum
            if not self._held:
                raise Interrupted(signum)
        elif now - self._first_at > _GRACE_S:
            signal.signal(signum, signal.SIG_DFL)
            os.kill(os.getpid(), signum)


@contextmanager
def raised() -> Iterator[None]:
    """Inside, SIGTERM and SIGHUP raise `Interrupted` once, so that files under way are removed; again, they kill."""

    def arrived(signum: int, _: FrameType | None) -> None:
        signal.signal(signum, signal.SIG_DFL)
        console.leave_closed_terminal()
        raise Interrupted(signum)

    replaced = []
    if threading.current_thread() is threading.main_thread():
        replaced = [it for it in ENDING if signal.getsignal(it) is signal.SIG_DFL]
    for signum in replaced:
        signal.signal(signum, arrived)
    try:
        yield
    finally:
        for signum in replaced:
            signal.signal(signum, signal.SIG_DFL)


def silence_stdout() -> None:
    """Send what is still to be written to nowhere: Python's last flush would complain about a closed pipe."""
    nowhere = os.open(os.devnull, os.O_WRONLY)
    os.dup2(nowhere, sys.stdout.fileno())
    os.close(nowhere)


def leave(code: int) -> int:
    """Give the exit code, or end here and now where a worker still waits in a system call that nothing ends.

    Python's own end would pull from under it what it uses.
    """
    from litevision.runtime.pipeline import WORKER_NAME

    if any(thread.name.startswith(WORKER_NAME) for thread in threading.enumerate()):
        for stream in (sys.stdout, sys.stderr):
            with suppress(OSError, ValueError):
                if stream is not None:
                    stream.flush()
        os._exit(code)
    return code
