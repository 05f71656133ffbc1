"""Copies among the images: the same bytes, the same pixels, or nearly so."""

from collections import defaultdict
from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np
import numpy.typing as npt

from litevision.data.check.similar import alike, candidates, signatures
from litevision.data.copies import exact_duplicates
from litevision.data.issues import Issue
from litevision.data.records import LabelledImages, Sample
from litevision.data.threads import in_threads
from litevision.errors import LitevisionError
from litevision.image import Preprocess, decode

_CLOSE_PX = 64
_close = Preprocess((_CLOSE_PX, _CLOSE_PX), _CLOSE_PX, "stretch", "bilinear")
_PAIRS_AT_ONCE = 2048  # twice 25 MB of images, and some times that in floats


def duplicate_faults(
    data: LabelledImages,
    sizes_hw: Sequence[tuple[int, int] | None],
    thumbs_u8: npt.NDArray[np.uint8] | None,
    *,
    workers: int | None = None,
) -> Iterator[Issue]:
    """A fault for each image that copies one before it; train stands before validation and test.

    Args:
        data: the images.
        sizes_hw: the upright size of each; None for one that cannot be read, which is no copy of any.
        thumbs_u8: ``uint8[N, S, S, 3]``; without them, the same bytes alone are looked for.
        workers: threads.
    """
    samples = data.samples
    copies = set()
    for group in exact_duplicates([sample.path for sample in samples]):
        readable = [index for index in group if sizes_hw[index] is not None]
        for index in readable[1:]:
            copies.add(index)
            yield _exact(data, samples[index], [samples[other] for other in readable if other < index], "bytes")
    if thumbs_u8 is None:
        return
    single = np.array([i for i, size in enumerate(sizes_hw) if size is not None and i not in copies], np.intp)
    near = _near(samples, single[candidates(signatures(thumbs_u8[single]))], workers)
    for index, others in near.items():
        same = [other for other in others if sizes_hw[other] == sizes_hw[index] and _same_pixels(samples, index, other)]
        if same:
            yield _exact(data, samples[index], [samples[other] for other in same], "pixels")
        else:
            yield _nearly(data, samples[index], [samples[other] for other in others])


def _near(samples: Sequence[Sample], pairs: npt.NDArray[np.intp], workers: int | None) -> dict[int, list[int]]:
    """The earlier images that each image is nearly the same as, seen at 64 x 64 px."""
    found: dict[int, list[int]] = defaultdict(list)
    for start in range(0, len(pairs), _PAIRS_AT_ONCE):
        part = pairs[start : start + _PAIRS_AT_ONCE]
        needed, places = np.unique(part, return_inverse=True)
        paths = [samples[index].path for index in needed]
        seen_u8 = np.stack(list(in_threads(_seen, paths, workers=workers)))
        places = places.reshape(part.shape)
        for index, other in part[alike(seen_u8[places[:, 0]], seen_u8[places[:, 1]])]:
            found[int(index)].append(int(other))
    return found


def _seen(path: Path) -> npt.NDArray[np.uint8]:
    try:
        return _close(path)
    except LitevisionError:  # it was there a moment ago; black is like nothing
        return np.zeros((_CLOSE_PX, _CLOSE_PX, 3), np.uint8)


def _same_pixels(samples: Sequence[Sample], index: int, other: int) -> bool:
    first, second = (decode(samples[i].path) for i in (index, other))
    return first.tobytes() == second.tobytes()


def _exact(data: LabelledImages, sample: Sample, others: Sequence[Sample], what: str) -> Issue:
    rules = ("duplicate-with-other-label", "duplicate-across-splits", "exact-duplicate")
    return _copy(data, sample, others, rules, f"same {what} as")


def _nearly(data: LabelledImages, sample: Sample, others: Sequence[Sample]) -> Issue:
    rules = ("near-duplicate-with-other-label", "near-duplicate-across-splits", "near-duplicate")
    return _copy(data, sample, others, rules, "nearly the same as")


def _copy(
    data: LabelledImages, sample: Sample, others: Sequence[Sample], rules: tuple[str, str, str], relation: str
) -> Issue:
    """The worst that ``others``, the likest first, make of an image: another label, another split, or a mere copy."""
    worst = (
        [other for other in others if other.label != sample.label],
        [other for other in others if other.split != sample.split],
        others,
    )
    rule, other = next((rule, found[0]) for rule, found in zip(rules, worst, strict=True) if found)
    if other.path == sample.path:
        detail = f"listed twice: as {data.classes[sample.label]!r} in {sample.split}, "
        return Issue.of(rule, sample.path, detail + f"and as {data.classes[other.label]!r} in {other.split}")
    places = f" ({other.split})" if other.split != sample.split else ""
    return Issue.of(rule, sample.path, f"{relation} {shown(data.root, other.path)}{places}")


def shown(root: Path, path: Path) -> str:
    """The path from the data's folder, where it lies in it."""
    folder = root if root.is_dir() else root.parent
    return path.relative_to(folder).as_posix() if path.is_relative_to(folder) else str(path)
