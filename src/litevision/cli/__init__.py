"""The command line: a file a command, imported when it is called, so that a start is quick."""

import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from litevision.cli.signals import Interrupted, raised, silence_stdout
from litevision.errors import LitevisionError

_UNCHECKED = "LITEVISION_UNCHECKED"
_USAGE = 2  # the exit code of a command line that cannot be read


def main() -> None:
    """Run the command line and exit.

    The exit code is 0, or 1 for an error, which is one line on standard error, or 2 for a command line that cannot be
    read; 128 and a signal's number where one ended the work.
    """
    from litevision.cli.parser import CommandLineError
    from litevision.tables import escape

    if sys.stderr is None:  # closed; what is printed there would land among the results
        sys.stderr = Path(os.devnull).open("w")  # noqa: SIM115 - it stays open to the end
    try:
        with raised():
            code = _run(sys.argv[1:])
        sys.exit(code)
    except LitevisionError as error:
        _print_traceback()
        print(f"error: {escape(str(error))}", file=sys.stderr)
        sys.exit(_USAGE if isinstance(error, CommandLineError) else 1)
    except BrokenPipeError:
        silence_stdout()
        sys.exit(1)
    except KeyboardInterrupt:
        sys.exit(130)
    except Interrupted as stop:
        sys.exit(128 + stop.signum)
    except MemoryError:
        _print_traceback()
        print("error: not enough memory.", file=sys.stderr)
        sys.exit(1)
    except Exception as error:
        _print_traceback()
        text = escape(" ".join(f"{type(error).__name__}: {error}".split()))
        print(f"error: unexpected {text}; --verbose or LITEVISION_DEBUG=1 shows where it happened.", file=sys.stderr)
        sys.exit(1)


def _run(arguments: list[str]) -> int:
    from litevision.cli.checks import check_outputs
    from litevision.cli.commands import load_command
    from litevision.cli.parser import CommandLineError, parse
    from litevision.console import is_verbose, set_verbosity

    quiet, verbose, unchecked = False, False, False
    while arguments and arguments[0].startswith("-"):
        first, *arguments = arguments
        if first in ("-h", "--help"):
            return _print_help()
        if first in ("--version", "-V"):
            from litevision import __version__

            print(f"litevision {__version__}")
            return 0
        if first not in ("--quiet", "--verbose", "--unchecked"):
            raise CommandLineError(f"no option {first!r}. See litevision --help.")
        quiet, verbose = quiet or first == "--quiet", verbose or first == "--verbose"
        unchecked = unchecked or first == "--unchecked"
    set_verbosity(quiet=quiet, verbose=verbose)
    if not arguments:
        _print_help()
        return _USAGE
    if arguments[0] == "help":
        arguments = [*arguments[1:2], "--help"]
        if len(arguments) == 1:
            return _print_help()
    name, *rest = arguments
    module, options = load_command(name)
    parsed = parse(options, rest, command=f"litevision {name}")
    set_verbosity(quiet=quiet or parsed.quiet, verbose=verbose or parsed.verbose)
    if parsed.wants_help:
        from litevision.cli.help import format_command_help

        print(format_command_help(name, options), end="")
        return 0
    if is_verbose():
        _print_facts(parsed.options)
    check_outputs(parsed.options)
    with _unchecked(unchecked or parsed.unchecked):
        code: int = module.run(parsed.options)
    return code


@contextmanager
def _unchecked(accepted: bool) -> Iterator[None]:
    """Inside, and in processes started there, published weights may be fetched unchecked, if ``accepted``."""
    before = os.environ.get(_UNCHECKED)
    if accepted:
        os.environ[_UNCHECKED] = "1"
    try:
        yield
    finally:
        if accepted and before is None:
            del os.environ[_UNCHECKED]
        elif accepted:
            os.environ[_UNCHECKED] = str(before)


def _print_help() -> int:
    from litevision.cli.help import format_program_help

    print(format_program_help(), end="")
    return 0


def _print_facts(options: object) -> None:
    import platform

    from litevision import __version__
    from litevision.console import debug
    from litevision.errors import without_secrets

    debug(f"litevision {__version__}, Python {platform.python_version()}, {platform.platform()}")
    debug(", ".join(f"{name}={without_secrets(repr(value))}" for name, value in vars(options).items()))


def _print_traceback() -> None:
    """Print where the exception under way was raised, for whoever asked for it."""
    from litevision.console import is_verbose

    if is_verbose() or os.environ.get("LITEVISION_DEBUG", "0") != "0":
        import traceback

        traceback.print_exc()
