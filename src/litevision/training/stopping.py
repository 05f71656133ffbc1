"""SIGINT and SIGTERM as a wish that the run fulfils between two steps."""

import signal
import threading
from types import FrameType
from typing import Any

_SIGNALS = (signal.SIGINT, signal.SIGTERM)


class StopRequest:
    """While it is entered, the first signal sets ``signum``; a second one ends the process as it would have."""

    def __init__(self) -> None:
        self.signum: int | None = None
        self._old: dict[int, Any] = {}

    def __enter__(self) -> "StopRequest":
        if threading.current_thread() is threading.main_thread():
            # What is ignored already, nohup and "&" in a script have their reasons for.
            heard = [signum for signum in _SIGNALS if signal.getsignal(signum) is not signal.SIG_IGN]
            self._old = {signum: signal.signal(signum, self._arrived) for signum in heard}
        return self

    def __exit__(self, *_: object) -> None:
        self._restore()

    def _arrived(self, signum: int, _: FrameType | None) -> None:
        self.signum = signum
        self._restore()

    def _restore(self) -> None:
        for signum, handler in self._old.items():
            signal.signal(signum, handler)
        self._old = {}


class RunStopped(BaseException):
    """A run that a signal stopped, its checkpoint written; no error, so it passes by whoever catches those."""

    def __init__(self, signum: int, where: str) -> None:
        super().__init__(where)
        self.signum = signum
        self.where = where
