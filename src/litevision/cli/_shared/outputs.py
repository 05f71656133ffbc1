"""Tables and plots that commands write."""

from pathlib import Path

from litevision.errors import UsageError
from litevision.files import write_csv

__all__ = ["check_plot", "check_writable", "write_csv"]

_PLOTS = (".png", ".svg")


def check_writable(file: Path, option: str = "--csv") -> None:
    """Refuses what cannot be written, before the work rather than after it; ``option`` named it.

    Raises:
        UsageError: a folder, or a file in a folder that is not there or not ours.
    """
    import os

    if file.is_dir() or not file.parent.is_dir() or not os.access(file.parent, os.W_OK):
        raise UsageError(f"{option} {file}: not a file that can be written. Give one in an existing folder.")


def check_plot(file: Path) -> None:
    """Refuses what is no image or cannot be written, before the work rather than after it; ``--plot`` named it.

    Raises:
        UsageError: neither .png nor .svg; else as for `check_writable`.
    """
    if file.suffix.lower() not in _PLOTS:
        raise UsageError(f"--plot {file}: expected a name that ends in {' or '.join(_PLOTS)}.")
    check_writable(file, "--plot")
