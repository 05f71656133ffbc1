"""How a download shows itself."""

import contextlib
from collections.abc import Callable, Iterator

from litevision import console

OnProgress = Callable[[int, int | None], None]  # bytes so far, bytes in all where known


@contextlib.contextmanager
def progress_display(label: str, *, show: bool) -> Iterator[OnProgress]:
    """What to report progress to: a bar on a terminal's stderr, one line elsewhere, nothing if not ``show``."""
    if not show:
        yield lambda done, total: None
        return
    if not console.shows_progress():
        console.note(f"downloading {label}")
        yield lambda done, total: None
        return
    from rich import progress as bars
    from rich.console import Console

    columns = (
        bars.TextColumn("{task.description}"),
        bars.BarColumn(),
        bars.DownloadColumn(),
        bars.TransferSpeedColumn(),
    )
    with bars.Progress(*columns, console=Console(stderr=True), transient=True) as bar:
        task = bar.add_task(label, total=None)
        yield lambda done, total: bar.update(task, completed=done, total=total)
