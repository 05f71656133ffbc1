"""How far a command is: a bar on a terminal, now and then a line in a log, nothing with ``--quiet``."""

import math
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, TextIO

from litevision import console
from litevision.tables import escape, pluralise

if TYPE_CHECKING:
    from litevision.runtime.results import Result

_LINE_EVERY_S = 10.0
_BAR_EVERY_S = 0.1


@contextmanager
def progress_bar(title: str) -> Iterator[Callable[[int, int], None]]:
    """Show a bar on a terminal while the block runs; gives a callback for the number that is done and the total."""
    if not console.shows_progress():
        yield lambda done, total: None
        return
    from rich.console import Console
    from rich.progress import Progress

    with Progress(console=Console(stderr=True), transient=True, redirect_stdout=False, redirect_stderr=False) as bar:
        task = bar.add_task(title, total=None)
        yield lambda done, total: bar.update(task, completed=done, total=total)


class ImageProgress:
    """Count images and their errors, and show them on standard error; a `litevision.cli.tables.Writer`.

    Args:
        total: how many images there are, None where nobody knows.
        rows_on: where the results themselves go; None for a file.
        title: what is done with the images, before the bar.
        shown_errors: how many errors are printed; the others are counted.
    """

    def __init__(
        self, total: int | None, rows_on: TextIO | None, title: str, *, shown_errors: float = math.inf
    ) -> None:
        self.total = total
        self.done = 0
        self.errors = 0
        self._shown_errors = shown_errors
        self._start = time.monotonic()
        self._shown = _display(total, rows_on, title)

    def write(self, results: "Sequence[Result[Any]]") -> None:
        for result in results:
            if result.error is not None:
                self.errors += 1
                if self.errors <= self._shown_errors:
                    self._shown.print(f"error: {escape(str(result.error))}")
                elif self.errors == self._shown_errors + 1:
                    self._shown.print("more errors are counted, and not shown")
        self.done += len(results)
        self._shown.update(self.done, time.monotonic() - self._start, self.total)

    def finish(self) -> None:
        self._shown.close()

    def conclusion(self) -> str:
        """The count, the rate of what was read, and the errors."""
        seconds = time.monotonic() - self._start
        errors = f"{self.errors:,} could not be read" if self.errors else "no errors"
        rate = f", {_rate(self.done, seconds)}" if self.errors < self.done else ""
        return f"{pluralise(self.done)} in {seconds:,.1f} s{rate}, {errors}"


def _display(total: int | None, rows_on: TextIO | None, title: str) -> "_Lines | _Bar":
    """A bar on a terminal; in a log, a line every ten seconds; nothing where results run over the same terminal."""
    if console.is_quiet():
        return _Lines(math.inf)
    if not sys.stderr.isatty():
        return _Lines(_LINE_EVERY_S)
    if total == 1 or (rows_on is not None and rows_on.isatty()):
        return _Lines(math.inf)
    return _Bar(total, title)


def _rate(done: int, seconds: float) -> str:
    each = done / max(seconds, 1e-9)
    return f"{each:,.0f} a second" if each >= 10 else f"{each:.1f} a second"


def _left(done: int, total: int, seconds: float) -> str:
    """The time left, as ``1:05:00``."""
    left_s = round((total - done) * seconds / max(1, done))
    return f"{left_s // 3600}:{left_s // 60 % 60:02}:{left_s % 60:02}"


class _Lines:
    def __init__(self, every_s: float) -> None:
        self._every_s = every_s
        self._last_s = 0.0

    def update(self, done: int, seconds: float, total: int | None) -> None:
        if seconds - self._last_s >= self._every_s:
            self._last_s = seconds
            of, left = ("", "") if total is None else (f" of {total:,}", f", {_left(done, total, seconds)} left")
            self.print(f"{done:,}{of} images, {_rate(done, seconds)}{left}")

    def print(self, line: str) -> None:
        print(line, file=sys.stderr)

    def close(self) -> None:
        pass


class _Bar:
    def __init__(self, total: int | None, title: str) -> None:
        from rich.console import Console
        from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

        columns: tuple[Any, ...] = (
            TextColumn(title),
            BarColumn(),
            MofNCompleteColumn(),
            TextColumn("{task.fields[rate]}"),
            TimeRemainingColumn(compact=True),
        )
        # Drawn by hand, because a thread of its own would draw while an error is printed; and the results on standard
        # output are none of its business.
        self._bar = Progress(
            *columns,
            console=Console(stderr=True),
            auto_refresh=False,
            transient=True,
            redirect_stdout=False,
            redirect_stderr=False,
        )
        self._task = self._bar.add_task(title, total=total, rate="")
        self._bar.start()
        self._last_s = 0.0

    def update(self, done: int, seconds: float, total: int | None) -> None:
        due = seconds - self._last_s >= _BAR_EVERY_S
        if due:
            self._last_s = seconds
        # Told every time, drawn only when due: what stopping the bar draws is then the last state.
        self._bar.update(self._task, total=total, completed=done, rate=_rate(done, seconds), refresh=due)

    def print(self, line: str) -> None:
        self._bar.console.print(line, markup=False, highlight=False, emoji=False, soft_wrap=True)

    def close(self) -> None:
        self._bar.stop()
