"""Read CVAT's own XML: one file with the images of a task and their shapes."""

import math
import re
from collections.abc import Iterator, Sequence
from pathlib import Path

from litevision.data.formats.find import Folder
from litevision.data.formats.image_paths import list_named, split_of_labels
from litevision.data.formats.label_files import Element, head_of, indispensable, read_xml, size_of
from litevision.data.listing import ListedBox, ListedImage, Listing, split_named
from litevision.errors import DataError

_HEAD_BYTES = 4096
_LOOKED_AT = 20
_MAX_BYTES = 256 * 1024 * 1024
_MAX_ELEMENTS = 1_000_000


def is_labels_file(path: Path) -> bool:
    """Whether it is an XML file whose root is ``<annotations>``."""
    if path.suffix.lower() != ".xml":
        return False
    return re.search(rb"<annotations[\s>]", head_of(path, _HEAD_BYTES)) is not None


def find_labels(folder: Folder) -> Iterator[Path]:
    """The XML files of CVAT's root element."""
    if folder.by_content:
        files = [folder.path / name for name in folder.names if name.lower().endswith(".xml")]
        yield from filter(is_labels_file, files[:_LOOKED_AT])


def list_labels(root: Path, files: Sequence[Path]) -> Listing:
    """The images and boxes that ``files`` list; of an outline, the box around it.

    Raises:
        DataError: a file that cannot be read, or one of a video.
    """
    return list_named(root, files, _images)


def _images(file: Path, listing: Listing) -> Iterator[ListedImage]:
    with indispensable(file, "expected CVAT's XML of images"):
        annotations = read_xml(file, _MAX_BYTES, _MAX_ELEMENTS)
    if annotations.child("track"):
        raise DataError(f"{file}: CVAT's XML of a video; expected that of images. Export 'CVAT for images'.")
    yield from (_image(element, file, listing) for element in annotations.all("image"))


def _image(element: Element, file: Path, listing: Listing) -> ListedImage:
    attributes = element.attributes
    name = attributes.get("name", "")
    size_hw = size_of(attributes.get("height"), attributes.get("width"))
    split = split_named(attributes.get("subset", "")) or split_of_labels(file)
    image = ListedImage(Path(name), name, split, labels_file=file, line=element.line, size_hw=size_hw)
    outlines = 0
    for shape in element.children:
        label = shape.attributes.get("label", "")
        if shape.name == "tag" or not shape.attributes:
            continue
        text = f"{label} {shape.name}"
        try:
            points = _points(shape)
        except (KeyError, ValueError):
            points = []
        if not points or not label:
            rule = "unreadable-box" if label else "unknown-class"
            listing.refuse(image, rule, file, f"{text}; expected a box or an outline with a label", shape.line)
            continue
        outlines += shape.name != "box"
        xs, ys = points[::2], points[1::2]
        image.boxes.append(ListedBox(label, (min(xs), min(ys), max(xs), max(ys)), text, file, shape.line))
    if outlines:
        listing.report("polygon-labels", file, f"{outlines} of {len(image.boxes)} boxes of {name}", element.line)
    return image


def _points(shape: Element) -> list[float]:
    """Points x1 y1 x2 y2 ... that a shape lies between, px; raises ``KeyError`` or ``ValueError`` for what is none."""

    def of(*names: str) -> list[float]:
        return [float(shape.attributes[name]) for name in names]

    if shape.name == "box":
        left, top, right, bottom = of("xtl", "ytl", "xbr", "ybr")
        angle = math.radians(float(shape.attributes.get("rotation") or 0))
        return _turned(left, top, right, bottom, angle)
    if shape.name in ("ellipse", "circle"):
        x, y, half_width, half_height = of("cx", "cy", "rx", "ry")
        return [x - half_width, y - half_height, x + half_width, y + half_height]
    if shape.name == "mask":
        left, top, width, height = of("left", "top", "width", "height")
        return [left, top, left + width, top + height]
    return [float(value) for point in shape.attributes["points"].split(";") for value in point.split(",")]


def _turned(left: float, top: float, right: float, bottom: float, angle: float) -> list[float]:
    """The box around a box that is turned about its centre, by radians."""
    if not angle:
        return [left, top, right, bottom]
    cos, sin = abs(math.cos(angle)), abs(math.sin(angle))
    half_x = ((right - left) * cos + (bottom - top) * sin) / 2
    half_y = ((right - left) * sin + (bottom - top) * cos) / 2
    x, y = (left + right) / 2, (top + bottom) / 2
    return [x - half_x, y - half_y, x + half_x, y + half_y]
