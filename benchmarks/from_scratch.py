"""Whether networks of each family and dialect learn from a fresh start, with the defaults of ``litevision train``.

    python benchmarks/from_scratch.py --data FOLDER
    python benchmarks/from_scratch.py --data FOLDER --one-per-dialect --runs runs
    python benchmarks/from_scratch.py --data FOLDER --only keras --runs runs

FOLDER holds a folder of photos for each class. Of three classes 120 photos each are dealt out to training (96),
validation (12) and test (12). Each network is trained by the plain command with ``--weights none``; then its bundle is
scored on the images that it was trained on, too. A network passes where its validation loss is below 0.8 ln(classes),
which is what equal answers to all images cost, and it names over 80 % of the training images right. Exits with 1 where
one does not. ``--one-per-dialect`` trains the one with the fewest params of each dialect, ``--epochs 45`` each for a
shorter time than the command would: both bound the time. ``--runs`` keeps the runs, takes those that are finished as
they are, and goes on with one that was interrupted. All take about 90 minutes on two idle cores, one per dialect about
20, and with those two options about 10.
"""

import json
import math
import shutil
import sys
from argparse import Namespace
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
from _common import Row, child, conditions, finished_run, parser, report, row, workplace
from PIL import Image

import litevision
from litevision.registry import ARCHITECTURES

SPLITS = {"train": 96, "validation": 12, "test": 12}  # of each class
CLASSES = 3
WIDTHS = {"mobilenet_v1": 0.25, "mobilenet_v2": 0.35, "mobilenet_v3": 0.35, "shufflenet_v2": 1.0, "dla": 0.25}
WIDTHS |= {"mobilenet_v4": 0.5}
LEFT_OUT = (  # each has the blocks of a smaller one, with wider columns
    *("shufflenet_v2_x1_0", "shufflenet_v2_x1_5", "shufflenet_v2_x2_0"),
    *("mobilenet_v4_conv_medium", "mobilenet_v4_conv_large"),
)
MOST_LOSS, LEAST_TOP1 = 0.8, 80.0


def main() -> None:
    """Trains each, reports."""
    options = parser(__doc__, rounds=None, threads=False, weights=False)
    options.add_argument("--data", type=Path, metavar="FOLDER", help="class folders of photos (noise of three colours)")
    options.add_argument("--size", type=int, default=96, help="input side in pixels (%(default)s)")
    options.add_argument("--epochs", type=int, metavar="N", help="epochs of each (the recipe's, 84)")
    options.add_argument("--only", metavar="TEXT", default="", help="networks whose name and dialect hold this text")
    options.add_argument("--one-per-dialect", action="store_true", help="of each dialect the smallest network alone")
    options.add_argument("--runs", type=Path, metavar="FOLDER", help="where the runs are kept (they are not)")
    arguments = options.parse_args()
    found = conditions(arguments)
    with workplace() as place:
        data = (arguments.runs or place) / "data"
        if not data.exists():
            deal(arguments.data or made(place / "made"), place / "dealt")
            data.parent.mkdir(parents=True, exist_ok=True)
            shutil.move(place / "dealt", data)
        condition = f"{CLASSES * sum(SPLITS.values())} photos of {CLASSES} classes, {arguments.size}x{arguments.size}"
        results = {
            what: trained(place, data, arguments, *network)
            for what, network in (smallest() if arguments.one_per_dialect else networks())
            if arguments.only in what and (not arguments.quick or "x0.25 slim" in what)
        }
    report([line for what, result in results.items() for line in rows(condition, what, result)], found, arguments,
           "from_scratch")  # fmt: skip
    failed = [what for what, result in results.items() if not result["passes"]]
    if failed and not arguments.quick:
        sys.exit(f"error: {len(failed)} of {len(results)} did not learn: {', '.join(failed)}")


