"""Writes the generated tables of README.md and docs/, each between <!-- generated: NAME --> and <!-- end -->.

python tools/readme_tables.py           rewrite what is stale
python tools/readme_tables.py --check   change nothing, exit 1 where something is stale
"""

import ast
import csv
import importlib
import importlib.util
import inspect
import json
import math
import re
import sys
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import fields, is_dataclass
from functools import cache, partial
from pathlib import Path
from typing import Any, get_type_hints

import litevision
from litevision.adopting.decoding import Decoding
from litevision.adopting.decodings import DECODINGS
from litevision.adopting.presets import PRESETS
from litevision.cli.commands import COMMANDS, load_command
from litevision.cli.help import help_of, typed
from litevision.cli.parser import fields_of
from litevision.cost.ledger import Ledger, ledger
from litevision.data import FORMATS, RULES
from litevision.data.formats import Format, formats_of
from litevision.models import Network, build, configure
from litevision.models.dialect import Dialect
from litevision.registry import ARCHITECTURES
from litevision.registry.weight_sets import WeightSet, weight_sets
from litevision.runtime import BundleMetadata
from litevision.runtime.engines import EngineSpec
from litevision.runtime.schema import REST
from litevision.tasks import TASKS, task_of
from litevision.training.recipe_file import recipe_tables

ROOT = Path(__file__).parents[1]
SRC = ROOT / "src/litevision"
RESULTS = ROOT / "benchmarks/results"
SIZE_PX = 224
WIDTH = 0.75
SCALED_FAMILIES = ("mobilenet_v1", "mobilenet_v2", "mobilenet_v3")  # those whose papers have a width multiplier

_LABELS = {"classification": "one class an image", "detection": "boxes"}
_BLOCK = re.compile(r"(?P<start><!-- generated: (?P<name>[A-Za-z0-9_ -]+) -->\n).*?(?P<end><!-- end -->)", re.DOTALL)
_ATTRIBUTE = re.compile(r"^ {4}(?P<name>\w+): (?P<text>.*(?:\n {8}.*)*)", re.MULTILINE)


def documents() -> list[Path]:
    """The files that have generated parts."""
    return [
        path for path in (ROOT / "README.md", *sorted(ROOT.glob("docs/**/*.md"))) if _BLOCK.search(path.read_text())
    ]


def rendered(text: str) -> str:
    """``text`` with each generated part as it should be."""
    return _BLOCK.sub(lambda found: f"{found['start']}{TABLES[found['name']]()}\n{found['end']}", text)


def stale() -> list[Path]:
    """The documents with a part that is not as it should be."""
    return [path for path in documents() if rendered(path.read_text()) != path.read_text()]


def models() -> str:
    """Every architecture in its default dialect, with the best score that anybody published for it at width 1."""
    rows = []
    for row in ARCHITECTURES.values():
        costs = _costs(row.name)
        best = max(_comparable(row.name), key=lambda found: found.top1 or 0)
        rows.append(
            (
                f"`{row.name}`",
                ", ".join(row.dialects),
                f"{costs.num_params:,}",
                f"{costs.macs:,}",
                f"{best.top1:.1f}" + ("" if best.input.size_hw[0] == SIZE_PX else f" ({best.input.size_hw[0]} px)"),
                f"`{best.name}`",
                best.licence,
            )
        )
    head = ("architecture", "dialects, default first", "params", f"MACs at {SIZE_PX}", "top-1 %", "of these weights")
    return table((*head, "their licence"), rows, right=(2, 3, 4))


def _comparable(architecture: str) -> list[WeightSet]:
    """The sets of the whole ImageNet classifier at width 1 and 224 px, or at the next larger size that there is."""
    sets = [
        row
        for row in weight_sets()
        if row.architecture == architecture
        and row.width_mult == 1
        and not row.options
        and row.num_classes == 1000
        and row.top1
        and row.input.size_hw >= (SIZE_PX, SIZE_PX)
    ]
    smallest = min(row.input.size_hw for row in sets)
    return [row for row in sets if row.input.size_hw == smallest]


