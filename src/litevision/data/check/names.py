"""Names that differ in case alone."""

from collections import defaultdict
from collections.abc import Iterator, Sequence
from pathlib import Path

from litevision.data.issues import Issue
from litevision.data.listing import Listing


def name_faults(listing: Listing) -> Iterator[Issue]:
    """A fault for each class, and each file of a folder, that has another's name in another case."""
    for name, first in _collisions(listing.classes):
        folder = next((path for (_, label), path in listing.class_folders.items() if label == name), None)
        yield Issue.of("name-case-collision", folder, f"class {name!r}, beside class {first!r}")
    by_folder: dict[Path, set[str]] = defaultdict(set)
    for entry in listing.entries:
        by_folder[entry.path.parent].add(entry.path.name)
    for folder, names in by_folder.items():
        for name, first in _collisions(sorted(names)):
            yield Issue.of("name-case-collision", folder / name, f"beside {first}")


def _collisions(names: Sequence[str]) -> Iterator[tuple[str, str]]:
    """Each name that another had before, in another case, and that other."""
    first: dict[str, str] = {}
    for name in names:
        if first.setdefault(name.casefold(), name) != name:
            yield name, first[name.casefold()]
