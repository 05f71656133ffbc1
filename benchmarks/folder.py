"""How fast a folder of photos is classified, against torchvision, timm and a plain loop around onnxruntime.

    python benchmarks/folder.py --photos 200 --size 4000x3000 --source FOLDER --weights FILE
    python benchmarks/folder.py --photos 1000 --size 500x375 --source FOLDER --weights FILE

FOLDER holds photos, of which the images are made. Every contender classifies the same images with the same weights
in a fresh process, one after the other, round by round. Timed is the pass over the images, once everything is
imported, loaded and warm. Exits with 1 where the contenders' answers differ. The bound is what decoding and inference,
each alone on every core, allow together: 1 / (1 / decoding + 1 / inference). Takes about 25 minutes for the large
photos and 15 for the small ones.
"""

import sys
from argparse import ArgumentTypeError
from collections.abc import Iterator
from functools import partial
from pathlib import Path
from typing import Any

from _common import Row, conditions, interleaved, parser, python_child, ratios, report, row, workplace
from _folder_contenders import CONTENDERS
from _images import make_images, sources

REFERENCE = "onnxruntime loop"  # decodes in full
OURS = ("litevision, onnxruntime", "litevision, auto")
THEIRS = ("torchvision", "timm", "onnxruntime loop", "onnxruntime loop, thread pool", "decoding alone")
MARGIN = 0.05
MIN_AGREEMENT = 0.95

Rounds = dict[str, list[dict[str, Any]]]


def main() -> None:
    """Measures, checks, reports."""
    options = parser(__doc__, rounds=7)
    options.add_argument("--photos", type=int, default=200, help="how many (%(default)s)")
    options.add_argument("--size", type=size_wh, default=(4000, 3000), metavar="WxH", help="of each (4000x3000)")
    options.add_argument("--source", type=Path, metavar="FOLDER", help="photos to make them of (examples/elephant.jpg)")
    arguments = options.parse_args()
    if arguments.quick:
        arguments.photos, arguments.size, arguments.rounds = 6, (640, 480), 1
    found = conditions(arguments)
    from _models import make_bundle, make_plain_onnx, make_timm_weights

    with workplace() as place:
        folder = place / "images/photos"
        condition = make_images(folder, arguments.photos, arguments.size, sources(arguments.source))
        make_bundle(place, arguments.weights, sorted(folder.iterdir()))
        make_timm_weights(place)
        make_plain_onnx(place)
        script = Path(__file__).with_name("_folder_contenders.py")
        measures = {name: partial(python_child, place, script, name, place, arguments.threads) for name in CONTENDERS}
        rounds = interleaved(measures, arguments.rounds, warm_up=not arguments.quick)
    for fault in disagreements(rounds, trained=arguments.weights is not None):
        sys.exit(f"error: {fault}")
    width, height = arguments.size
    report([*rates(rounds, condition), *comparisons(rounds, condition)], found, arguments, f"folder_{width}x{height}")


def size_wh(text: str) -> tuple[int, int]:
    """``"4000x3000"`` as numbers."""
    width, by, height = text.partition("x")
    if not (by and width.isdigit() and height.isdigit() and min(int(width), int(height)) >= 1):
        raise ArgumentTypeError(f"{text!r}; expected a width and a height, such as 4000x3000")
    return int(width), int(height)


def rates(rounds: Rounds, condition: str) -> Iterator[Row]:
    """Each contender's images a second and seconds before the first, imports and loading."""
    for unit, key in (("images/s", "images_per_s"), ("s before the first image", "setup_s")):
        for contender, results in rounds.items():
            engine = " or ".join(dict.fromkeys(result["engine"] for result in results))
            yield row("folder", condition, contender, unit, [result[key] for result in results], engine=engine)


def comparisons(rounds: Rounds, condition: str) -> Iterator[Row]:
    """How many times as fast litevision is as each other contender, and as the bound."""
    speeds = {contender: [result["images_per_s"] for result in results] for contender, results in rounds.items()}
    for ours in OURS:
        inferring = speeds[ours.replace("litevision", "inference alone")]
        bounds = [bound(f, g) for f, g in zip(speeds["decoding alone"], inferring, strict=True)]
        engine = rounds[ours][-1]["engine"]
        for contender, theirs in {**{other: speeds[other] for other in THEIRS}, "bound": bounds}.items():
            what = f"{ours} / {contender}"
            yield row("folder", condition, what, "ratio", ratios(speeds[ours], theirs), engine=engine)


def bound(decoding: float, inference: float) -> float:
    """Images a second of cores that each do both."""
    return 1 / (1 / decoding + 1 / inference)


def disagreements(rounds: Rounds, *, trained: bool) -> Iterator[str]:
    """Where the contenders' best classes differ by more than rounding and reduced decoding explain.

    Args:
        trained: whether the network is; a random one's answers are too close to each other for bf16.
    """
    for contender, results in rounds.items():
        for result, reference in zip(results, rounds[REFERENCE], strict=True):
            pairs = list(zip(result["answers"], reference["answers"], strict=bool(result["answers"])))
            same = [mine == theirs for (mine, _), (theirs, _) in pairs]
            led = [mine == theirs for (mine, _), (theirs, lead) in pairs if lead > MARGIN]
            if "fp32" in result["engine"] and not all(led):
                yield f"{contender} and {REFERENCE} differ where the best class leads by over {MARGIN}"
            if trained and sum(same) < MIN_AGREEMENT * len(same):
                yield f"{contender} and {REFERENCE} agree on no more than {sum(same)} of {len(same)} images"


if __name__ == "__main__":
    main()
