"""How fast MobileNetV2 is trained, against the loop of torchvision's references and of tutorials.

    python benchmarks/training.py --source FOLDER

Every contender trains MobileNetV2 1.0 at 224 x 224 with batches of 32 and SGD on the same images, cut out at random
and mirrored, in a fresh process on all cores, one after the other, round by round. The first epoch, in which litevision
decodes every image and the page cache fills, is not timed. The epochs after it are, the starts of their workers
included, validation and checkpoints not. FOLDER holds photos, of which the images are made. Takes about 40 minutes.
"""

import json
import shutil
import sys
from argparse import ArgumentTypeError, Namespace
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from typing import Any

from _common import Row, child, conditions, interleaved, parser, python_child, ratios, report, row, workplace
from _images import make_images, sources

from litevision.runtime.cpus import available_cpus

THEIRS = "torchvision loop"
OURS = ("litevision, fp32", "litevision")
CLASSES = 4
CROP_SCALE, LR, MOMENTUM, WEIGHT_DECAY = (0.35, 1.0), 0.01, 0.9, 1e-4

Rounds = dict[str, list[dict[str, Any]]]


def main() -> None:
    """Measures, reports."""
    options = parser(__doc__, rounds=5, threads=False, weights=False)
    options.add_argument("--images", type=at_least(64), default=640, help="how many (%(default)s)")
    options.add_argument("--epochs", type=at_least(1), default=2, help="that are timed (%(default)s)")
    options.add_argument("--source", type=Path, metavar="FOLDER", help="photos to make them of (examples/elephant.jpg)")
    arguments = options.parse_args()
    arguments.size = 224
    if arguments.quick:
        arguments.images, arguments.epochs, arguments.size, arguments.rounds = 64, 1, 32, 1
    found = conditions(arguments)
    with workplace() as place:
        made = make_data(place / "data", arguments.images, sources(arguments.source))
        condition = f"{made}; MobileNetV2 1.0 at {arguments.size}x{arguments.size}, batches of 32"
        rounds = interleaved(contenders(place, arguments), arguments.rounds, warm_up=not arguments.quick)
    report(list(rows(rounds, condition)), found, arguments, "training")


def at_least(least: int) -> Callable[[str], int]:
    """What reads a whole number that is not too small."""

    def number(text: str) -> int:
        if not text.isdigit() or int(text) < least:
            raise ArgumentTypeError(f"{text!r}; expected a whole number of at least {least}")
        return int(text)

    return number


def make_data(folder: Path, count: int, originals: list[Path]) -> str:
    """Writes the images, dealt out to the classes, one of each for validation, and says what they are."""
    made = make_images(folder / "all", count + CLASSES, (500, 375), originals)
    for number, path in enumerate(sorted((folder / "all").iterdir())):
        target = folder / ("validation" if number < CLASSES else "train") / f"class{number % CLASSES}"
        target.mkdir(parents=True, exist_ok=True)
        path.rename(target / path.name)
    (folder / "all").rmdir()
    return made


def contenders(place: Path, arguments: Namespace) -> dict[str, Callable[[], dict[str, Any]]]:
    """The loops, by name."""
    script = Path(__file__).with_name("_torchvision_loop.py")
    numbers = (arguments.epochs, arguments.size, available_cpus())
    return {
        THEIRS: partial(python_child, place, script, place / "data/train", *numbers),
        "litevision, fp32": partial(litevision, place, arguments, "fp32"),
        "litevision": partial(litevision, place, arguments, "auto"),
    }


def litevision(place: Path, arguments: Namespace, precision: str) -> dict[str, Any]:
    """What ``litevision train`` says of its epochs, with its default recipe but for what all have in common."""
    settings = {
        "schedule.freeze_backbone_epochs": 0,
        "optimizer.name": "sgd",
        "optimizer.momentum": MOMENTUM,
        "optimizer.weight_decay": WEIGHT_DECAY,
        "augment.policy": "none",
        "augment.erasing": 0.0,
        "augment.crop_scale": list(CROP_SCALE),
        "run.precision": precision,
    }
    command = [Path(sys.executable).with_name("litevision"), "train", place / "data", "--weights", "none"]
    command += ["--epochs", 1 + arguments.epochs, "--size", arguments.size, "--lr", LR]
    command += [word for key, value in settings.items() for word in ("--set", f"{key}={value}")]
    child(place, [*command, "--output", place, "--name", "run"])
    results = json.loads((place / "run/results.json").read_text())
    shutil.rmtree(place / "run")
    epochs = results["epochs"][1:]
    seconds = sum(epoch["seconds"] for epoch in epochs)
    return {
        "images_per_s": sum(epoch["images_per_s"] * epoch["seconds"] for epoch in epochs) / seconds,
        "wait_share": sum(epoch["data_wait_share"] * epoch["seconds"] for epoch in epochs) / seconds,
        "engine": f"torch {results['machine']['precision']}",
    }


def rows(rounds: Rounds, condition: str) -> Iterator[Row]:
    """Each contender's images a second, the share of the time that it waited for images, and how they compare."""
    for unit, key in (("images/s", "images_per_s"), ("of the time waiting for images", "wait_share")):
        for contender, results in rounds.items():
            engine = results[-1]["engine"]
            yield row("training", condition, contender, unit, [result[key] for result in results], engine=engine)
    speeds = {contender: [result["images_per_s"] for result in results] for contender, results in rounds.items()}
    for ours in OURS:
        engine = rounds[ours][-1]["engine"]
        values = ratios(speeds[ours], speeds[THEIRS])
        yield row("training", condition, f"{ours} / {THEIRS}", "ratio", values, engine=engine)


if __name__ == "__main__":
    main()
