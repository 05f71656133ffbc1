"""litevision convert: read anyone's weights, say what they are, write them in another layout."""

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar

from litevision.cli.fields import dialect_option, json_flag, map_option, network_names, save_map_option, weight_names
from litevision.cli.parser import argument, flag, option
from litevision.tables import escape
from litevision.weights.layouts import LAYOUTS, writable_layouts

if TYPE_CHECKING:
    from litevision.weights.conversion import Conversion


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
        None,
        short="-o",
        metavar="FILE",
        help="File to write; without it the weights are only described.",
        writes="weights",
    )
    to: str = option(
        "litevision",
        metavar="LAYOUT",
        choices=writable_layouts,
        help="Layout of the written file: "
        + "; ".join(f"{row.name}, {row.help}" for row in LAYOUTS.values() if row.writers)
        + ".",
    )
    model: str | None = option(None, choices=network_names, help="Network of the weights; detected unless given.")
    dialect: str | None = dialect_option("Library whose form the network has, where the file alone cannot tell.")
    width: float | None = option(None, help="Width multiplier; detected unless given.")
    classes: int | None = option(None, help="Number of classes; the file's own unless given.")
    in_channels: int | None = option(
        None,
        help="Channels of the input; weights for RGB are adapted to 1 (grey) or more. The file's own unless given.",
    )
    reset_classifier: bool = flag(help="Initialise the classifier anew where the numbers of classes differ.")
    drop_background: bool = flag(help="Leave out class 0 of a file with one class more (1001).")
    map: Path | None = map_option()
    save_map: Path | None = save_map_option()
    json: bool = json_flag("Print one JSON object.")


def run(options: ConvertOptions) -> int:
    """Convert the weights and print what they are."""
    from litevision.cli.checks import require_torch

    require_torch("litevision convert")
    import json

    from litevision.weights.conversion import convert

    done = convert(
        options.source,
        options.output,
        to=options.to,
        model=options.model,
        dialect=options.dialect,
        width_mult=options.width,
        num_classes=options.classes,
        in_channels=options.in_channels,
        reset_classifier=options.reset_classifier,
        drop_background=options.drop_background or None,
        weight_map=options.map,
        save_map=options.save_map,
    )
    facts = _facts(done)
    if options.json:
        print(json.dumps(facts))
        return 0
    width_column = max(map(len, facts))
    for name, value in facts.items():
        print(f"{name:<{width_column}}  {escape(str(value))}")
    return 0


def _facts(done: "Conversion") -> dict[str, Any]:
    """What was read and written, one value to a line; what does not apply is left out."""
    facts: dict[str, Any] = {
        "source": done.source,
        "layout": done.layout,
        "model": done.model,
        "dialect": done.dialect,
        "width_mult": done.width_mult,
        "num_classes": done.num_classes,
        "num_params": done.num_params,
    }
    if done.in_channels != 3:
        facts["in_channels"] = done.in_channels
    if done.final_endpoint is not None:
        facts["final_endpoint"] = done.final_endpoint
    if done.background_dropped:
        facts["background"] = "class 0 of the file was left out"
    if done.classifier_reset:
        facts["reset"] = "the classifier starts from scratch"
    if done.written is not None:
        facts["written"] = str(done.written)
        facts["written_layout"] = done.written_layout
    return facts
