"""Two label formats that litevision does not know: what a new format takes, for tests."""

from collections.abc import Iterator, Sequence
from pathlib import Path
from types import ModuleType

from litevision.data.formats import Format
from litevision.data.formats.find import Folder
from litevision.data.listing import ListedBox, ListedImage, Listing


class TagList(ModuleType):
    """Classification: a file ``images.tags`` with a line ``split class image`` for each image."""

    row = Format("Tag list", "classification", "an images.tags file", "one line an image", "tag_list")
    suffix = ".tags"

    def is_labels_file(self, path: Path) -> bool:
        return path.suffix == self.suffix

    def find_labels(self, folder: Folder) -> Iterator[Path]:
        return (folder.path / name for name in folder.names if name.endswith(self.suffix))

    def list_labels(self, root: Path, files: Sequence[Path]) -> Listing:
        listing = Listing(root)
        for number, line in enumerate(files[0].read_text().splitlines(), 1):
            self.add(line.split(), files[0], number, listing)
        listing.classes.sort()
        return listing

    def add(self, words: list[str], file: Path, number: int, listing: Listing) -> None:
        split, label, name = words
        if label not in listing.classes:
            listing.classes.append(label)
        listing.images.append(ListedImage(file.parent / name, name, split, label, number))


class BoxList(TagList):
    """Detection: a file ``images.boxes`` with a line ``split class image x1 y1 x2 y2`` for each image."""

    row = Format("Box list", "detection", "an images.boxes file", "one line an image", "box_list", folders="boxed")
    suffix = ".boxes"

    def add(self, words: list[str], file: Path, number: int, listing: Listing) -> None:
        super().add(words[:3], file, number, listing)
        box = ListedBox(words[1], tuple(map(float, words[3:])), " ".join(words), file, number)
        listing.images[-1].boxes.append(box)
