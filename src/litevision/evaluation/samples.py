"""Which labelled images are scored, where their classes stand among a bundle's, and the walk through the answers."""

import difflib
from collections import Counter
from collections.abc import Callable, Collection, Generator, Sequence
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol, TypeVar

import numpy as np
import numpy.typing as npt

from litevision.data.dataset import SPLITS, Split
from litevision.errors import UnknownNameError, UsageError
from litevision.runtime.results import Result

ALL = "all"
"""Stands for every image, whatever its split."""

_SHOWN = 10  # names in a message


@dataclass(frozen=True, slots=True)
class Skipped:
    """An image that could not be read, and why."""

    path: Path
    detail: str


class WithPath(Protocol):
    """A labelled image of any kind."""

    @property
    def path(self) -> Path:
        """Its file."""


Labelled = TypeVar("Labelled", bound=WithPath, covariant=True)
Found = TypeVar("Found")


class Splits(Protocol[Labelled]):
    """Labelled images in splits: `litevision.data.LabelledImages` and `litevision.data.LabelledBoxes`."""

    @property
    def root(self) -> Path:
        """What they were read from."""

    @property
    def samples(self) -> tuple[Labelled, ...]:
        """All of them."""

    def of(self, split: Split, /) -> tuple[Labelled, ...]:
        """Those of one split."""

    def counts(self, split: Split, /) -> tuple[int, ...]:
        """How much there is to find of each class in a split."""


def select_split(data: Splits[Labelled], split: str | None = None) -> tuple[str, tuple[Labelled, ...]]:
    """The name of a split and its images.

    Args:
        data: the labelled images.
        split: "train", "validation", "test" or "all"; None for the first of "test", "validation" and "all" that has
            labels.

    Raises:
        UnknownNameError: no such split.
        UsageError: no images in it.
    """
    if split is not None and split not in (*SPLITS, ALL):
        raise UnknownNameError.of("split", split, (*SPLITS, ALL))
    of: dict[str, tuple[Labelled, ...]] = {name: data.of(name) for name in SPLITS}
    of[ALL] = data.samples
    held_out: tuple[Split, ...] = ("test", "validation")
    chosen = split or next((name for name in held_out if sum(data.counts(name))), ALL)
    if not of[chosen]:
        has = ", ".join(f"{name} {len(of[name]):,}" for name in SPLITS if of[name]) or "none at all"
        raise UsageError(f"{data.root}: the split {chosen!r} has no images; expected one that has some ({has}).")
    return chosen, of[chosen]


def collect(
    chunks: Generator[list[Result[Found]]],
    samples: Sequence[WithPath],
    keep: Callable[[int, Result[Found]], None],
    on_results: Callable[[Sequence[Result[Found]]], None] | None,
) -> tuple[Skipped, ...]:
    """Gives ``keep`` each answer with the place of its image; the images that could not be read are its result.

    Args:
        chunks: the answers to ``samples``, in their order; closed in the end.
        on_results: is given each few results as they come.
    """
    skipped: list[Skipped] = []
    place = 0
    with closing(chunks):
        for answers in chunks:
            for answer in answers:
                if answer.error:
                    skipped.append(Skipped(samples[place].path, str(answer.error)))
                else:
                    keep(place, answer)
                place += 1
            if on_results:
                on_results(answers)
    return tuple(skipped)


def label_indices(
    classes: Sequence[str], labels: Sequence[str], shown: Collection[int] | None = None
) -> npt.NDArray[np.int64]:
    """Where each of ``classes`` stands among a bundle's ``labels``, by name; -1 for one that is not ``shown``.

    Args:
        classes: the data's.
        labels: the bundle's.
        shown: the indices of the classes that there is something of; None for all.

    Raises:
        UnknownNameError: a class that is no label.
        UsageError: a class that is several labels.
    """
    times = Counter(labels)
    named = [name for label, name in enumerate(classes) if shown is None or label in shown]
    unknown = [name for name in named if name not in times]
    if unknown:
        raise UnknownNameError(_unknown(unknown, classes, labels))
    twice = [name for name in named if times[name] > 1]
    if twice:
        raise UsageError(
            f"the bundle has {times[twice[0]]} labels {twice[0]!r}, so which of them is meant is unknown; "
            "expected class names that are one label each. Leave that class out."
        )
    places = {label: place for place, label in enumerate(labels)}
    return np.array([places.get(name, -1) for name in classes], np.int64)


def _unknown(unknown: Sequence[str], classes: Sequence[str], labels: Sequence[str]) -> str:
    named = [f"{name!r}{_nearest(name, labels)}" for name in unknown[:_SHOWN]]
    some = ", ".join(labels[:_SHOWN])
    return (
        f"the bundle does not know {len(unknown):,} of the data's {len(classes):,} classes: "
        f"{', '.join(named)}{_more(unknown)}. It has {len(labels):,} labels: {some}{_more(labels)}. "
        "Rename the classes to its labels, or take a bundle made for them."
    )


def _more(names: Sequence[str]) -> str:
    return f" and {len(names) - _SHOWN:,} more" if len(names) > _SHOWN else ""


def _nearest(name: str, labels: Sequence[str]) -> str:
    folded = {label.lower(): label for label in reversed(labels)}
    found = [label for label in folded if label.endswith(name.lower())]  # a hat is a cowboy_hat before it is a bat
    found = found or difflib.get_close_matches(name.lower(), folded, n=1, cutoff=0.7)
    return f" (nearest: {folded[found[0]]!r})" if found else ""
