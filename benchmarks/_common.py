"""What the benchmarks share: options, rounds of fresh processes, medians with spread, result files."""

import csv
import datetime
import json
import os
import shutil
import subprocess
import sys
import tempfile
from argparse import ArgumentParser, ArgumentTypeError, Namespace, RawDescriptionHelpFormatter
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import asdict, dataclass, fields
from importlib.metadata import PackageNotFoundError, version
from itertools import pairwise
from pathlib import Path
from typing import Any, TypeVar

import numpy as np

from litevision.files import atomic_write
from litevision.runtime.cpus import available_cpus
from litevision.runtime.machine import Machine

RESULTS = Path(__file__).parent / "results"

T = TypeVar("T")

_PACKAGES = ("numpy", "pillow", "torch", "torchvision", "timm")
_QUIET = 0.15  # of the cores at work before the benchmark begins
_THREAD_SETTINGS = ("OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS")


@dataclass(frozen=True)
class Conditions:
    """What a figure depends on besides the code; ``weights`` names them, without their folder."""

    threads: int
    weights: str
    machine: str
    versions: str
    load_average: float | None
    measured: str


@dataclass(frozen=True)
class Row:
    """One figure: the median of ``n`` measurements; ``spread`` is their interquartile range."""

    benchmark: str
    condition: str
    what: str
    engine: str
    unit: str
    median: float
    spread: float
    low: float
    high: float
    n: int


COLUMNS = tuple(field.name for record in (Row, Conditions) for field in fields(record))


def row(benchmark: str, condition: str, what: str, unit: str, values: Sequence[float], *, engine: str = "") -> Row:
    """The figure that ``values``, one a round, come to."""
    low, quarter, median, three_quarters, high = (float(q) for q in np.percentile(values, (0, 25, 50, 75, 100)))
    return Row(benchmark, condition, what, engine, unit, median, three_quarters - quarter, low, high, len(values))


def ratios(above: Sequence[float], below: Sequence[float]) -> list[float]:
    """Each round's own ratio, so that what slows one whole round down cancels."""
    return [a / b for a, b in zip(above, below, strict=True)]


def parser(doc: str | None, *, rounds: int | None, threads: bool = True, weights: bool = True) -> ArgumentParser:
    """The options that benchmarks share.

    Args:
        rounds: how many by default; None for what is computed once.
        threads: whether it can be told how many there are.
        weights: whether the network may have real ones.
    """
    options = ArgumentParser(description=doc, formatter_class=RawDescriptionHelpFormatter)
    if weights:
        help_ = "MobileNetV2 1.0's state_dict with torchvision's names (random, seed 0)"
        options.add_argument("--weights", type=_file, metavar="FILE", help=help_)
    if rounds:
        options.add_argument("--rounds", type=int, default=rounds, help="that count; one more warms up (%(default)s)")
    if threads:
        options.add_argument("--threads", type=int, default=available_cpus(), help="for every contender (%(default)s)")
    options.add_argument("--quick", action="store_true", help="a smoke run: its figures mean nothing")
    options.add_argument("--output", type=Path, metavar="FILE", help="the CSV (one in results/; none with --quick)")
    return options


def _file(text: str) -> Path:
    path = Path(text)
    if not path.is_file():
        raise ArgumentTypeError(f"{text}: no such file")
    return path


def conditions(arguments: Namespace) -> Conditions:
    """The conditions now; to be asked before the work, which is a load itself."""
    machine, given = Machine.here(), vars(arguments)
    if machine.load is not None and machine.load > _QUIET * machine.usable_cpus:
        print(f"note: load average {machine.load}: other work runs, figures may not repeat", file=sys.stderr)
    return Conditions(
        threads=given.get("threads", machine.usable_cpus),
        weights=given["weights"].name if given.get("weights") else "random, seed 0",
        machine=f"{machine.cpu}; {machine.cores} cores, {machine.usable_cpus} usable; {machine.system}",
        versions="; ".join(f"{name} {number}" for name, number in {**machine.versions, **_versions()}.items()),
        load_average=machine.load,
        measured=datetime.datetime.now(tz=datetime.UTC).date().isoformat(),
    )


