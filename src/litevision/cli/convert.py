"""litevision convert: read anyone's weights, say what they are, write them in another layout."""

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar

from litevision.cli.fields import dialect_option, json_flag, network_names, weight_names
from litevision.cli.parser import argument, flag, option

if TYPE_CHECKING:
    from litevision.weights.load import Loaded


@dataclass(frozen=True, kw_only=True)
class ConvertOptions:
    """Read weights from torchvision, timm, Keras, TensorFlow slim or a run, and write them in another layout."""

    examples: ClassVar = (
        "litevision convert weights.pth",
        "litevision convert weights.pth --to timm -o weights.safetensors",
        "litevision convert runs/first --to torchvision -o weights.pth",
    )
    source: str = argument(
        metavar="NAME|FILE|URL|RUN",
        choices=weight_names,
        help="A weight set's name, a weight file, a URL, or the folder of a run.",
    )
    output: Path | None = option(
        None, short="-o", metavar="FILE", help="File to write; without it the weights are only described."
    )
    to: str = option(
        "litevision",
        metavar="LAYOUT",
        choices=("litevision", "torchvision", "timm", "keras"),
        help="Layout of the written file.",
    )
    model: str | None = option(None, choices=network_names, help="Network of the weights; detected unless given.")
    dialect: str | None = dialect_option("Library whose form the network has, where the file alone cannot tell.")
    width: float | None = option(None, help="Width multiplier; detected unless given.")
    classes: int | None = option(None, help="Number of classes; the file's own unless given.")
    reset_classifier: bool = flag(help="Initialise the classifier anew where the numbers of classes differ.")
    drop_background: bool = flag(help="Leave out class 0 of a file with one class more (1001).")
    json: bool = json_flag("Print one JSON object.")


def run(options: ConvertOptions) -> int:
    """Convert the weights and print what they are."""
    from litevision.cli.checks import require_torch

    require_torch("litevision convert")
    import json

    from litevision.weights.load import load_weights
    from litevision.weights.save import save_weights

    loaded = load_weights(
        options.source,
        options.model,
        dialect=options.dialect,
        width_mult=options.width,
        num_classes=options.classes,
        reset_classifier=options.reset_classifier,
        drop_background=options.drop_background or None,
    )
    if options.output is not None:
        save_weights(loaded.network, options.output, options.to)
    facts = _facts(loaded, options.output, options.to)
    if options.json:
        print(json.dumps(facts))
        return 0
    width_column = max(map(len, facts))
    for name, value in facts.items():
        print(f"{name:<{width_column}}  {value}")
    return 0


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
