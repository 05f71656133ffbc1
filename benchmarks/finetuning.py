"""How long MobileNetV2 takes from ImageNet weights to the score that a plain torchvision loop ends with.

    python benchmarks/finetuning.py --weights mobilenet_v2.pth --data FOLDER

FOLDER holds train/ and validation/ with a folder of images for each class. The loop is that of tutorials: float32, SGD
at 0.01 with a cosine, random crops and mirroring, 12 epochs. `litevision train` runs its default recipe for 12, 8, 6
and 4 epochs. Each trains in a fresh process on all cores, one after the other, round by round, with another seed in
each round. What counts is the ratio of the loop's seconds to those of the quickest training whose median score is at
least the loop's. Imports, validation and the report are not timed. Takes about 120 minutes with 1,000 images.
"""

import json
import shutil
import sys
from argparse import Namespace
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from statistics import median
from typing import Any

from _common import Row, child, conditions, interleaved, parser, python_child, ratios, report, row, workplace
from _images import sources
from training import make_data

from litevision.runtime.cpus import available_cpus

OURS = "12,8,6,4"
THEIR_EPOCHS = 12
THEIRS = f"torchvision loop, {THEIR_EPOCHS} epochs"

Rounds = dict[str, list[dict[str, Any]]]


def main() -> None:
    """Measures, reports."""
    options = parser(__doc__, rounds=3, threads=False)
    options.add_argument("--data", type=Path, metavar="FOLDER", help="class folders in train/ and validation/")
    options.add_argument("--ours", default=OURS, metavar="N,N", help="epochs of litevision's trainings (%(default)s)")
    arguments = options.parse_args()
    arguments.size, arguments.epochs = 224, tuple(map(int, arguments.ours.split(",")))
    arguments.their_epochs = THEIR_EPOCHS
    if arguments.quick:
        arguments.size, arguments.epochs, arguments.their_epochs, arguments.rounds = 32, (1,), 1, 1
    elif arguments.weights is None or arguments.data is None:
        options.error("--weights and --data are needed: a score is compared")
    found = conditions(arguments)
    with workplace() as place:
        if arguments.data is None:
            arguments.data = place / "data"
            make_data(arguments.data, 64, sources(None))
        images = sum(path.is_file() for path in (arguments.data / "train").rglob("*"))
        condition = f"{images} images; MobileNetV2 1.0 at {arguments.size}x{arguments.size}, batches of 32"
        rounds = interleaved(contenders(place, arguments), arguments.rounds, warm_up=False)
    report(list(rows(rounds, condition)), found, arguments, "finetuning")


def contenders(place: Path, arguments: Namespace) -> dict[str, Callable[[], dict[str, Any]]]:
    """The loops, by name; each call has the next seed."""
    script = Path(__file__).with_name("_torchvision_finetuning.py")
    weights = arguments.weights or "none"
    numbers = (arguments.their_epochs, arguments.size, available_cpus())
    seeds = {epochs: iter(range(1000)) for epochs in (0, *arguments.epochs)}
    found: dict[str, Callable[[], dict[str, Any]]] = {
        THEIRS: lambda: python_child(place, script, arguments.data, weights, *numbers, next(seeds[0]))
    }
    for epochs in arguments.epochs:
        found[f"litevision, {epochs} epochs"] = partial(litevision, place, arguments, weights, epochs, seeds[epochs])
    return found


def litevision(
    place: Path, arguments: Namespace, weights: str | Path, epochs: int, seeds: Iterator[int]
) -> dict[str, Any]:
    """What ``litevision train`` says of its epochs and its score."""
    command = [Path(sys.executable).with_name("litevision"), "train", arguments.data, "--weights", weights]
    command += ["--epochs", epochs, "--size", arguments.size, "--seed", next(seeds)]
    child(place, [*command, "--output", place, "--name", "run"])
    results = json.loads((place / "run/results.json").read_text())
    shutil.rmtree(place / "run")
    seconds = sum(epoch["seconds"] for epoch in results["epochs"])
    top1 = results["scores"]["validation"]["top1"]
    return {"seconds": seconds, "top1": top1, "engine": f"torch {results['machine']['precision']}"}


def rows(rounds: Rounds, condition: str) -> Iterator[Row]:
    """Each contender's seconds and score, and how the quickest that scores as well compares."""
    for unit, key in (("s", "seconds"), ("% top-1", "top1")):
        for contender, results in rounds.items():
            engine = results[-1]["engine"]
            yield row("finetuning", condition, contender, unit, [result[key] for result in results], engine=engine)
    scores = {name: median(result["top1"] for result in results) for name, results in rounds.items()}
    seconds = {name: [result["seconds"] for result in results] for name, results in rounds.items()}
    as_good = [name for name, score in scores.items() if name != THEIRS and score >= scores[THEIRS]]
    if as_good:
        best = min(as_good, key=lambda name: median(seconds[name]))
        engine = rounds[best][-1]["engine"]
        values = ratios(seconds[THEIRS], seconds[best])
        yield row("finetuning", condition, f"{THEIRS} / {best}", "ratio", values, engine=engine)


if __name__ == "__main__":
    main()
