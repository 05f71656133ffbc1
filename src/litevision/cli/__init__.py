"""The command line: one file per command, which imports what it needs when it is called, so that a start is quick."""

import sys

import typer

from litevision.errors import LitevisionError

app = typer.Typer(
    name="litevision",
    help="MobileNet V1-V3 and ShuffleNetV2: build them, read anyone's weights, see what they cost, classify photos.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
)


def _register() -> None:
    from litevision.cli.classify import classify
    from litevision.cli.convert import convert
    from litevision.cli.draw import draw
    from litevision.cli.export import export
    from litevision.cli.info import info
    from litevision.cli.models import models

    app.command()(classify)
    app.command()(convert)
    app.command()(draw)
    app.command()(export)
    app.command()(info)
    app.command()(models)


_register()


@app.callback()
def _root() -> None:
    """Keeps the command names even while there is one command alone."""


def main() -> None:
    """Runs the command line; an error that litevision raises on purpose becomes one line and exit code 1."""
    try:
        app()
    except LitevisionError as error:
        print(f"error: {error}", file=sys.stderr)
        sys.exit(1)
    except BrokenPipeError:
        sys.stderr.close()
        sys.exit(1)
