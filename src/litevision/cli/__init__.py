"""The command line: one file per command, which imports what it needs when it is called, so that a start is quick."""

import os
import sys
from pathlib import Path
from typing import Any

from litevision.cli._shared.stdout import silence_stdout
from litevision.errors import LitevisionError


def __getattr__(name: str) -> Any:
    """``app``, the typer application, imported at its first use (PEP 562): `main` may not need it."""
    if name != "app":
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    from litevision.cli._app import app

    return app


def main() -> None:
    """Runs the command line; an error that litevision raises on purpose becomes one line and exit code 1."""
    if sys.stderr is None:  # closed; what is printed there would land among the answers
        sys.stderr = Path(os.devnull).open("w")  # noqa: SIM115 - it stays open to the end
    try:
        sys.exit(_run(sys.argv[1:]))
    except LitevisionError as error:
        print(f"error: {error}", file=sys.stderr)
        sys.exit(1)
    except BrokenPipeError:
        silence_stdout()
        sys.exit(1)
    except KeyboardInterrupt:
        sys.exit(130)


def _run(arguments: list[str]) -> int:
    if arguments[:1] == ["classify"]:
        from litevision.cli._images import many
        from litevision.cli._images.classify import Classify
        from litevision.cli._images.quick import read_classify

        options = read_classify(arguments[1:])
        if options is not None:
            return many.run(Classify(options))
    from litevision.cli._app import app

    app()
    return 0
