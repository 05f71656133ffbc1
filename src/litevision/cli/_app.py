"""The typer application: its commands, and how they explain themselves."""

import typer

app = typer.Typer(
    name="litevision",
    help="MobileNet V1-V3 and ShuffleNetV2: classify images, train on your own images, read anyone's weights, see "
    "what a network costs.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
)


def _register() -> None:
    from litevision.cli.average import average
    from litevision.cli.bench import bench
    from litevision.cli.check_data import check_data
    from litevision.cli.choose import choose
    from litevision.cli.classify import classify
    from litevision.cli.compare import compare
    from litevision.cli.convert import convert
    from litevision.cli.detect import detect
    from litevision.cli.draw import draw
    from litevision.cli.evaluate import evaluate
    from litevision.cli.export import export
    from litevision.cli.guidelines import guidelines
    from litevision.cli.info import info
    from litevision.cli.lint import lint
    from litevision.cli.models import models
    from litevision.cli.profile import profile
    from litevision.cli.train import train

    app.command()(average)
    app.command()(bench)
    app.command("check-data")(check_data)
    app.command()(choose)
    app.command()(classify)
    app.command()(compare)
    app.command()(convert)
    app.command()(detect)
    app.command()(draw)
    app.command()(evaluate)
    app.command()(export)
    app.command()(guidelines)
    app.command()(info)
    app.command()(lint)
    app.command()(models)
    app.command()(profile)
    app.command()(train)


_register()


@app.callback()
def _root() -> None:
    """Keeps the command names even while there is one command alone."""