def width_example() -> str:
    """MobileNetV3-Large at width 0.75 in every dialect."""
    name, reference = "mobilenet_v3_large", _expansions(_network("mobilenet_v3_large", "torchvision", WIDTH))
    rows = []
    for dialect in ARCHITECTURES[name].dialects:
        if not _exists(name, dialect, WIDTH):
            continue
        network = _network(name, dialect, WIDTH)
        costs = ledger(network, (SIZE_PX, SIZE_PX))
        differing = sum(a != b for a, b in zip(_expansions(network), reference, strict=True))
        rows.append((dialect, f"{costs.num_params:,}", f"{costs.macs:,}", f"{differing} of {len(reference)}"))
    head = ("dialect", "params", f"MACs at {SIZE_PX}", "expansions other than torchvision's")
    return table(head, rows, right=(1, 2, 3))


def _exists(name: str, dialect: str, width_mult: float) -> bool:
    """Whether the dialect's origin has the network: the tutorial's MobileNetV3 and timm's rw have width 1 alone."""
    row = ARCHITECTURES[name]
    only_whole = (row.family, dialect) in (("mobilenet_v3", "tutorial"), ("mobilenet_v3", "timm_rw"))
    return dialect in row.dialects and (width_mult == 1 or not only_whole)


def _expansions(network: Network) -> list[int]:
    depthwise = [f"features.{end.name}.depthwise.conv" for end in network.endpoints if end.name.startswith("block_")]
    return [network.get_parameter(f"{path}.weight").shape[0] for path in depthwise]


def label_formats() -> str:
    """Every label format."""
    return table(("format", "labels", "files"), [(row.name, _LABELS[row.task], row.layout) for row in FORMATS])


def box_formats() -> str:
    """The formats of boxes."""
    return table(("format", "files"), [(row.name, row.layout) for row in formats_of("detection")])


def data_rules(*, of_boxes: bool) -> str:
    """The rules of check-data: those of images, or those of boxes alone."""
    rows = [(f"`{rule.name}`", rule.severity, rule.what, rule.advice) for rule in RULES if rule.of_boxes == of_boxes]
    return table(("rule", "severity", "what is found", "what to do"), rows)


def counts(width_mult: float) -> str:
    """Parameters of every architecture in every dialect, 1000 classes."""
    names = [row.name for row in ARCHITECTURES.values() if width_mult == 1 or row.family in SCALED_FAMILIES]
    by_length = sorted((ARCHITECTURES[name].dialects for name in names), key=len, reverse=True)
    dialects = list(dict.fromkeys(dialect for found in by_length for dialect in found))
    rows = [
        (
            f"`{name}`",
            *(
                f"{_num_params(name, dialect, width_mult):,}" if _exists(name, dialect, width_mult) else ""
                for dialect in dialects
            ),
        )
        for name in names
    ]
    return table(("architecture", *dialects), rows, right=range(1, len(dialects) + 1))


def rules(family: str) -> str:
    """What each dialect of ``family`` fixes, then what the names mean, from the docstrings beside the code."""
    found: Mapping[str, Any] = importlib.import_module(f"litevision.models.{family}").RULES
    settings = {name: {**_values(rule.dialect), **_values(rule)} for name, rule in found.items()}
    names = [name for name in next(iter(settings.values())) if name not in ("name", "dialect")]
    rows = [(f"`{name}`", *(_shown(values[name]) for values in settings.values())) for name in names]
    meanings = attributes(type(next(iter(found.values()))))
    listed = "".join(f"\n- `{name}`: {text}" for name, text in meanings.items())
    return table(("", *settings), rows) + ("\n" + listed if listed else "")


def shared_rules() -> str:
    """What the conventions of ``Dialect`` mean."""
    return "\n".join(f"- `{name}`: {text}" for name, text in attributes(Dialect).items())


