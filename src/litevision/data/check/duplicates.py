"""Find duplicates among the images: the same bytes, the same pixels, or nearly so."""

from collections import defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt

from litevision.data.check.similar import alike, candidates, signatures
from litevision.data.dataset import LabelledBoxes, LabelledImages, Sample
from litevision.data.exact_duplicates import exact_duplicates
from litevision.data.image_stats import DatasetStats, in_threads
from litevision.data.issues import Issue
from litevision.data.listing import relative_name
from litevision.errors import LitevisionError
from litevision.image import Preprocess, decode

_CLOSE_PX = 64
_close = Preprocess((_CLOSE_PX, _CLOSE_PX), _CLOSE_PX, "stretch", "bilinear")
_PAIRS_AT_ONCE = 2048  # twice 25 MB of images, and some times that in floats


def duplicate_issues(
    data: LabelledImages | LabelledBoxes, paths: Sequence[Path], stats: DatasetStats, *, workers: int | None = None
) -> Iterator[Issue]:
    """Report each image that is a copy of one before it; train comes before validation and test.

    Args:
        data: the images; boxes are not compared, as copies with other boxes are copies all the same.
        paths: the images that were inspected.
        stats: what that gave. An image that cannot be read is no copy of any; without thumbnails, files with the same
            bytes alone are looked for.
        workers: threads.
    """
    images = data.as_images()
    samples = images.samples
    place = {path: index for index, path in enumerate(paths)}
    order = [place[sample.path] for sample in samples]
    sizes_hw = [stats.sizes_hw[index] for index in order]
    describe = _Describe(images.root, images.classes, samples)
    copies = set()
    for group in exact_duplicates([sample.path for sample in samples]):
        readable = [index for index in group if sizes_hw[index] is not None]
        for index in readable[1:]:
            copies.add(index)
            yield describe.exact(index, [other for other in readable if other < index], "bytes")
    if stats.thumbs_u8 is None:
        return
    single = np.array([i for i, size in enumerate(sizes_hw) if size is not None and i not in copies], np.intp)
    thumbs_u8 = stats.thumbs_u8[np.array(order, np.intp)[single]]
    near = _near(samples, single[candidates(signatures(thumbs_u8))], workers)
    for index, others in near.items():
        same = [other for other in others if sizes_hw[other] == sizes_hw[index] and _same_pixels(samples, index, other)]
        yield describe.exact(index, same, "pixels") if same else describe.near(index, others)


def _near(samples: Sequence[Sample], pairs: npt.NDArray[np.intp], workers: int | None) -> dict[int, list[int]]:
    """The earlier images that each image nearly equals, compared at 64 x 64 px."""
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
    except LitevisionError:  # removed since it was inspected; a black image is like none
        return np.zeros((_CLOSE_PX, _CLOSE_PX, 3), np.uint8)


def _same_pixels(samples: Sequence[Sample], index: int, other: int) -> bool:
    first, second = (decode(samples[i].path) for i in (index, other))
    return first.tobytes() == second.tobytes()


@dataclass(frozen=True, slots=True)
class _Describe:
    """Describe an image that is a copy of others, as an issue."""

    root: Path
    classes: Sequence[str]
    samples: Sequence[Sample]

    def exact(self, index: int, others: Sequence[int], what: str) -> Issue:
        rules = ("duplicate-with-other-label", "duplicate-across-splits", "exact-duplicate")
        return self._issue(index, others, rules, f"same {what} as")

    def near(self, index: int, others: Sequence[int]) -> Issue:
        rules = ("near-duplicate-with-other-label", "near-duplicate-across-splits", "near-duplicate")
        return self._issue(index, others, rules, "nearly the same as")

    def _issue(self, index: int, others: Sequence[int], rules: tuple[str, str, str], relation: str) -> Issue:
        """The worst that ``others``, the most similar first, make of it: another label, another split, a mere copy."""
        sample, copied = self.samples[index], [self.samples[other] for other in others]
        worst = (
            [other for other in copied if other.label != sample.label],
            [other for other in copied if other.split != sample.split],
            copied,
        )
        rule, other = next((rule, found[0]) for rule, found in zip(rules, worst, strict=True) if found)
        if other.path == sample.path:
            detail = f"listed twice: as {self.classes[sample.label]!r} in {sample.split}, "
            return Issue.of(rule, sample.path, detail + f"and as {self.classes[other.label]!r} in {other.split}")
        splits = f" ({other.split})" if other.split != sample.split else ""
        return Issue.of(rule, sample.path, f"{relation} {relative_name(self.root, other.path)}{splits}")
