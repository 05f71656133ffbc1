"""Whether litevision batch needs more memory, the longer its list, and gives the same rows however often it is killed.

    python benchmarks/batch_jobs.py                                # a list of 1,000,000 paths, and 20 kills
    python benchmarks/batch_jobs.py --images 100000 --early 10000 --kills 5

The list names the same few images of 32x32 again and again, and the model is the mean colour of an image, so that a
million of them take minutes. Resident memory is read from /proc after the early images and near the end. Then a shorter
list is computed by a process that is killed (SIGKILL) at random moments and started again, and its parts are compared
with those of an undisturbed run, byte by byte. Exits with 1 where the memory near the end is over 1.05 times that after
the early images, or a part differs. Takes about 30 minutes.
"""

import json
import random
import subprocess
import sys
import time
from argparse import Namespace
from contextlib import suppress
from itertools import count
from pathlib import Path

import numpy as np
import onnx
from _common import conditions, environment, parser, report, row, workplace
from onnx import TensorProto, helper, numpy_helper
from PIL import Image

from litevision.runtime.metadata import METADATA_KEY

LIMIT = 1.05
SIDE = 32
FILES = 8
SAMPLE_S = 0.2
ROWS = 1000
LABELS = ["red", "green", "blue"]


def main() -> None:
    """Measures, kills, judges."""
    options = parser(__doc__, rounds=None, threads=False, weights=False)
    options.add_argument("--images", type=int, default=1_000_000, help="lines of the list (%(default)s)")
    options.add_argument("--early", type=int, default=100_000, help="after how many the first look is (%(default)s)")
    options.add_argument("--kills", type=int, default=20, help="how often a job is killed (%(default)s)")
    options.add_argument("--killed-images", type=int, default=20_000, help="images of that job (%(default)s)")
    options.add_argument("--seed", type=int, default=0, help="of the moments (%(default)s)")
    options.add_argument("--workers", type=int, default=1, help="passed on (%(default)s)")
    options.add_argument("--format", default="jsonl", help="passed on (%(default)s)")
    arguments = options.parse_args()
    if arguments.quick:
        arguments.images, arguments.early, arguments.kills, arguments.killed_images = 6000, 2000, 2, 3000
    arguments.weights = None
    found = conditions(arguments)
    with workplace() as place:
        write_model(place / "mean.onnx")
        write_images(place)
        samples, seconds = soak(place, arguments)
        killed = kill_and_resume(place, arguments)
    early = [mb for done, mb in samples if arguments.early <= done <= 1.2 * arguments.early]
    late = [mb for done, mb in samples if done >= 0.95 * arguments.images]
    if not early or not late:
        sys.exit("error: too few samples. Ask for more images.")
    condition = f"{arguments.images} images of {SIDE}x{SIDE} from a list of {FILES} files, mean colour"
    rows = [
        row("batch_jobs", condition, f"resident after {arguments.early} images", "MB", early, engine="onnxruntime"),
        row("batch_jobs", condition, f"resident near {arguments.images}", "MB", late, engine="onnxruntime"),
        row("batch_jobs", condition, "rate", "images/s", [arguments.images / seconds], engine="onnxruntime"),
        row("batch_jobs", condition, "kills survived", "kills", [killed], engine="onnxruntime"),
    ]
    report(rows, found, arguments, "batch_jobs")
    if rows[1].median > LIMIT * rows[0].median:
        sys.exit(f"error: {rows[1].median:.1f} MB is over {LIMIT} times {rows[0].median:.1f} MB")


