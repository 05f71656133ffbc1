"""litevision models: the bundles that come along, every architecture, and every published weight set."""

from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any, ClassVar

from litevision import console
from litevision.cli.fields import json_flag
from litevision.cli.parser import flag

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from litevision.registry import Architecture, Variant
    from litevision.registry.weight_sets import WeightSet


@dataclass(frozen=True, kw_only=True)
class ModelsOptions:
    """List the bundles of the package, every architecture with its costs at 224x224, and every published weight set.

    The weight sets' scores are their publishers' claims; a bundle's was measured with that file.
    """

    examples: ClassVar = ("litevision models", "litevision models --weights --json")
    architectures: bool = flag(help="List only the architectures.")
    weights: bool = flag(help="List only the weight sets.")
    json: bool = json_flag("Print one JSON object.")


def run(options: ModelsOptions) -> int:
    """List and print."""
    import json

    from litevision.registry import ALIASES, ARCHITECTURES, DETECTORS
    from litevision.registry.weight_sets import weight_sets
    from litevision.zoo import BUNDLES

    wants_all = options.architectures == options.weights
    found: dict[str, list[dict[str, Any]]] = {}
    if wants_all:
        found["bundles"] = [_bundle(name, path) for name, path in BUNDLES.items()]
    if options.architectures or wants_all:
        costs = _costs()
        found["architectures"] = [_architecture(row, costs) for row in ARCHITECTURES.values()]
        found["detectors"] = [
            {"name": row.name, "title": row.title, "paper": f"arXiv:{row.paper}"} for row in DETECTORS.values()
        ]
        found["aliases"] = [_alias(name, variant) for name, variant in ALIASES.items()]
    if options.weights or wants_all:
        found["weights"] = [_weight_set(row) for row in weight_sets()]
    if options.json:
        print(json.dumps(found))
    else:
        _print(found)
    return 0


def _costs() -> "Mapping[str, tuple[int, int]]":
    """(params, MACs) of each architecture's default form for 224x224 pixels; nothing, and a note, without torch."""
    from litevision.cli.checks import require_torch
    from litevision.errors import MissingExtraError
    from litevision.registry import ARCHITECTURES

    try:
        require_torch("counting parameters and MACs")
    except MissingExtraError as error:
        console.note(f"note: left out: {error}")
        return {}
    from litevision.cost.ledger import ledger
    from litevision.models import build, configure

    ledgers = {name: ledger(build(configure(name), device="meta")) for name in ARCHITECTURES}
    return {name: (costs.num_params, costs.macs) for name, costs in ledgers.items()}


def _bundle(name: str, path: "Path") -> dict[str, Any]:
    from litevision.runtime.bundle import checked_metadata, read_bundle

    about = checked_metadata(read_bundle(path), path)
    return {
        "name": name,
        "task": about.task,
        "architecture": about.architecture.name,
        "width_mult": about.architecture.width_mult,
        "labels": list(about.labels),
        "size_hw": list(about.preprocess.size_hw),
        "bytes": path.stat().st_size,
        "score": None if about.score is None else asdict(about.score),
        "licence": about.weights.licence,
    }


def _architecture(row: "Architecture", costs: "Mapping[str, tuple[int, int]]") -> dict[str, Any]:
    from litevision.registry import ALIASES

    counted = {}
    if row.name in costs:
        counted = {"num_params": costs[row.name][0], "macs": costs[row.name][1], "size_hw": [224, 224]}
    return {
        "name": row.name,
        "title": row.title,
        "paper": f"arXiv:{row.paper}",
        "dialects": list(row.dialects),
        "aliases": [name for name, variant in ALIASES.items() if variant.architecture == row.name],
        **counted,
    }


def _alias(name: str, variant: "Variant") -> dict[str, Any]:
    return {
        "name": name,
        "architecture": variant.architecture,
        "dialect": variant.dialect,
        "width_mult": variant.width_mult,
        "options": dict(variant.options),
    }


