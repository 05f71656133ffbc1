"""The table of commands: what each is called, what it does, where it lives, and what other tools call it."""

import importlib
from types import ModuleType
from typing import NamedTuple

from litevision.cli.parser import CommandLineError
from litevision.errors import near_names

USE, TRAIN, INSPECT, MEASURE, SHELL = "Use", "Train", "Look inside", "Measure", "Shell"


class Command(NamedTuple):
    """A command of the command line.

    Attributes:
        group: the heading that the help lists it under.
        help: what it does, in one line.
        module: where its dataclass of options and its ``run(options) -> int`` are; imported when it is called.
    """

    group: str
    help: str
    module: str


COMMANDS = {
    "classify": Command(USE, "Name what images and videos show.", "litevision.cli.classify"),
    "detect": Command(USE, "Find objects in images and videos.", "litevision.cli.detect"),
    "batch": Command(USE, "Classify or detect in any number of images, resumable.", "litevision.cli.batch"),
    "evaluate": Command(USE, "Score a model on labelled images.", "litevision.cli.evaluate"),
    "serve": Command(USE, "Answer images over HTTP, with a page to try models.", "litevision.cli.serve"),
    "page": Command(USE, "Write a page that runs a model in the browser.", "litevision.cli.page"),
    "check-data": Command(TRAIN, "Find faults in labelled images or boxes.", "litevision.cli.check_data"),
    "train": Command(TRAIN, "Train a model on your own images.", "litevision.cli.train"),
    "average": Command(TRAIN, "Average the weights of several runs.", "litevision.cli.average"),
    "compare": Command(TRAIN, "Train several detectors under one recipe, side by side.", "litevision.cli.compare"),
    "models": Command(INSPECT, "List models, architectures and published weights.", "litevision.cli.models"),
    "info": Command(INSPECT, "Show parameters, MACs and output of each layer.", "litevision.cli.info"),
    "draw": Command(INSPECT, "Draw a network as SVG, PNG, PDF or DOT.", "litevision.cli.draw"),
    "lint": Command(INSPECT, "Find layers that go against efficiency guidelines.", "litevision.cli.lint"),
    "convert": Command(INSPECT, "Convert weights between libraries' layouts.", "litevision.cli.convert"),
    "export": Command(INSPECT, "Make a checked .onnx bundle from weights.", "litevision.cli.export"),
    "adopt": Command(INSPECT, "Make a bundle of another's ONNX file.", "litevision.cli.adopt"),
    "quantize": Command(INSPECT, "Make a bundle in int8, if it answers as before.", "litevision.cli.quantize"),
    "bench": Command(MEASURE, "Compare engines, precisions and batch sizes.", "litevision.cli.bench"),
    "profile": Command(MEASURE, "Time each layer of a model.", "litevision.cli.profile"),
    "guidelines": Command(MEASURE, "Repeat the ShuffleNetV2 paper's experiments.", "litevision.cli.guidelines"),
    "choose": Command(MEASURE, "Choose a network for a budget of time or size.", "litevision.cli.choose"),
    "completion": Command(SHELL, "Print a completion script for bash, zsh or fish.", "litevision.cli.completion"),
}

OTHER_WORDS = {
    ("predict", "infer", "inference", "run", "recognise", "recognize"): ("classify", "detect"),
    ("track", "find", "segment"): ("detect",),
    ("bulk", "job", "jobs", "shard", "distributed"): ("batch",),
    ("test", "val", "valid", "validate", "validation", "eval", "score"): ("evaluate",),
    ("fit", "finetune", "fine-tune", "learn", "resume"): ("train",),
    ("ensemble", "soup", "merge", "swa"): ("average",),
    ("verify", "check", "dataset", "data", "audit"): ("check-data",),
    ("summary", "summarise", "summarize", "describe", "show", "flops", "macs", "params", "count"): ("info",),
    ("list", "ls", "zoo", "hub", "search"): ("models",),
    ("plot", "visualise", "visualize", "graph"): ("draw",),
    ("benchmark", "speed", "latency", "time"): ("bench", "profile"),
    ("compile", "onnx", "save"): ("export",),
    ("server", "api", "http", "web", "app", "demo", "host"): ("serve",),
    ("browser", "html", "webpage", "offline", "javascript", "js", "wasm"): ("page",),
    ("deploy",): ("export", "serve", "page"),
    ("port", "import", "translate"): ("convert", "adopt"),
    ("wrap", "onboard", "take"): ("adopt",),
    ("quantise", "int8", "ptq", "compress"): ("quantize",),
    ("select", "recommend", "pick", "suggest", "nas"): ("choose",),
}
"""What other tools call a command, and which of ours does it."""


def find_command(name: str) -> Command:
    """Find a command by its name.

    Raises:
        CommandLineError: there is none; the message names the command that other tools call so, or the nearest names.
    """
    if name in COMMANDS:
        return COMMANDS[name]
    near = [ours for words, commands in OTHER_WORDS.items() if name.lower() in words for ours in commands]
    near = near or near_names(name, COMMANDS)
    hint = f" Did you mean {' or '.join(map(repr, near))}?" if near else ""
    raise CommandLineError(f"no command {name!r}.{hint} See litevision --help.")


def load_command(name: str) -> tuple[ModuleType, type]:
    """Import a command's module; gives it and the dataclass of its options, which its ``run`` takes."""
    module = importlib.import_module(find_command(name).module)
    return module, module.run.__annotations__["options"]
