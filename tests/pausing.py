"""Runs that wait for the test at a certain checkpoint, so that a signal meets them there, on a busy machine too."""

import signal
import subprocess
import sys
import time
from pathlib import Path

_PROGRAM = """
import itertools, sys, time
from pathlib import Path
from litevision.cli import main
from litevision.training import loop

count, write, mark = itertools.count(1), loop.write_checkpoint, Path("paused")

def pausing(path, *rest):
    if path.name == "last.ckpt" and next(count) == BEFORE:
        mark.touch()
        while mark.exists():
            time.sleep(0.01)
    write(path, *rest)

loop.write_checkpoint = pausing
sys.argv = ["litevision", *sys.argv[1:]]
main()
"""


class PausingRun:
    """A command line of litevision that pauses before it writes ``last.ckpt`` for the ``before``-th time."""

    def __init__(self, place: Path, *arguments: str, before: int) -> None:
        command = [sys.executable, "-c", _PROGRAM.replace("BEFORE", str(before)), *arguments]
        self._mark = place / "paused"
        self._mark.unlink(missing_ok=True)
        # What the tests ignore, as in the background of a script, a process of theirs would ignore too.
        old = signal.signal(signal.SIGINT, signal.default_int_handler)
        try:
            self.process = subprocess.Popen(
                command, cwd=place, text=True, stdout=subprocess.PIPE, stderr=subprocess.PIPE
            )
        finally:
            signal.signal(signal.SIGINT, old)

    def stop(self, signum: int) -> tuple[int, str, str]:
        """Send the signal as soon as the run pauses, let it go on, and give its exit code and its outputs."""
        while not self._mark.exists():
            assert self.process.poll() is None, self.process.communicate()[1]
            time.sleep(0.01)
        self.process.send_signal(signum)
        self._mark.unlink()
        out, err = self.process.communicate()
        return self.process.returncode, out, err