def inputs() -> str:
    """What the published sets of each dialect were measured with."""
    found: dict[str, list[WeightSet]] = {}
    for row in weight_sets():
        found.setdefault(row.dialect, []).append(row)
    rows = [
        (
            dialect,
            _each(f"{_triple(row.input.mean)} / {_triple(row.input.std)}" for row in rows_of),
            _each(row.input.interpolation for row in rows_of),
            _each(str(row.input.size_hw[0]) for row in rows_of),
            _each(str(row.num_classes or "none") for row in rows_of),
        )
        for dialect, rows_of in found.items()
    ]
    return table(("dialect", "mean / standard deviation of pixel / 255", "interpolation", "input, px", "classes"), rows)


def bundle() -> str:
    """The keys of a bundle's metadata."""
    meanings, hints = attributes(BundleMetadata), get_type_hints(BundleMetadata)
    rows = [("`format_version`", "", "of this record")]
    for field in fields(BundleMetadata):
        hint = hints[field.name]
        parts = [kind for kind in (hint, *getattr(hint, "__args__", ())) if is_dataclass(kind)]
        inner = ", ".join(
            "its family's arguments" if part.metadata == REST else f"`{part.name}`"
            for kind in parts
            for part in fields(kind)
        )
        rows.append((f"`{field.name}`", inner, meanings[field.name]))
    return table(("key", "holds", "what it says"), rows)


def recipe() -> str:
    """Every option of a training recipe, with its default."""
    rows = []
    recipes = [task_of(name).recipe() for name in TASKS]
    owners = {name: recipe for recipe in reversed(recipes) for name in recipe_tables(recipe)}
    ordered = dict.fromkeys(name for recipe in recipes for name in recipe_tables(recipe))
    for table_name in ordered:
        options = recipe_tables(owners[table_name])[table_name]
        kinds = reversed(type(getattr(owners[table_name], table_name)).__mro__)
        meanings = {name: text for kind in kinds for name, text in attributes(kind).items()}
        for name, value in options.items():
            rows.append((f"`{table_name}.{name}`", f"`{json.dumps(value)}`", meanings[name].replace("``", "`")))
    return table(("option", "default", "what it says"), rows)


def commands() -> str:
    """Every command with what it does."""
    rows = [(f"`{name}`", command.group, command.help) for name, command in COMMANDS.items()]
    return table(("command", "for", "what it does"), rows)


def options(name: str) -> str:
    """The arguments and options of one command, as its ``--help`` has them."""
    rows = [(f"`{_cell(typed(field))}`", _cell(help_of(field))) for field in fields_of(load_command(name)[1])]
    return table(("argument or option", "what it says"), rows)


def _cell(text: str) -> str:
    return text.replace("|", "\\|")


def fields_table(record: type) -> str:
    """The fields of a table's row, from its docstring."""
    rows = [(f"`{name}`", _cell(text.replace("``", "`"))) for name, text in attributes(record).items()]
    return table(("field", "what it says"), rows)


def layering() -> str:
    """What each part is for and what it may import, from the table that a test holds against the sources."""
    spec = importlib.util.spec_from_file_location("layering", ROOT / "tests/meta/test_layering.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    rows = [
        (f"`{part}`", _first_line(part), ", ".join(f"`{name}`" for name in sorted(imports)) or "nothing of ours")
        for part, imports in module.MAY_IMPORT.items()
        if part != "__main__"
    ]
    return table(("part", "what it is", "may import"), rows)


def _first_line(part: str) -> str:
    """The first line of a part's docstring."""
    if part == "tasks.*":
        return "What is special to one task, in a module each; found through the table in `tasks` alone."
    path = SRC / part / "__init__.py" if (SRC / part).is_dir() else SRC / f"{part}.py"
    text = ast.get_docstring(ast.parse(path.read_text())) or ""
    return _cell(text.partition("\n\n")[0].replace("\n", " ").replace("``", "`"))


