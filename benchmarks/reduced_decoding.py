"""Whether decoding a large JPEG at reduced size ever changes the answer.

    python benchmarks/reduced_decoding.py FOLDER... --weights FILE

Every image in the folders, and copies of it enlarged 2, 3 and 4 times and saved as JPEG, is decoded as litevision
does and in full. The best class must be the same wherever it leads by over 0.05; exits with 1 where it is not. Takes
about a second an image.
"""

import io
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from _common import Row, conditions, parser, report, row, workplace
from _images import ELEPHANT
from PIL import Image

from litevision.errors import LitevisionError
from litevision.hub import load_classifier
from litevision.image import Preprocess, decode, find_images
from litevision.image.decode import open_image
from litevision.image.transforms import _MIN_PIXELS_PER_PIXEL
from litevision.runtime import Classifier

MARGIN = 0.05
ENLARGED = (2, 3, 4)
MAX_PIXELS = 100_000_000  # larger copies are left out


@dataclass(frozen=True)
class Outcome:
    """One image decoded both ways; ``lead`` is that of the best class over the second, in full."""

    name: str
    reduced: bool
    same: bool
    lead: float
    change: float


def main() -> None:
    """Compares, reports; the exit code says whether an answer changed."""
    options = parser(__doc__, rounds=None)
    options.add_argument("folders", nargs="*", type=Path, metavar="FOLDER", help="photos (examples/)")
    arguments = options.parse_args()
    folders = arguments.folders or [ELEPHANT.parent]
    images = [path for folder in folders for path in find_images(folder, recursive=True)]
    if arguments.quick:
        images = images[:2]
    found = conditions(arguments)
    from _models import make_bundle

    with workplace() as place:
        make_bundle(place, arguments.weights, images)
        classifier = load_classifier(place / "bundle.onnx", threads=arguments.threads)
        outcomes = [outcome for path in images for outcome in compare(classifier, path)]
    report(list(rows(outcomes)), found, arguments, "reduced_decoding")
    differing = [it for it in outcomes if it.lead > MARGIN and not it.same]
    for it in differing:
        print(f"error: {it.name}: another best class, though it leads by {it.lead:.3f}", file=sys.stderr)
    sys.exit(1 if differing else 0)


def compare(classifier: Classifier, path: Path) -> Iterator[Outcome]:
    """The image and its enlarged copies, each decoded both ways."""
    try:
        original = decode(path)
    except LitevisionError as error:
        print(f"note: left out: {error}", file=sys.stderr)
        return
    for factor in (1, *ENLARGED):
        size_wh = original.width * factor, original.height * factor
        if factor > 1 and size_wh[0] * size_wh[1] > MAX_PIXELS:
            continue
        source = path.read_bytes() if factor == 1 else jpeg(original.resize(size_wh, Image.Resampling.BICUBIC))
        name = path.name if factor == 1 else f"{path.name} enlarged {factor} times"
        yield outcome(classifier, source, name)


def jpeg(image: Image.Image) -> bytes:
    """The file's bytes."""
    stream = io.BytesIO()
    image.save(stream, "JPEG", quality=90)
    return stream.getvalue()


def outcome(classifier: Classifier, source: bytes, name: str) -> Outcome:
    """What becomes of one file's answer."""
    preprocess = classifier.preprocess
    batch_u8_nhwc = np.stack([preprocess(source), preprocess(decode(source))])  # a decoded image is taken as it is
    ours, full = classifier.probabilities(batch_u8_nhwc)
    second, first = np.partition(full, -2)[-2:]
    same = bool(ours.argmax() == full.argmax())
    return Outcome(name, is_reduced(preprocess, source), same, float(first - second), float(abs(ours - full).max()))


def is_reduced(preprocess: Preprocess, source: bytes) -> bool:
    """Whether litevision decodes the file at reduced size."""
    image = open_image(source)
    place = preprocess.geometry(image.upright_hw)
    (x1, y1, x2, y2), (left, top, right, bottom) = place.source_xyxy, place.target_xyxy
    pixels_per_pixel = min((x2 - x1) / (right - left), (y2 - y1) / (bottom - top))
    with image.decoding(max_shrink=pixels_per_pixel / _MIN_PIXELS_PER_PIXEL) as (_, ratio_xy):
        pass
    return max(ratio_xy) < 1


def rows(outcomes: list[Outcome]) -> Iterator[Row]:
    """The counts, and by how much probabilities change."""
    reduced = [it for it in outcomes if it.reduced]
    led = [it for it in reduced if it.lead > MARGIN]
    counts = {
        "images": outcomes,
        "decoded at reduced size": reduced,
        f"of these, best class leads by over {MARGIN}": led,
        "of these, best class differs": [it for it in led if not it.same],
    }
    condition = f"images and copies enlarged {', '.join(map(str, ENLARGED))} times, decoded reduced and in full"
    for what, counted in counts.items():
        yield row("reduced_decoding", condition, what, "images", [len(counted)])
    if reduced:
        changes = [it.change for it in reduced]
        yield row("reduced_decoding", condition, "an image's largest change of a probability", "", changes)
        yield row("reduced_decoding", condition, "largest of all", "", [max(changes)])


if __name__ == "__main__":
    main()
