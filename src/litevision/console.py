"""What the package says on standard error: notes, debug lines, and how much of them is wanted."""

import sys
from enum import IntEnum

from litevision.tables import escape


class Verbosity(IntEnum):
    """How much is said on standard error."""

    QUIET = 0  # errors
    NORMAL = 1  # also notes and progress
    VERBOSE = 2  # also what is done, and the traceback of an error


_current = Verbosity.NORMAL


def set_verbosity(*, quiet: bool, verbose: bool) -> None:
    """Set how much is said from here on, of the two global options."""
    global _current  # noqa: PLW0603 - of this process, as its standard error is
    _current = Verbosity.VERBOSE if verbose else Verbosity.QUIET if quiet else Verbosity.NORMAL


def is_quiet() -> bool:
    """Whether ``--quiet`` was given."""
    return _current == Verbosity.QUIET


def is_verbose() -> bool:
    """Whether ``--verbose`` was given."""
    return _current == Verbosity.VERBOSE


def note(text: str) -> None:
    """Print a line, unless ``--quiet`` was given."""
    if not is_quiet():
        print(escape(text), file=sys.stderr)


def debug(text: str) -> None:
    """Print a line if ``--verbose`` was given."""
    if is_verbose():
        print(f"debug: {escape(text)}", file=sys.stderr)


def shows_progress() -> bool:
    """Whether standard error is a terminal on which progress is wanted."""
    return not is_quiet() and sys.stderr.isatty()
