"""Read Label Studio's own JSON: a list of tasks, whole or in its short form."""

import math
import re
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from litevision.data.formats.find import Folder
from litevision.data.formats.image_paths import list_named, split_of_labels
from litevision.data.formats.label_files import brief, is_json_list, json_files, number, read_json_list, size_of
from litevision.data.listing import ListedBox, ListedImage, Listing, is_image

_EXPECTED = "expected Label Studio's JSON list of tasks with boxes"
_KINDS = ("rectanglelabels", "polygonlabels", "ellipselabels", "labels")
_SHAPE = re.compile(rb'"(rectangle|polygon|ellipse)labels"')


def is_labels_file(path: Path) -> bool:
    """Whether it is a JSON list with labels of rectangles or polygons."""
    return is_json_list(path, _SHAPE)


def find_labels(folder: Folder) -> Iterator[Path]:
    """The JSON files of a folder that are such lists."""
    if folder.by_content:
        yield from filter(is_labels_file, json_files(folder.path, folder.names))


def list_labels(root: Path, files: Sequence[Path]) -> Listing:
    """The images and boxes of the tasks in ``files``; a file's name or folder may say its split.

    A task without an annotation was not looked at by anybody, and is skipped.

    Raises:
        DataError: a file that cannot be read.
    """
    return list_named(root, files, _images)


def _images(file: Path, listing: Listing) -> Iterator[ListedImage]:
    split = split_of_labels(file)
    for place, task in enumerate(read_json_list(file, _EXPECTED)):
        task = task if isinstance(task, dict) else {}
        name = _image_of(task)
        if not name:
            listing.report("missing-image", file, f"task {place}: no image's name")
            continue
        shapes = _shapes_of(task)
        if shapes is None:
            listing.report("image-without-labels", file, f"task {place}: {name} has no annotation")
            continue
        image = ListedImage(Path(name), name, split, labels_file=file)
        outlines = sum(_add(shape, image, file, listing) for shape in shapes)
        if outlines:
            listing.report("polygon-labels", file, f"{outlines} of {len(image.boxes)} boxes of {name}")
        yield image


def _image_of(task: dict[str, Any]) -> str:
    """The image's name: what the task says of its data is called as its author liked."""
    data = task.get("data", task)
    data = data if isinstance(data, dict) else {}
    texts = [value for value in data.values() if isinstance(value, str)]
    named = next((data[key] for key in ("image", "img", "url") if isinstance(data.get(key), str)), "")
    return named or next((text for text in texts if is_image(text.partition("?")[0]) or is_image(text)), "")


def _shapes_of(task: dict[str, Any]) -> list[dict[str, Any]] | None:
    """The shapes of a task's last annotation that was not cancelled; None where it has none."""
    done = task.get("annotations", task.get("completions"))
    if isinstance(done, list):
        kept = [one for one in done if isinstance(one, dict) and not one.get("was_cancelled")]
        if not kept:
            return None
        result = kept[-1].get("result")
        return [shape for shape in result if isinstance(shape, dict)] if isinstance(result, list) else []
    # The short form: the shapes stand under the name of the tag that they were drawn with.
    lists = [value for value in task.values() if isinstance(value, list) and all(isinstance(it, dict) for it in value)]
    return [shape for shapes in lists for shape in shapes] if lists else None


def _add(shape: dict[str, Any], image: ListedImage, file: Path, listing: Listing) -> bool:
    """Adds the box of one shape, and says whether it is around another form; what is no shape is passed over."""
    value = shape.get("value", shape)
    value = value if isinstance(value, dict) else {}
    labels = next((value[kind] for kind in _KINDS if isinstance(value.get(kind), list)), None)
    if labels is None:
        return False
    size_hw = size_of(shape.get("original_height"), shape.get("original_width"))
    label = labels[0] if labels else None
    text = f"{image.name}: {brief(label)}"
    if not isinstance(label, str) or not label.strip():
        listing.refuse(image, "unknown-class", file, f"{text}; no label")
        return False
    try:
        if size_hw is None:
            raise ValueError("no original_width")
        xs, ys = _points(value, size_hw)
    except (KeyError, TypeError, ValueError, IndexError):
        listing.refuse(image, "unreadable-box", file, f"{text}; expected a shape in percent and the image's size")
        return False
    image.size_hw = size_hw
    image.boxes.append(ListedBox(label.strip(), (min(xs), min(ys), max(xs), max(ys)), text, file))
    return "points" in value or "radiusX" in value


def _points(value: dict[str, Any], size_hw: tuple[int, int]) -> tuple[list[float], list[float]]:
    """Points that a shape lies between, px; it is written in percent, and turned about its upper left corner."""
    across, down = size_hw[1] / 100, size_hw[0] / 100
    if "points" in value:
        points = value["points"]
        return [number(x) * across for x, _ in points], [number(y) * down for _, y in points]
    x, y = number(value["x"]) * across, number(value["y"]) * down
    if "radiusX" in value:
        half_width, half_height = number(value["radiusX"]) * across, number(value["radiusY"]) * down
        return [x - half_width, x + half_width], [y - half_height, y + half_height]
    width, height = number(value["width"]) * across, number(value["height"]) * down
    angle = math.radians(number(value.get("rotation") or 0))
    cos, sin = math.cos(angle), math.sin(angle)
    corners = [(0.0, 0.0), (width, 0.0), (width, height), (0.0, height)]
    return [x + a * cos - b * sin for a, b in corners], [y + a * sin + b * cos for a, b in corners]
