"""The ids of images and classes in a COCO file of annotations, for results that belong to it."""

import json
import os
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import Any

from litevision.data.formats.label_files import UnreadableLabels, read_bytes
from litevision.errors import DataError, FileMissingError, reason_of

_MAX_BYTES = 2 * 1024**3  # COCO's own train2017 has 450 MB


@dataclass(frozen=True)
class CocoIds:
    """What a file of annotations calls its images and classes.

    Attributes:
        path: the file.
        categories: the id of each class, by its name.
    """

    path: Path
    categories: dict[str, int]
    _images: dict[str, list[tuple[tuple[str, ...], int]]]

    @classmethod
    def read(cls, path: str | os.PathLike[str]) -> "CocoIds":
        """Read the ids of a COCO file.

        Raises:
            FileMissingError: no such file.
            DataError: no COCO file of images and categories.
        """
        path = Path(path)
        if not path.exists():
            raise FileMissingError(f"{path}: no such file. Give the COCO file of annotations whose ids are wanted.")
        try:
            plain = json.loads(read_bytes(path, _MAX_BYTES))
            images = [(str(it["file_name"]), _whole(it["id"])) for it in plain["images"]]
            named = [(str(it["name"]), _whole(it["id"])) for it in plain["categories"]]
            used = {it.get("category_id") for it in plain.get("annotations", ())}
        except (
            UnreadableLabels,
            ValueError,
            ArithmeticError,
            LookupError,
            TypeError,
            AttributeError,
            RecursionError,
        ) as error:
            raise DataError(
                f"{path}: no COCO file of annotations ({type(error).__name__}: {reason_of(error)}); expected lists of "
                "images and categories with ids and names."
            ) from None
        by_name: dict[str, list[tuple[tuple[str, ...], int]]] = defaultdict(list)
        for file_name, image_id in images:
            parts = _parts(file_name)
            by_name[parts[-1] if parts else ""].append((parts, image_id))
        # A root category may have the name of the class below it, as in Roboflow's exports; no box is one of it.
        named.sort(key=lambda it: it[1] in used)
        return cls(path, dict(named), dict(by_name))

    def image_id(self, path: str | os.PathLike[str]) -> int | None:
        """Find an image's id by its path, or by the end of it; None where no image, or more than one, fits."""
        given = _parts(os.fspath(path))
        if not given:
            return None
        found = self._images.get(given[-1], [])
        if len(found) > 1:
            shared = [_shared_tail(given, parts) for parts, _ in found]
            most = max(shared)
            found = [it for it, count in zip(found, shared, strict=True) if count == most]
        ids = {image_id for _, image_id in found}
        return ids.pop() if len(ids) == 1 else None

    def category_ids(self, class_names: Sequence[str]) -> list[int | None]:
        """Find the id of each class by its name, whatever its case; None where the file has no such class."""
        folded: dict[str, set[int]] = defaultdict(set)
        for name, category_id in self.categories.items():
            folded[name.strip().casefold()].add(category_id)
        ids: list[int | None] = []
        for name in class_names:
            alike = folded.get(name.strip().casefold(), set())
            ids.append(self.categories.get(name, next(iter(alike)) if len(alike) == 1 else None))
        return ids

    def require_classes(self, class_names: Sequence[str]) -> None:
        """Refuse a model of which the file names no class.

        Raises:
            DataError: it names none.
        """
        if not any(it is not None for it in self.category_ids(class_names)):
            raise DataError(
                f"{self.path}: names the classes {', '.join(self.categories) or '(none)'}; expected some of "
                f"the model's: {', '.join(class_names)}."
            )


def _whole(value: Any) -> int:
    if isinstance(value, bool) or int(value) != float(value):
        raise ValueError(f"id {value!r} is no whole number")
    return int(value)


def _parts(name: str) -> tuple[str, ...]:
    """The folders and the name, with either kind of slash."""
    return tuple(part for part in PurePosixPath(name.replace("\\", "/")).parts if part not in ("/", "."))


def _shared_tail(first: tuple[str, ...], second: tuple[str, ...]) -> int:
    pairs = zip(reversed(first), reversed(second), strict=False)
    return next((count for count, (one, other) in enumerate(pairs) if one != other), min(len(first), len(second)))
