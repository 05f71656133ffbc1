"""litevision convert: read anyone's weights, say what they are, write them in another layout."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

if TYPE_CHECKING:
    from litevision.weights.load import Loaded


def convert(
    source: Annotated[
        str,
        typer.Argument(metavar="NAME|FILE|URL", help="A weight set's name, a weight file, or a URL."),
    ],
    output: Annotated[
        Path | None,
        typer.Option("--output", "-o", metavar="FILE", help="Where to write; without it the file is only described."),
    ] = None,
    to: Annotated[str, typer.Option(help="The layout: litevision, torchvision, timm or keras.")] = "litevision",
    model: Annotated[
        str | None, typer.Option(help="The network that the file belongs to; recognised unless given.")
    ] = None,
    dialect: Annotated[str | None, typer.Option(help="Whose form, where the file alone cannot tell.")] = None,
    width: Annotated[float | None, typer.Option(help="The width, if it is an unusual one.")] = None,
    classes: Annotated[int | None, typer.Option(help="Classes of the network; the file's own unless given.")] = None,
    reset_classifier: Annotated[
        bool, typer.Option("--reset-classifier", help="Start a fresh classifier where the class counts differ.")
    ] = False,
    drop_background: Annotated[
        bool, typer.Option("--drop-background", help="Leave out class 0 of a file with one class more (1001).")
    ] = False,
    as_json: Annotated[bool, typer.Option("--json", help="Print one JSON object.")] = False,
) -> None:
    """Read weights from torchvision, timm, Keras or slim, and write them in another layout."""
    from litevision.cli._shared.torch import require_torch

    require_torch("litevision convert")
    import json

    from litevision.weights.load import load_weights
    from litevision.weights.save import save_weights

    loaded = load_weights(
        source,
        model,
        dialect=dialect,
        width_mult=width,
        num_classes=classes,
        reset_classifier=reset_classifier,
        drop_background=drop_background or None,
    )
    if output is not None:
        save_weights(loaded.network, output, to)
    facts = _facts(loaded, output, to)
    if as_json:
        print(json.dumps(facts))
        return
    width_column = max(map(len, facts))
    for name, value in facts.items():
        print(f"{name:<{width_column}}  {value}")


def _facts(loaded: "Loaded", output: Path | None, to: str) -> dict[str, Any]:
    config = loaded.network.config
    facts: dict[str, Any] = {
        "source": loaded.source.label,
        "layout": loaded.layout.name,
        "model": config.architecture,
        "dialect": config.dialect,
        "width_mult": config.width_mult,
        "num_classes": config.num_classes,
        "num_params": sum(parameter.numel() for parameter in loaded.network.parameters()),
    }
    if config.final_endpoint is not None:
        facts["final_endpoint"] = config.final_endpoint
    if loaded.applied.background_dropped:
        facts["background"] = "class 0 of the file was left out"
    if loaded.applied.reset:
        facts["reset"] = "the classifier starts fresh"
    if output is not None:
        facts["written"] = str(output)
        facts["written_layout"] = to
    return facts