def api(kind: str) -> str:
    """The public verbs or types, for mkdocstrings."""
    found = {name: getattr(litevision, name) for name in litevision.__all__ if not name.startswith("__")}
    names = [name for name, value in found.items() if isinstance(value, type) == (kind == "types")]
    return "\n\n".join(f"::: litevision.{name}" for name in names)


def measured_folder() -> str:
    """Images a second of every way to classify a folder, and what litevision is to each of them."""
    rows = _results("folder")
    found = {(row["condition"], row["what"]): row for row in rows if row["unit"] in ("images/s", "ratio")}
    contenders = dict.fromkeys(row["what"] for row in rows if row["unit"] == "images/s")
    head, body = ["images/s"], {what: [what] for what in (*contenders, "bound")}
    for condition in dict.fromkeys(row["condition"] for row in rows):
        head += [condition, "litevision, auto / it"]
        for what, cells in body.items():
            cells += [_median(found.get((condition, name))) for name in (what, f"litevision, auto / {what}")]
    return table(head, body.values(), right=range(1, len(head))) + _footing(rows)


def measured_cold() -> str:
    """Milliseconds from the start of a process to its end."""
    rows = _results("cold")
    found = {row["what"]: row for row in rows}
    body = [
        (what, _median(row), _median(found.get(f"{what} / litevision classify")))
        for what, row in found.items()
        if row["unit"] == "ms"
    ]
    return table(("one photo", "ms", "it / litevision classify"), body, right=(1, 2)) + _footing(rows)


def measured_auto_choice() -> str:
    """What ``auto`` chooses, and whether another engine would have been quicker."""
    rows = _results("auto_choice")
    body = [(row["condition"], row["engine"], _median(row)) for row in rows if row["unit"] == "ratio"]
    return table(("network", "auto chooses", "its time / the best engine's"), body, right=(2,)) + _footing(rows)


def measured_reduced_decoding() -> str:
    """How often decoding at reduced size changes an answer."""
    rows = _results("reduced_decoding")
    return table((rows[0]["condition"], ""), [(row["what"], _median(row)) for row in rows], right=(1,)) + _footing(rows)


def measured_latency() -> str:
    """How far predicted milliseconds are off, in each engine, and for each network."""
    rows = _results("latency")
    engines = list(dict.fromkeys(row["engine"] for row in rows))
    found = {(row["engine"], row["condition"], row["what"]): row for row in rows}
    errors = [row for row in rows if row["unit"] == "share"]
    about = errors[0]["condition"]
    whats = list(dict.fromkeys(row["what"] for row in errors))
    summary = [(engine, *(_percent(found[engine, about, what]) for what in whats)) for engine in engines]
    networks = dict.fromkeys(row["condition"] for row in rows if row["unit"] == "ratio")
    body = [
        (network, *(_median(found[engine, network, what]) for engine in engines for what in ("measured", "predicted")))
        for network in networks
    ]
    head = ["ms", *(f"{engine}, {what}" for engine in engines for what in ("measured", "predicted"))]
    parts = (table((about, *whats), summary, right=(1, 2)), table(head, body, right=range(1, len(head))))
    return "\n\n".join(parts) + _footing(rows)


def measured_from_scratch() -> str:
    """What fresh starts on few images come to."""
    rows = _results("from_scratch")
    units = {
        "nats, validation": "validation loss",
        "% of training images": "training images, %",
        "% of validation images": "validation images, %",
        "% of test images": "test images, % (95 % interval)",
        "epochs": "epochs",
    }
    found = {(row["what"], row["unit"]): float(row["median"]) for row in rows}
    tests = {row["what"]: (float(row["low"]), float(row["high"])) for row in rows if row["unit"] == "% of test images"}
    body = []
    for what, (low, high) in tests.items():
        loss, train, validation, test, epochs = (found[what, unit] for unit in units)
        scores = (f"{loss:.2f}", f"{train:.1f}", f"{validation:.1f}", f"{test:.1f} ({low:.0f} to {high:.0f})")
        body.append((what, *scores, f"{epochs:.0f}"))
    return table((rows[0]["condition"], *units.values()), body, right=range(1, 6)) + _footing(rows)