def _versions() -> dict[str, str]:
    found = dict.fromkeys(_PACKAGES, "not installed")
    for name in _PACKAGES:
        with suppress(PackageNotFoundError):
            found[name] = version(name)
    return found


@contextmanager
def workplace() -> Iterator[Path]:
    """A temporary folder; child processes keep litevision's cache in it, so that nothing remembered is used."""
    with tempfile.TemporaryDirectory(prefix="litevision-benchmark-") as folder:
        yield Path(folder)


def environment(place: Path) -> dict[str, str]:
    """The environment of a child process: this one's without limits on threads, and offline."""
    kept = {name: value for name, value in os.environ.items() if name not in _THREAD_SETTINGS}
    return {**kept, "LITEVISION_CACHE": str(place / "cache"), "LITEVISION_OFFLINE": "1", "HF_HUB_OFFLINE": "1"}


def child(place: Path, command: Sequence[str | Path | int]) -> str:
    """What ``command`` prints; it runs in a fresh process, and its failure ends the benchmark."""
    words = [str(word) for word in command]
    done = subprocess.run(words, capture_output=True, text=True, check=False, env=environment(place))
    if done.returncode:
        sys.exit(f"error: {' '.join(words)} ended with exit code {done.returncode}:\n{done.stderr[-2000:]}")
    return done.stdout


def finished_run(place: Path, run: Path, arguments: Sequence[str | Path | int]) -> dict[str, Any]:
    """The ``results.json`` of a run of `litevision train` with these arguments; one that lies there is gone on with."""
    if not (run / "results.json").exists():
        print(run.name, file=sys.stderr)
        command: list[str | Path | int] = [Path(sys.executable).with_name("litevision"), "train"]
        if (run / "last.ckpt").exists():
            command += ["--resume", run]
        else:
            shutil.rmtree(run, ignore_errors=True)
            command += [*arguments, "--output", run.parent, "--name", run.name]
        child(place, command)
    results: dict[str, Any] = json.loads((run / "results.json").read_text())
    return results


def python_child(place: Path, script: Path, *arguments: str | Path | int) -> dict[str, Any]:
    """The JSON object on the last line that a Python script prints."""
    result: dict[str, Any] = json.loads(child(place, (sys.executable, script, *arguments)).splitlines()[-1])
    return result


def interleaved(contenders: Mapping[str, Callable[[], T]], rounds: int, *, warm_up: bool) -> dict[str, list[T]]:
    """What each contender gave in each round: A B C A B C ...; the round that warms up is not counted."""
    results: dict[str, list[T]] = {name: [] for name in contenders}
    for number in range(0 if warm_up else 1, rounds + 1):
        for name, measure in contenders.items():
            print(f"round {number} of {rounds}: {name}", file=sys.stderr)
            result = measure()
            if number > 0:
                results[name].append(result)
    return results


def report(rows: Sequence[Row], found: Conditions, arguments: Namespace, name: str) -> None:
    """Prints the figures, and writes them to the CSV that the options name, by default ``results/NAME.csv``."""
    width = max(len(it.what) for it in rows)
    for before, it in pairwise((None, *rows)):
        if before is None or before.condition != it.condition:
            print(f"\n{it.condition}")
        print(f"  {it.what:<{width}}  {it.median:10.4g}  IQR {it.spread:8.2g}  n {it.n:3}  {it.unit}  {it.engine}")
    print(f"\n{found.machine}; {found.threads} threads; load average {found.load_average}")
    print(f"weights: {found.weights}; {found.versions}")
    output = arguments.output or (None if arguments.quick else RESULTS / f"{name}.csv")
    if output:
        write_csv(output, rows, found)


def write_csv(path: Path, rows: Sequence[Row], found: Conditions) -> None:
    """One line a figure; a run that is stopped leaves the old file as it was."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with atomic_write(path) as partial, partial.open("w", encoding="utf-8", newline="") as stream:
        writer = csv.DictWriter(stream, COLUMNS, lineterminator="\n")
        writer.writeheader()
        for it in rows:
            record = {**asdict(it), **asdict(found)}
            writer.writerow({key: f"{v:.5g}" if isinstance(v, float) else v for key, v in record.items()})
