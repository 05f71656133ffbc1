"""Whether litevision classify needs more memory, the more images it has answered.

    python benchmarks/soak_memory.py                                      # 100,000 images, MobileNetV2
    python benchmarks/soak_memory.py --images 12000 --early 3000 --bundle model.onnx

The command reads a list on its standard input that names the same few photos of several sizes again and again, and its
resident memory is read from /proc while its answers come. Exits with 1 where the memory near the end is over 1.05
times that after the early images. 100,000 images take about 10 minutes for each 170 a second.
"""

import json
import subprocess
import sys
import threading
import time
from argparse import Namespace
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from itertools import cycle, islice
from pathlib import Path
from typing import IO

from _common import conditions, environment, parser, report, row, workplace
from _images import make_images, sources

LIMIT = 1.05
SIZES_WH = ((500, 375), (375, 500), (640, 480), (320, 240), (1024, 768))
SAMPLE_S = 0.1

Sample = tuple[int, float]  # images answered, resident MB


def main() -> None:
    """Measures, reports, judges."""
    options = parser(__doc__, rounds=None, threads=False, weights=False)
    options.add_argument("--images", type=int, default=100_000, help="how many are answered (%(default)s)")
    options.add_argument("--early", type=int, default=10_000, help="after how many the first look is (%(default)s)")
    options.add_argument("--photos", type=int, default=50, help="how many files that is (%(default)s)")
    options.add_argument(
        "--bundle", type=Path, metavar="FILE", help="the model (a random MobileNetV2, made with torch)"
    )
    options.add_argument("--engine", default="onnxruntime", help="passed on (%(default)s)")
    arguments = options.parse_args()
    if arguments.quick:
        arguments.images, arguments.early = 400, 200
    arguments.weights = arguments.bundle  # the name of what was computed with
    found = conditions(arguments)
    with workplace() as place:
        photos = make_photos(place / "photos", arguments.photos)
        samples, seconds = soak(place, arguments, photos)
    early = [mb for done, mb in samples if arguments.early <= done <= 1.1 * arguments.early]
    late = [mb for done, mb in samples if done >= 0.95 * arguments.images]
    if not early or not late:
        sys.exit("error: too few samples. Ask for more images.")
    bundle = arguments.bundle.stem if arguments.bundle else "mobilenet_v2"
    condition = f"{arguments.images} images from a list of {len(photos)} JPEG photos, {bundle}"
    rows = [
        row("soak_memory", condition, f"resident after {arguments.early} images", "MB", early, engine=arguments.engine),
        row("soak_memory", condition, f"resident near {arguments.images}", "MB", late, engine=arguments.engine),
        row("soak_memory", condition, "most resident", "MB", [max(mb for _, mb in samples)], engine=arguments.engine),
        row("soak_memory", condition, "rate", "images/s", [arguments.images / seconds], engine=arguments.engine),
    ]
    report(rows, found, arguments, "soak_memory")
    if rows[1].median > LIMIT * rows[0].median:
        sys.exit(f"error: {rows[1].median:.1f} MB is over {LIMIT} times {rows[0].median:.1f} MB")


def make_photos(folder: Path, count: int) -> list[Path]:
    """Photos of all of the sizes in turn."""
    folder.mkdir()
    for number, size_wh in enumerate(SIZES_WH):
        make_images(folder / str(number), len(range(number, count, len(SIZES_WH))), size_wh, sources(None))
    return sorted(folder.rglob("*.jpg"), key=lambda path: (path.name, path.parent))


def soak(place: Path, arguments: Namespace, photos: list[Path]) -> tuple[list[Sample], float]:
    """The memory in the course of the run, and the seconds from the first answer to the last."""
    bundle = arguments.bundle or make_bundle(place / "mobilenet_v2.onnx")
    command = [sys.executable, "-m", "litevision", "classify", "-", "--jsonl", "--top", "1"]
    command += ["--model", str(bundle), "--engine", arguments.engine]
    pipe = subprocess.PIPE
    samples: list[Sample] = []
    first_at = last_at = 0.0
    with subprocess.Popen(command, text=True, env=environment(place), stdin=pipe, stdout=pipe) as process:
        memory = Path(f"/proc/{process.pid}/status")
        with fed(process.stdin, islice(cycle(photos), arguments.images)):
            for done, line in enumerate(process.stdout, start=1):
                if "error" in json.loads(line):
                    sys.exit(f"error: {line}")
                first_at = first_at or time.monotonic()
                if time.monotonic() - last_at >= SAMPLE_S:
                    last_at = time.monotonic()
                    samples.append((done, resident_mb(memory)))
                    if len(samples) % 100 == 0:
                        print(f"{done} images: {samples[-1][1]:.1f} MB", file=sys.stderr)
    if process.returncode:
        sys.exit(f"error: the command ended with exit code {process.returncode}")
    return samples, time.monotonic() - first_at


@contextmanager
def fed(stdin: IO[str], paths: Iterator[Path]) -> Iterator[None]:
    """Writes the paths while the block runs, no faster than they are read."""

    def write() -> None:
        with suppress(BrokenPipeError), stdin:
            stdin.writelines(f"{path}\n" for path in paths)

    writer = threading.Thread(target=write)
    writer.start()
    yield
    writer.join()


def make_bundle(path: Path) -> Path:
    """A random MobileNetV2's bundle."""
    from _models import make_random_bundle

    make_random_bundle(path, "mobilenet_v2")
    return path


def resident_mb(status: Path) -> float:
    """Resident memory of a process, MB, from its ``status`` in /proc."""
    (kib,) = (line.split()[1] for line in status.read_text().splitlines() if line.startswith("VmRSS:"))
    return int(kib) * 1024 / 1e6


if __name__ == "__main__":
    main()
