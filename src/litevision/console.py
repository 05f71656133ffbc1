"""What the package says on standard error: notes, debug lines, and how much of them is wanted."""

import os
import stat
import sys
from contextlib import suppress

from litevision.tables import escape

_QUIET, _NORMAL, _VERBOSE = range(3)
_verbosity = _NORMAL


def set_verbosity(*, quiet: bool, verbose: bool) -> None:
    """Set how much is said from here on, of the two global options."""
    global _verbosity  # noqa: PLW0603 - of this process, as its standard error is
    _verbosity = _VERBOSE if verbose else _QUIET if quiet else _NORMAL


def is_quiet() -> bool:
    """Whether ``--quiet`` was given."""
    return _verbosity == _QUIET


def is_verbose() -> bool:
    """Whether ``--verbose`` was given."""
    return _verbosity == _VERBOSE


def note(text: str) -> None:
    """Print a line, unless ``--quiet`` was given."""
    if not is_quiet():
        print(escape(text), file=sys.stderr)


def debug(text: str) -> None:
    """Print a line if ``--verbose`` was given."""
    if is_verbose():
        print(f"debug: {escape(text)}", file=sys.stderr)


def leave_closed_terminal() -> None:
    """Send what is still said to nowhere where the terminal has been closed: writing to it would be an error."""
    for descriptor in (1, 2):
        with suppress(OSError):
            if stat.S_ISCHR(os.fstat(descriptor).st_mode) and not os.isatty(descriptor):
                nowhere = os.open(os.devnull, os.O_WRONLY)
                os.dup2(nowhere, descriptor)
                os.close(nowhere)


def shows_progress() -> bool:
    """Whether standard error is a terminal on which progress is wanted."""
    return not is_quiet() and sys.stderr.isatty()
