"""One data set as somebody brings it, and the list of all."""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from labelled_boxes import Scene, scenes, write_image

Build = Callable[[Path], "Path | None"]


@dataclass(frozen=True)
class Case:
    """One data set.

    Attributes:
        name: the habit.
        holds: what check-data says it holds, without the number of classes where that is 2; empty where both refuse it.
        build: writes it into an empty folder, and gives the path to name where that is another.
        trains: whether train can start.
    """

    name: str
    holds: str
    build: Build
    trains: bool = True


CASES: list[Case] = []


def case(name: str, holds: str, *, trains: bool = True) -> Callable[[Build], Build]:
    """Adds a case; ``holds`` is empty where there is no data that could be described."""

    def add(build: Build) -> Build:
        CASES.append(Case(name, holds, build, trains and bool(holds)))
        return build

    return add


def flat(
    root: Path, suffix: str, text: Callable[[Scene], str], *, images: str = "images", labels: str = "labels"
) -> None:
    """Twenty scenes in ``images``, with a label file of each in ``labels``; both may name ``{split}``."""
    for number, scene in enumerate(scenes(20, 0, 0)):
        split = "train" if number < 14 else "valid" if number < 17 else "test"
        write_image(root / images.format(split=split) / f"{scene.name}.png", scene)
        file = root / labels.format(split=split) / f"{scene.name}{suffix}"
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(text(scene))