def write_model(path: Path) -> None:
    """A bundle that computes the softmax of the mean colour."""
    metadata = {
        "format_version": 1,
        "task": "classification",
        "labels": LABELS,
        "preprocess": {"size_hw": [SIDE, SIDE], "resize_px": SIDE, "crop": "center", "interpolation": "bilinear"},
        "normalisation": {"mean": [0.0, 0.0, 0.0], "std": [0.1, 0.1, 0.1]},
        "architecture": {"name": "mean", "dialect": "test", "width_mult": 1.0, "num_classes": len(LABELS)},
        "weights": {"name": "mean", "provenance": "benchmark", "licence": "Apache-2.0", "sha256": "0" * 64},
        "training_data": "none",
        "score": None,
        "check": {"engine": "none", "images": 0, "max_abs_diff": 0.0, "top1_agreement": 1.0},
    }
    graph = helper.make_graph(
        [
            helper.make_node("Cast", ["images"], ["pixels"], to=TensorProto.FLOAT),
            helper.make_node("ReduceMean", ["pixels", "axes"], ["colour"], keepdims=0),
            helper.make_node("MatMul", ["colour", "weight"], ["logits"]),
            helper.make_node("Softmax", ["logits"], ["probabilities"], axis=1),
        ],
        "mean_colour",
        [helper.make_tensor_value_info("images", TensorProto.UINT8, ["N", SIDE, SIDE, 3])],
        [helper.make_tensor_value_info("probabilities", TensorProto.FLOAT, ["N", len(LABELS)])],
        [
            numpy_helper.from_array(np.array([1, 2]), "axes"),
            numpy_helper.from_array(np.eye(3, dtype=np.float32) / 25, "weight"),
        ],
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 18)], ir_version=10)
    helper.set_model_props(model, {METADATA_KEY: json.dumps(metadata)})
    onnx.save(model, path)


def write_images(place: Path) -> None:
    """A few images of noise; one of them cannot be read."""
    generator = np.random.default_rng(0)
    for number in range(FILES):
        noise = generator.integers(0, 256, (SIDE, SIDE, 3), np.uint8)
        Image.fromarray(noise).save(place / f"{number}.png")
    (place / "7.png").write_bytes(b"oops")


def write_list(path: Path, lines: int) -> None:
    """The files in turn."""
    with path.open("w") as file:
        file.writelines(f"{number % FILES}.png\n" for number in range(lines))


def command(listed: str, output: str, arguments: Namespace) -> list[str]:
    """The command line."""
    words = [sys.executable, "-m", "litevision", "batch", f"@{listed}", "--model", "mean.onnx", "-o", output]
    words += ["--engine", "onnxruntime", "--workers", str(arguments.workers), "--rows", str(ROWS)]
    return [*words, "--top", "1", "--format", arguments.format]


def soak(place: Path, arguments: Namespace) -> tuple[list[tuple[int, float]], float]:
    """Images done and resident MB in the course of a long job, and the seconds from its first part to its end."""
    write_list(place / "long.txt", arguments.images)
    process = subprocess.Popen(
        command("long.txt", "long", arguments), cwd=place, env=environment(place), stderr=subprocess.DEVNULL
    )
    samples: list[tuple[int, float]] = []
    start = time.monotonic()
    while process.poll() is None:
        time.sleep(SAMPLE_S)
        with suppress(OSError, StopIteration, ValueError):
            done = ROWS * len(list((place / "long").glob("part-*")))
            lines = Path(f"/proc/{process.pid}/status").read_text().splitlines()
            resident = next(line for line in lines if line.startswith("VmRSS:"))
            samples.append((done, int(resident.split()[1]) / 1000))
    if process.returncode != 3:  # the unreadable image
        sys.exit(f"error: exit code {process.returncode}; expected 3")
    return samples, time.monotonic() - start


def kill_and_resume(place: Path, arguments: Namespace) -> int:
    """Kill a job so often that the given number of kills hit one at work; gives how many did."""
    write_list(place / "short.txt", arguments.killed_images)
    run = {"cwd": place, "env": environment(place), "stderr": subprocess.DEVNULL}
    start = time.monotonic()
    subprocess.run(command("short.txt", "whole", arguments), check=False, **run)
    seconds = time.monotonic() - start
    expected = {path.name: path.read_bytes() for path in (place / "whole").glob("part-*")}
    generator, kills = random.Random(arguments.seed), 0
    for attempt in count():
        output, start, before = f"killed{attempt}", time.monotonic(), kills
        while kills < arguments.kills:
            process = subprocess.Popen(command("short.txt", output, arguments), **run)
            try:
                process.wait(generator.uniform(0.3, 0.9) * seconds)
                if kills == before:  # a whole job: the machine has become quicker
                    seconds = min(seconds, time.monotonic() - start)
                break
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()
                kills += 1
        subprocess.run(command("short.txt", output, arguments), check=False, **run)
        got = {path.name: path.read_bytes() for path in (place / output).glob("part-*")}
        if got != expected:
            sys.exit(f"error: after {kills} kills the parts differ: {sorted(set(got) ^ set(expected))[:3]}")
        if kills >= arguments.kills:
            return kills
    raise AssertionError


if __name__ == "__main__":
    main()
