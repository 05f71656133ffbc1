"""Whether trainings that are killed at random moments and resumed end as one that nobody interrupts, bit for bit.

    python benchmarks/interrupted.py                # 20 runs
    python benchmarks/interrupted.py --runs 100 --seed 1

A small network learns three colours, with mixup, augmentation, an average of the weights, and a process that reads the
images. Each run is killed (SIGKILL) at a random moment after its plan is written, in training or in what follows it,
is resumed, and is killed again as often as a draw says, 3 times at most. Then it is resumed to its end, and every
tensor and every number of its two checkpoints but times is compared. Exits with 1 where one differs. Takes about 15
minutes.
"""

import json
import random
import subprocess
import sys
import time
from argparse import Namespace
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from _common import conditions, environment, parser, report, row, workplace
from PIL import Image

from litevision.training.checkpoint import read_checkpoint

COLOURS = {"blue": (40, 60, 200), "green": (60, 200, 40), "red": (200, 40, 60)}
IMAGES = 24  # of each colour
EPOCHS = 4
BATCH = 4
JITTER_S = 0.3
MOST_KILLS = 3
CLOCK = ("seconds", "wait_seconds", "images_per_s", "data_wait_share", "interruptions")
MOMENTS = ("before the first step", "in the epoch of the head", "in a later epoch", "behind the last epoch")
RECIPE = f"""
[model]
name = "mobilenet_v1"
weights = "none"
width = 0.25
size_hw = [32, 32]
[schedule]
epochs = {EPOCHS}
batch_size = {BATCH}
[augment]
mixup = 0.4
cutmix = 0.4
[run]
precision = "fp32"
checkpoint_minutes = 0 # each step is written
workers = 1
"""


@dataclass(frozen=True)
class Interrupted:
    """What was done to one run, and what came of it."""

    kills: tuple[str, ...]
    differences: tuple[str, ...]


def main() -> None:
    """Interrupts, compares, reports."""
    options = parser(__doc__, rounds=None, threads=False, weights=False)
    options.add_argument("--runs", type=int, default=20, help="that are killed (%(default)s)")
    options.add_argument("--seed", type=int, default=0, help="of the moments (%(default)s)")
    arguments = options.parse_args()
    if arguments.quick:
        arguments.runs = 1
    found = conditions(arguments)
    with workplace() as place:
        make_data(place / "data")
        (place / "recipe.toml").write_text(RECIPE)
        whole, batches = uninterrupted(place)
        runs = list(interrupted_runs(place, arguments, whole, batches))
    report(rows(runs), found, arguments, "interrupted")
    if any(run.differences for run in runs):
        sys.exit("error: not all ended as the run that nobody interrupted")


def make_data(folder: Path) -> None:
    """Noisy images of three colours."""
    for label, (name, colour) in enumerate(COLOURS.items()):
        (folder / name).mkdir(parents=True)
        for number in range(IMAGES):
            noise = np.random.default_rng((label, number)).integers(-40, 41, (40, 48, 3))
            pixels = np.clip(np.array(colour) + noise, 0, 255).astype(np.uint8)
            Image.fromarray(pixels).save(folder / name / f"{number}.png")


def uninterrupted(place: Path) -> tuple[dict[str, Any], int]:
    """What the checkpoints of a run hold that nobody interrupts, and the steps in one of its epochs."""
    folder = place / "runs/whole"
    finish(begin(place, "whole"), folder)
    results = json.loads((folder / "results.json").read_text())
    return checkpoints(folder), sum(results["data"]["counts"]["train"]) // BATCH


def interrupted_runs(place: Path, arguments: Namespace, whole: dict[str, Any], batches: int) -> Iterator[Interrupted]:
    """Kills and resumes, run by run.

    A kill waits for a step that is drawn from those that are left, so that most come while it trains however busy the
    machine is, and then for a part of a second, so that they come at any point of a step, a validation or a write.
    """
    draw, steps = random.Random(arguments.seed), EPOCHS * batches
    for number in range(arguments.runs):
        name = f"killed-{number}"
        folder = place / "runs" / name
        process, kills, done = begin(place, name), [], 0
        for _ in range(draw.randint(1, MOST_KILLS)):
            target, seconds = draw.randint(done, steps), draw.uniform(0, JITTER_S)
            ended = not reaches(folder, target, batches, process) or not dies_within(process, seconds)
            if ended or (folder / "results.json").exists():
                break  # it was quicker
            done = steps_done(folder, batches)
            kills.append(moment(done, batches))
            process = start(place, "--resume", f"runs/{name}")
        finish(process, folder)
        run = Interrupted(tuple(kills), tuple(differences(checkpoints(folder), whole)))
        result = "; ".join(run.differences) or "the same to the bit"
        print(f"run {number + 1} of {arguments.runs}: killed {', '.join(kills) or 'never'}: {result}", file=sys.stderr)
        yield run


