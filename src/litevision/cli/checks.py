"""What commands check before they begin: that torch is there, that sizes are sizes, that files can be written."""

import os
import re
from importlib.util import find_spec
from pathlib import Path

from litevision.errors import MissingExtraError, UsageError

_PLOTS = (".png", ".svg")


def require_torch(need: str) -> None:
    """Return if torch is installed.

    Args:
        need: the command that needs it, for the message.

    Raises:
        MissingExtraError: it is not.
    """
    if find_spec("torch") is None:
        raise MissingExtraError.of(need, "train")


def parse_size(text: str) -> tuple[int, int]:
    """(h, w) of ``192`` or ``192x256``.

    Raises:
        UsageError: neither one side nor two, or a side of 0.
    """
    found = re.fullmatch(r"(\d+)(?:[xX×](\d+))?", text.strip())
    size_hw = (int(found[1]), int(found[2] or found[1])) if found else (0, 0)
    if min(size_hw) < 1:
        raise UsageError(f"a size is one side in pixels or HxW, such as 224 or 192x256, got {text!r}")
    return size_hw


def parse_names(text: str | None) -> list[str]:
    """The names in ``a,b,c``; none of None."""
    return [name.strip() for name in text.split(",")] if text else []


def check_writable(file: Path, option: str = "--csv") -> None:
    """Refuse what cannot be written, before the work rather than after it; ``option`` named it.

    Raises:
        UsageError: a folder, or a file in a folder that is not there or not ours.
    """
    if file.is_dir() or not file.parent.is_dir() or not os.access(file.parent, os.W_OK):
        raise UsageError(f"{option} {file}: not a file that can be written. Give one in an existing folder.")


def check_plot(file: Path) -> None:
    """Refuse what is no image or cannot be written, before the work rather than after it; ``--plot`` named it.

    Raises:
        UsageError: neither .png nor .svg; else as for `check_writable`.
    """
    if file.suffix.lower() not in _PLOTS:
        raise UsageError(f"--plot {file}: expected a name that ends in {' or '.join(_PLOTS)}.")
    check_writable(file, "--plot")
