"""The typer application: its commands, and how they explain themselves."""

import typer

app = typer.Typer(
    name="litevision",
    help="MobileNet V1-V3 and ShuffleNetV2: build them, read anyone's weights, see what they cost, classify photos.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
)


def _register() -> None:
    from litevision.cli.bench import bench
    from litevision.cli.classify import classify
    from litevision.cli.convert import convert
    from litevision.cli.draw import draw
    from litevision.cli.export import export
    from litevision.cli.info import info
    from litevision.cli.models import models

    app.command()(bench)
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