def _weight_set(row: "WeightSet") -> dict[str, Any]:
    return {
        "name": row.name,
        "architecture": row.architecture,
        "dialect": row.dialect,
        "width_mult": row.width_mult,
        "size_hw": list(row.input.size_hw),
        "num_classes": row.num_classes,
        "top1": row.top1,
        "top5": row.top5,
        "ap": row.ap,
        "checked": row.is_checked,
        "check": row.check,
        "licence": row.licence,
        "source": row.source,
        "tags": list(row.tags),
    }


def _print(found: "Mapping[str, list[dict[str, Any]]]") -> None:
    from litevision.cli.tables import print_table

    if "bundles" in found:
        _print_bundles(found["bundles"])
        print()
    if "architectures" in found:
        _print_architectures(found["architectures"])
        print("\nDetectors: centernet on the backbone of any architecture, the others as their authors built them")
        print_table(
            dict.fromkeys(("name", "title", "paper"), "left"), [tuple(row.values()) for row in found["detectors"]]
        )
        print("\nOther libraries' names")
        print_table(
            {"name": "left", "architecture": "left", "dialect": "left", "width": "right", "options": "left"},
            [
                (row["name"], row["architecture"], row["dialect"], f"{row['width_mult']:g}", _joined(row["options"]))
                for row in found["aliases"]
            ],
        )
    if "weights" in found:
        print(("\n" if "architectures" in found else "") + "Published weights (scores in percent, as claimed)")
        print_table(
            {
                "name": "left",
                "dialect": "left",
                "width": "right",
                "size": "right",
                "classes": "right",
                "top-1": "right",
                "top-5": "right",
                "AP": "right",
                "check": "left",
                "licence": "left",
            },
            [_weight_set_cells(row) for row in found["weights"] if "notop" not in row["tags"]],
        )
        headless = sum("notop" in row["tags"] for row in found["weights"])
        print(f"and {headless} without a classifier: the names of dialect keras with _notop at the end")


def _print_bundles(rows: "list[dict[str, Any]]") -> None:
    from litevision.cli.tables import print_table

    print("Bundles that come with the package (scores on test images, measured)")
    print_table(
        {"name": "left", "task": "left", "architecture": "left", "score": "left", "MB": "right", "labels": "left"},
        [
            (
                row["name"],
                row["task"],
                row["architecture"],
                _measured(row["score"]),
                f"{row['bytes'] / 1e6:.1f}",
                ", ".join(row["labels"]),
            )
            for row in rows
        ],
    )


def _measured(score: "Mapping[str, Any] | None") -> str:
    if score is None:
        return ""
    if "top1" in score:
        return f"top-1 {score['top1']:.2f} % of {score['count']}"
    return f"AP50 {score['ap50']:.3f}, AP {score['ap']:.3f} of {score['count']}"


def _print_architectures(rows: "list[dict[str, Any]]") -> None:
    from litevision.cli.tables import print_table
    from litevision.tables import Align

    columns: dict[str, Align] = {"name": "left", "title": "left"}
    cells = [[row["name"], row["title"]] for row in rows]
    if all("macs" in row for row in rows):
        columns |= {"params": "right", "MACs": "right"}
        for line, row in zip(cells, rows, strict=True):
            line += [f"{row['num_params']:,}", f"{row['macs']:,}"]
    columns |= {"paper": "left", "dialects, default first": "left"}
    for line, row in zip(cells, rows, strict=True):
        line += [row["paper"], ", ".join(row["dialects"])]
    print("Architectures (default dialect, 1000 classes, 224x224 pixels)")
    print_table(columns, cells)


def _weight_set_cells(row: dict[str, Any]) -> tuple[str, ...]:
    height, width = row["size_hw"]
    return (
        row["name"],
        row["dialect"],
        f"{row['width_mult']:g}",
        str(height) if height == width else f"{height}x{width}",
        str(row["num_classes"] or "-"),
        "-" if row["top1"] is None else f"{row['top1']:.3f}",
        "-" if row["top5"] is None else f"{row['top5']:.3f}",
        "-" if row["ap"] is None else f"{row['ap']:.1f}",
        row["check"] if row["checked"] else "unchecked",
        row["licence"],
    )


def _joined(options: "Mapping[str, object]") -> str:
    return ", ".join(f"{name}={value}" for name, value in options.items())