def measured_detection_starts() -> str:
    """What detectors come to that begin with COCO, ImageNet or random weights."""
    rows = _results("detection_starts")
    units = ("AP", "AP50", "minutes of training")
    found = {(row["condition"], row["what"], row["unit"]): row for row in rows}
    sets = dict.fromkeys(row["condition"] for row in rows)
    head = ("AP, AP50, minutes", *sets)
    body = [
        (start, *(", ".join(_median(found.get((name, start, unit))) for unit in units) for name in sets))
        for start in dict.fromkeys(row["what"] for row in rows)
    ]
    return table(head, body, right=range(1, len(head))) + _footing(rows)


def measured_formats() -> str:
    """Every network in every format: megabytes, milliseconds, and how far it answers as its bundle."""
    rows = _results("formats")
    parts = _by_condition(rows, ("size, MB", "ms", "largest difference", "same best answer, %", "right, %"))
    calls = [int(row["n"]) for row in rows if row["unit"] == "ms"]
    timed = f"\n\nMilliseconds are medians of {min(calls)} to {max(calls)} calls (interquartile range)."
    return "\n\n".join(parts) + timed + _footing([row for row in rows if row["unit"] != "ms"])


def measured_quantization() -> str:
    """What ways to 8 bits cost, of each bundle."""
    rows = _results("quantization")
    units = ("top-1, %", "answers that stay, %", "size, MB", "ms", "taken by the gate")
    return "\n\n".join(_by_condition(rows, units)) + _footing(rows)


def _by_condition(rows: Sequence[Mapping[str, str]], units: Sequence[str]) -> list[str]:
    """A table for each condition: what was measured, and its median in each unit."""
    found = {(row["condition"], row["what"], row["unit"]): row for row in rows}
    parts = []
    for condition in dict.fromkeys(row["condition"] for row in rows):
        names = dict.fromkeys(row["what"] for row in rows if row["condition"] == condition)
        body = [(name, *(_median(found.get((condition, name, unit))) for unit in units)) for name in names]
        parts.append(table((condition, *units), body, right=range(1, len(units) + 1)))
    return parts


def _percent(row: Mapping[str, str]) -> str:
    """The median, the least and the most, in percent."""
    median, low, high = (float(row[key]) for key in ("median", "low", "high"))
    return f"{median:.1%} ({low:.1%} to {high:.1%})"


def _results(benchmark: str) -> list[dict[str, str]]:
    """The rows of every result file of ``benchmark``."""
    found = []
    for path in sorted(RESULTS.glob(f"{benchmark}*.csv")):
        with path.open(encoding="utf-8", newline="") as stream:
            found += list(csv.DictReader(stream))
    return found


def _median(row: Mapping[str, str] | None) -> str:
    """The median, and in parentheses the interquartile range of what was measured more than once."""
    if row is None:
        return ""
    median, spread = float(row["median"]), float(row["spread"])
    return _digits(median) + (f" ({_digits(spread)})" if int(row["n"]) > 1 else "")


def _digits(value: float) -> str:
    return f"{value:,.0f}" if value >= 100 or value == int(value) else f"{value:.2g}" if value < 1 else f"{value:.3g}"


def _footing(rows: Sequence[Mapping[str, str]]) -> str:
    """What the figures depend on."""
    repeated = _each(row["n"] for row in rows if int(row["n"]) > 1)
    threads, load, *rest = (
        _each(row[key] for row in rows) for key in ("threads", "load_average", "machine", "weights", "versions")
    )
    medians = f"Medians of {repeated} measurements (interquartile range)" if repeated else "One measurement each"
    return f"\n\n{medians}; {threads} threads; load average before the start {load}; {'; '.join(rest)}"


