"""How much memory a folder of the largest images takes, with many workers.

    python benchmarks/large_images.py                                     # 100 images of 179 megapixels, 16 workers
    python benchmarks/large_images.py --images 20 --command detect --tiles 2

Images of one colour, 13370 x 13370 px each and 0.2 to 3 MB a file, are answered by the command: PNGs with transparency,
of 16-bit grey and of grey; JPEGs, baseline, with restart markers, progressive and of CMYK; TIFFs of many strips and of
one; and WebP, whose decoder takes so much that each is refused before it begins. The most memory that the command ever
had resident, as the system counts it, must stay under 2 GB; exits with 1 where it does not. 100 images take about 20
minutes on 2 cores.
"""

import resource
import subprocess
import sys
from argparse import Namespace
from collections.abc import Iterator
from pathlib import Path

from _common import conditions, environment, parser, report, row, workplace
from PIL import Image

LIMIT_MB = 2000
SIDE_PX, QUICK_SIDE_PX = 13370, 4000
ROWS_PER_STRIP = 278  # the tag
REFUSED = "more than the limit of"  # of memory
KINDS = {
    "rgba.png": ("RGBA", (10, 200, 30, 128), {}),
    "grey16.png": ("I;16", 30000, {}),
    "grey.png": ("L", 90, {}),
    "baseline.jpg": ("RGB", (10, 200, 30), {}),
    "progressive.jpg": ("RGB", (10, 200, 30), {"progressive": True}),
    "restarts.jpg": ("RGB", (10, 200, 30), {"restart_marker_rows": 1}),
    "cmyk.jpg": ("CMYK", (10, 200, 30, 5), {}),
    "strips.tif": ("RGB", (10, 200, 30), {"compression": "tiff_lzw"}),
    "strip.tif": ("RGB", (10, 200, 30), {"compression": "tiff_lzw", "tiffinfo": {ROWS_PER_STRIP: SIDE_PX}}),
    "lossless.webp": ("RGB", (10, 200, 30), {"lossless": True}),
}


def main() -> None:
    """Measures, reports, judges."""
    options = parser(__doc__, rounds=None, threads=False, weights=False)
    options.add_argument("--images", type=int, default=100, help="how many are answered (%(default)s)")
    options.add_argument("--workers", type=int, default=16, help="passed on (%(default)s)")
    options.add_argument("--command", choices=("classify", "detect"), default="classify", help="(%(default)s)")
    options.add_argument("--tiles", type=int, default=1, help="passed on to detect (%(default)s)")
    options.add_argument("--kinds", nargs="*", choices=KINDS, default=list(KINDS), help="of files (all)")
    arguments = options.parse_args()
    side = SIDE_PX
    if arguments.quick:
        arguments.images, side = 5, QUICK_SIDE_PX
    arguments.weights = None
    found = conditions(arguments)
    with workplace() as place:
        folder = place / "images"
        folder.mkdir()
        for number, path in zip(range(arguments.images), originals(place, arguments.kinds, side), strict=False):
            (folder / f"{number:03}{path.suffix}").hardlink_to(path)
        answered, refused = answer(place, folder, arguments)
    most_mb = resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss * 1024 / 1e6
    condition = f"{arguments.command} of {answered} images of {side} x {side} px, {arguments.workers} workers"
    condition += f", and {refused} refused for the memory that they need" if refused else ""
    report([row("large_images", condition, "most resident", "MB", [most_mb])], found, arguments, "large_images")
    if most_mb > LIMIT_MB:
        sys.exit(f"error: {most_mb:.0f} MB is over {LIMIT_MB}")


def originals(place: Path, kinds: list[str], side: int) -> Iterator[Path]:
    """One file of each kind, again and again."""
    paths = []
    for name in kinds:
        mode, colour, options = KINDS[name]
        Image.new(mode, (side, side), colour).save(place / name, **options)
        paths.append(place / name)
    while True:
        yield from paths


def answer(place: Path, folder: Path, arguments: Namespace) -> tuple[int, int]:
    """Run the command on the folder; the number of answers, and of images that need more memory than the limit."""
    command = [sys.executable, "-m", "litevision", arguments.command, str(folder), "--jsonl"]
    command += ["--workers", str(arguments.workers), "--engine", "onnxruntime"]
    command += ["--tiles", str(arguments.tiles)] if arguments.command == "detect" else ["--top", "1"]
    done = subprocess.run(command, text=True, env=environment(place), stdout=subprocess.PIPE, check=False)
    lines = done.stdout.splitlines()
    refused = [line for line in lines if '"error"' in line]
    if len(lines) < arguments.images or any(REFUSED not in line for line in refused):
        sys.exit(f"error: {next((line for line in refused if REFUSED not in line), f'{len(lines)} answers')}")
    return len(lines) - len(refused), len(refused)


if __name__ == "__main__":
    main()