def begin(place: Path, name: str) -> "subprocess.Popen[str]":
    """A new run."""
    return start(place, "data", "--recipe", "recipe.toml", "--name", name)


def start(place: Path, *words: str) -> "subprocess.Popen[str]":
    """``litevision train`` in a process of its own, on one thread: of several it is the same, and slower."""
    command = [sys.executable, "-m", "litevision", "train", *words]
    settings = {**environment(place), "OMP_NUM_THREADS": "1"}
    with (place / "log").open("a") as log:
        return subprocess.Popen(command, cwd=place, env=settings, text=True, stdout=log, stderr=log)


def reaches(folder: Path, target: int, batches: int, process: "subprocess.Popen[str]") -> bool:
    """Waits for so many steps, and until there is something to resume; False where the process ended before."""
    while not (folder / "plan.json").exists() or steps_done(folder, batches) < target:
        if process.poll() is not None:
            return False
        time.sleep(0.02)
    return True


def steps_done(folder: Path, batches: int) -> int:
    """The steps in a run's last checkpoint."""
    if not (folder / "last.ckpt").exists():
        return 0
    progress, _ = read_checkpoint(folder / "last.ckpt")
    return progress.epoch * batches + progress.batch


def dies_within(process: "subprocess.Popen[str]", seconds: float) -> bool:
    """Kills the process after so many seconds, unless it has ended by itself."""
    try:
        process.wait(seconds)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()
        return True
    return False


def finish(process: "subprocess.Popen[str]", folder: Path) -> None:
    """Waits for a process that must end well, or was killed once all was done."""
    if process.wait() and not (folder / "results.json").exists():
        log = (folder.parents[1] / "log").read_text()
        sys.exit(f"error: {folder.name} ended with exit code {process.returncode}:\n{log[-2000:]}")


def moment(done: int, batches: int) -> str:
    """How far a run of so many steps is."""
    if not done:
        return MOMENTS[0]
    if done < EPOCHS * batches:
        return MOMENTS[1 if done < batches else 2]
    return MOMENTS[3]


def checkpoints(folder: Path) -> dict[str, Any]:
    """All that the checkpoints hold, but for times."""
    found: dict[str, Any] = {"scores": json.loads((folder / "results.json").read_text())["scores"]}
    for name in ("last.ckpt", "best.ckpt"):
        progress, states = read_checkpoint(folder / name)
        plain = {key: value for key, value in asdict(progress).items() if key not in CLOCK}
        plain["epochs"] = [{k: v for k, v in epoch.items() if k not in CLOCK} for epoch in plain["epochs"]]
        found[name] = {"progress": plain, **states}
    return found


def differences(one: Any, other: Any, where: str = "") -> Iterator[str]:
    """Where two are not the same, bit for bit."""
    if isinstance(one, torch.Tensor) and isinstance(other, torch.Tensor):
        if one.dtype != other.dtype or not torch.equal(one, other):
            yield where
    elif isinstance(one, dict) and isinstance(other, dict) and one.keys() == other.keys():
        for key in one:
            yield from differences(one[key], other[key], f"{where}/{key}")
    elif isinstance(one, list) and isinstance(other, list) and len(one) == len(other):
        for number, (mine, theirs) in enumerate(zip(one, other, strict=True)):
            yield from differences(mine, theirs, f"{where}/{number}")
    elif type(one) is not type(other) or one != other:
        yield f"{where}: {one!r} and {other!r}"


def rows(runs: list[Interrupted]) -> list[Any]:
    """How many ended the same, and when they were killed."""
    condition = f"{len(runs)} runs of mobilenet_v1 x0.25 on {3 * IMAGES} images of 32x32, a checkpoint at each step"
    same = sum(bool(run.kills) and not run.differences for run in runs)
    kills = [kill for run in runs for kill in run.kills]
    found = [
        row("interrupted", condition, "killed and ended the same to the bit", "runs", [same]),
        row("interrupted", condition, "ended otherwise", "runs", [sum(bool(run.differences) for run in runs)]),
        row("interrupted", condition, "kills a run", "kills", [len(run.kills) for run in runs]),
    ]
    return found + [row("interrupted", condition, f"killed {when}", "kills", [kills.count(when)]) for when in MOMENTS]


if __name__ == "__main__":
    main()