def attributes(documented: type) -> dict[str, str]:
    """The attributes that a class' docstring explains, in one line each."""
    section = (inspect.getdoc(documented) or "").partition("Attributes:\n")[2]
    return {found["name"]: " ".join(found["text"].split()).rstrip(".") for found in _ATTRIBUTE.finditer(section)}


def table(head: Sequence[str], rows: Iterable[Sequence[str]], right: Iterable[int] = ()) -> str:
    """A Markdown table; ``right`` are the columns of numbers."""
    rule = ["---:" if i in set(right) else "---" for i in range(len(head))]
    return "\n".join("| " + " | ".join(cells) + " |" for cells in (head, rule, *rows))


def _network(name: str, dialect: str | None = None, width_mult: float = 1.0) -> Network:
    return build(configure(name, dialect=dialect, width_mult=width_mult), device="meta")


@cache
def _num_params(name: str, dialect: str, width_mult: float) -> int:
    return sum(parameter.numel() for parameter in _network(name, dialect, width_mult).parameters())


@cache
def _costs(name: str) -> Ledger:
    return ledger(_network(name), (SIZE_PX, SIZE_PX))


def _values(record: Any) -> dict[str, Any]:
    return {field.name: getattr(record, field.name) for field in fields(record)}


def _shown(value: object) -> str:
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, type):
        return value.__name__
    return "never" if value == math.inf else f"{value:g}" if isinstance(value, float) else str(value)


def _each(values: Iterable[str]) -> str:
    return "; ".join(dict.fromkeys(values))


def _triple(values: tuple[float, float, float]) -> str:
    return f"{values[0]:g}" if len(set(values)) == 1 else " ".join(f"{value:g}" for value in values)


MEASURED: dict[str, Callable[[], str]] = {
    "folder": measured_folder,
    "cold": measured_cold,
    "auto_choice": measured_auto_choice,
    "reduced_decoding": measured_reduced_decoding,
    "latency": measured_latency,
    "from_scratch": measured_from_scratch,
    "formats": measured_formats,
    "quantization": measured_quantization,
    "detection_starts": measured_detection_starts,
}


def decodings() -> str:
    """What the outputs of adopted files may mean."""
    rows = [(f"`{name}`", row.task, row.help) for name, row in DECODINGS.items()]
    return table(("decoding", "task", "outputs"), rows)


def presets() -> str:
    """How projects feed their networks."""
    rows = [(f"`{name}`", row.help) for name, row in PRESETS.items()]
    return table(("preset", "networks"), rows)


TABLES: dict[str, Callable[[], str]] = {
    "models": models,
    "commands": commands,
    "layering": layering,
    **{f"fields {row.__name__}": partial(fields_table, row) for row in (Format, EngineSpec, Decoding)},
    **{f"api {kind}": partial(api, kind) for kind in ("verbs", "types")},
    **{f"options {name}": partial(options, name) for name in COMMANDS},
    "width example": width_example,
    "bundle": bundle,
    "decodings": decodings,
    "presets": presets,
    "inputs": inputs,
    "recipe": recipe,
    "label formats": label_formats,
    "box formats": box_formats,
    "rules of images": partial(data_rules, of_boxes=False),
    "rules of boxes": partial(data_rules, of_boxes=True),
    "shared rules": shared_rules,
    "counts": partial(counts, 1.0),
    "counts at width 075": partial(counts, WIDTH),
    **{f"measured {name}": measured for name, measured in MEASURED.items() if _results(name)},
    **{f"rules {family}": partial(rules, family) for family in (*SCALED_FAMILIES, "shufflenet_v2")},
}


def main(arguments: Sequence[str]) -> int:
    """The exit code."""
    changed = stale()
    for path in changed:
        print(f"{path.relative_to(ROOT)} is stale" + ("; run: python tools/readme_tables.py" if arguments else ""))
        if not arguments:
            path.write_text(rendered(path.read_text()))
    return 1 if changed and arguments else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