def networks() -> Iterator[tuple[str, tuple[str, str, float]]]:
    """Name, dialect and width of each network to be trained, by what stands in the table."""
    for name, architecture in ARCHITECTURES.items():
        if name not in LEFT_OUT:
            width = WIDTHS[architecture.family]
            for dialect in architecture.dialects:
                yield f"{name} x{width:g} {dialect}", (name, dialect, width)


def smallest() -> Iterator[tuple[str, tuple[str, str, float]]]:
    """Of each dialect the network with the fewest params."""
    best: dict[str, tuple[int, str, tuple[str, str, float]]] = {}
    for what, (name, dialect, width) in networks():
        network = litevision.create(name, dialect=dialect, width=width, classes=CLASSES)
        params = sum(parameter.numel() for parameter in network.parameters())
        if dialect not in best or params < best[dialect][0]:
            best[dialect] = params, what, (name, dialect, width)
    yield from ((what, network) for _, what, network in best.values())


def made(folder: Path) -> Path:
    """Images of three colours with noise, as many as are dealt out."""
    random = np.random.default_rng(0)
    for colour in range(CLASSES):
        (folder / str(colour)).mkdir(parents=True)
        for number in range(sum(SPLITS.values())):
            pixels = random.integers(0, 160, (64, 64, 3))
            pixels[..., colour] += 90
            Image.fromarray(pixels.astype(np.uint8)).save(folder / str(colour) / f"{number}.png")
    return folder


def deal(source: Path, target: Path) -> None:
    """Copies the first photos of the first classes that have enough, by name, into folders of splits."""
    count = sum(SPLITS.values())
    photos = {folder.name: list(litevision.find_images(folder))[:count] for folder in sorted(source.iterdir())}
    enough = [name for name, found in photos.items() if len(found) == count][:CLASSES]
    if len(enough) < CLASSES:
        sys.exit(f"error: {source}: {len(enough)} folders of {count} photos or more; expected {CLASSES}")
    for name in enough:
        left = iter(photos[name])
        for split, number in SPLITS.items():
            (target / split / name).mkdir(parents=True)
            for path in (next(left) for _ in range(number)):
                shutil.copy(path, target / split / name)


def trained(place: Path, data: Path, arguments: Namespace, name: str, dialect: str, width: float) -> dict[str, Any]:
    """What a training with the defaults comes to."""
    output = arguments.runs or place / "runs"
    run = output / f"{name}-{dialect}"
    options: list[str | Path | int] = [data, "--model", name, "--weights", "none", "--size", arguments.size]
    options += ["--set", f"model.dialect={dialect}", "--set", f"model.width={width:g}"]
    epochs = 1 if arguments.quick else arguments.epochs
    results = finished_run(place, run, [*options, *(["--epochs", epochs] if epochs else [])])
    command = [Path(sys.executable).with_name("litevision"), "evaluate", run, data, "--split", "train", "--json", "-"]
    train = json.loads(child(place, command))["scores"]
    best = results["epochs"][results["best_epoch"] - 1]
    return {
        "loss": best["validation_loss"],
        "train": train["top1"],
        "validation": results["scores"]["validation"]["top1"],
        "test": results["scores"]["test"]["top1"],
        "test_interval": results["scores"]["test"]["top1_interval"],
        "epochs": len(results["epochs"]),
        "minutes": sum(epoch["seconds"] for epoch in results["epochs"]) / 60,
        "passes": best["validation_loss"] < MOST_LOSS * math.log(CLASSES) and train["top1"] > LEAST_TOP1,
    }


def rows(condition: str, what: str, result: dict[str, Any]) -> Iterator[Row]:
    """A figure a line; the test score's low and high are its 95 % interval."""
    units = {"loss": "nats, validation", "train": "% of training images", "validation": "% of validation images"}
    units |= {"test": "% of test images", "epochs": "epochs", "minutes": "minutes of training"}
    for key, unit in units.items():
        line = row("from_scratch", condition, what, unit, [result[key]], engine="torch")
        low, high = result["test_interval"] if key == "test" else (line.low, line.high)
        yield replace(line, low=low, high=high)


if __name__ == "__main__":
    main()
