"""Writers of labelled boxes as a data set: YOLO, Pascal VOC or COCO, in the forms that the readers here read.

Each begins with an empty folder; the images belong into the folder in it that ``images`` names.
"""

import json
from abc import ABC, abstractmethod
from pathlib import Path, PurePath
from typing import Any, ClassVar
from xml.etree import ElementTree as Xml

from litevision.detections import Detections, box_area, box_convert
from litevision.errors import UnknownNameError
from litevision.files import atomic_write


class LabelWriter(ABC):
    """Writes the labels of images, one image after another.

    Args:
        folder: of the data set.
        class_names: every class, in the order of their indices.

    Attributes:
        images: the folder of the images below ``folder``.
    """

    images: ClassVar[str] = "images"

    def __init__(self, folder: Path, class_names: tuple[str, ...]) -> None:
        self.folder = folder
        self.class_names = class_names

    @abstractmethod
    def add(self, image: PurePath, found: Detections) -> None:
        """Write the boxes of an image, whose path is relative to the folder of images."""

    @abstractmethod
    def finish(self) -> None:
        """Write what stands once for all images."""


class YoloWriter(LabelWriter):
    """A text file an image in ``labels``, with centre, width and height as shares of the image, and a data.yaml."""

    def add(self, image: PurePath, found: Detections) -> None:
        height, width = found.image_hw
        rows = zip(found.class_ids.tolist(), box_convert(found.xyxy.astype("f8"), "xyxy", "cxcywh"), strict=True)
        sides = (width, height, width, height)
        lines = [
            f"{index} {' '.join(f'{it / side:.8f}' for it, side in zip(box, sides, strict=True))}\n"
            for index, box in rows
        ]
        _write(self.folder / "labels" / image.with_suffix(".txt"), "".join(lines))

    def finish(self) -> None:
        # JSON's strings are YAML's as well, whatever letters they have.
        names = "".join(f"  {index}: {json.dumps(name)}\n" for index, name in enumerate(self.class_names))
        _write(self.folder / "data.yaml", f"path: .\ntrain: images\nnames:\n{names}")


class VocWriter(LabelWriter):
    """An XML file an image in ``Annotations``, with edges in whole pixels."""

    images = "JPEGImages"

    def add(self, image: PurePath, found: Detections) -> None:
        height, width = found.image_hw
        root = Xml.Element("annotation")
        Xml.SubElement(root, "folder").text = self.images
        Xml.SubElement(root, "filename").text = image.name
        size = Xml.SubElement(root, "size")
        for name, value in (("width", width), ("height", height), ("depth", 3)):
            Xml.SubElement(size, name).text = str(value)
        for it in found:
            item = Xml.SubElement(root, "object")
            Xml.SubElement(item, "name").text = it.label
            for name, text in (("pose", "Unspecified"), ("truncated", "0"), ("difficult", "0")):
                Xml.SubElement(item, name).text = text
            box = Xml.SubElement(item, "bndbox")
            x1, y1, x2, y2 = it.box_xyxy
            (left, right), (top, bottom) = _pixels(x1, x2, width), _pixels(y1, y2, height)
            for name, edge in (("xmin", left), ("ymin", top), ("xmax", right), ("ymax", bottom)):
                Xml.SubElement(box, name).text = str(edge)
        Xml.indent(root)
        _write(self.folder / "Annotations" / image.with_suffix(".xml"), Xml.tostring(root, "unicode") + "\n")

    def finish(self) -> None:
        pass


class CocoWriter(LabelWriter):
    """One annotations.json; classes, images and boxes are numbered from 1."""

    def __init__(self, folder: Path, class_names: tuple[str, ...]) -> None:
        super().__init__(folder, class_names)
        self._images: list[dict[str, Any]] = []
        self._annotations: list[dict[str, Any]] = []

    def add(self, image: PurePath, found: Detections) -> None:
        height, width = found.image_hw
        image_id = len(self._images) + 1
        self._images.append({"id": image_id, "file_name": image.as_posix(), "height": height, "width": width})
        for row, area in zip(found.to_coco(image_id), box_area(found.xyxy).tolist(), strict=True):
            of_box = {"id": len(self._annotations) + 1, **row, "area": area, "iscrowd": 0}
            self._annotations.append(of_box)

    def finish(self) -> None:
        document = {
            "images": self._images,
            "categories": [{"id": place, "name": name} for place, name in enumerate(self.class_names, start=1)],
            "annotations": self._annotations,
        }
        _write(self.folder / "annotations.json", json.dumps(document))


WRITERS: dict[str, type[LabelWriter]] = {"yolo": YoloWriter, "voc": VocWriter, "coco": CocoWriter}


def label_writer(name: str) -> type[LabelWriter]:
    """Return the writer of a label format.

    Raises:
        UnknownNameError: there is none.
    """
    if name not in WRITERS:
        raise UnknownNameError.of("label format to write", name, WRITERS)
    return WRITERS[name]


def _pixels(start: float, end: float, length: int) -> tuple[int, int]:
    """The nearest whole edges, at least one pixel apart and within the image."""
    first = min(max(0, round(start)), length - 1)
    return first, min(max(first + 1, round(end)), length)


def _write(path: Path, text: str) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    with atomic_write(path) as partial:
        partial.write_text(text, "utf-8", errors="backslashreplace")
