"""Read Pascal VOC: an XML file for each image, in Annotations beside JPEGImages, or beside the image itself."""

import math
import re
from collections import defaultdict
from collections.abc import Iterator, Sequence
from pathlib import Path, PurePosixPath

from litevision.data.dataset import SPLITS, Split
from litevision.data.formats import cvat
from litevision.data.formats.find import Folder
from litevision.data.formats.image_paths import resolve
from litevision.data.formats.label_files import Element, UnreadableLabels, head_of, read_lines, read_xml, size_of
from litevision.data.listing import ListedBox, ListedImage, Listing, is_image, split_named, walk

# The challenge's own files count pixels from 1 and name the last pixel of an object; labelling tools (LabelImg, CVAT,
# Roboflow, Label Studio) write edges. A file says which it is: the challenge's name their database.
# Source: VOC2012 development kit, section 6.1: "the top-left pixel in the image has coordinates (1, 1)".
_COUNTS_FROM_1 = re.compile(r"The VOC20\d\d Database", re.IGNORECASE)

_EDGES = ("xmin", "ymin", "xmax", "ymax")
_IMAGE_FOLDERS = ("jpegimages", "images")
_NO_IMAGES = "segmentation"  # the challenge's masks have the names of their images

# The list of each split, best first: where train and val are there, trainval is both.
_LISTS: tuple[tuple[str, Split], ...] = (
    ("train", "train"),
    ("trainval", "train"),
    ("val", "validation"),
    ("valid", "validation"),
    ("validation", "validation"),
    ("test", "test"),
)
_FOLDERS_OF_LISTS = ("ImageSets/Main", "ImageSets")
_LOOKED_AT = 20  # XML files of a folder, some of which may be damaged
_HEAD_BYTES = 4096


def is_labels_file(path: Path) -> bool:
    """Never: there is an XML file for each image, and the folder of them is named."""
    return False


def find_labels(folder: Folder) -> Iterator[Path]:
    """The first XML file of a folder of annotations, or of one in which some are annotations by their content."""
    files = [folder.path / name for name in folder.names if name.lower().endswith(".xml")][:_LOOKED_AT]
    named_so = folder.path.name.lower() == "annotations" and not any(map(cvat.is_labels_file, files))
    if files and (named_so or any(map(_is_annotation, files))):
        yield files[0]


def _is_annotation(path: Path) -> bool:
    return re.search(rb"<annotation[\s>]", head_of(path, _HEAD_BYTES)) is not None


def list_labels(root: Path, files: Sequence[Path]) -> Listing:
    """The images and boxes below ``root``.

    An image's split is that whose list in ImageSets names it or, without lists, whose folder it lies in. A list of
    train replaces that of trainval.

    Raises:
        DataError: a folder that cannot be read.
    """
    listing = Listing(root)
    label_files: dict[Path, dict[str, Path]] = {}
    images: dict[str, list[Path]] = defaultdict(list)
    for folder, names in walk(root):
        xmls = {name[:-4]: folder / name for name in names if name.lower().endswith(".xml")}
        if xmls:
            label_files[folder] = xmls
        if not folder.name.lower().startswith(_NO_IMAGES):
            for name in filter(is_image, names):
                images[PurePosixPath(name).stem].append(folder / name)
    used: set[Path] = set()
    without: list[tuple[Path, Split | None, Element]] = []
    for folder, xmls in label_files.items():
        for xml, split in _listed(folder, xmls, listing):
            found = _read(xml, listing)
            if found is None:
                used.update(images.get(xml.stem, ()))
            elif images.get(xml.stem):
                path = max(images[xml.stem], key=lambda it: _nearness(it, xml, found.text_of("filename")))
                used.add(path)
                _add(xml, split, path, found, listing)
            else:
                without.append((xml, split, found))
    _add_by_names(without, listing, used)
    _report_unlabelled(images, label_files, used, listing)
    listing.classes = sorted({box.label for image in listing.images for box in image.boxes})
    return listing


def _listed(folder: Path, xmls: dict[str, Path], listing: Listing) -> Iterator[tuple[Path, Split | None]]:
    """The label files of a folder that are to be read, each with its split."""
    lists = next((found for place in _FOLDERS_OF_LISTS if (found := _lists(folder.parent / place))), {})
    if not lists:
        parts = folder.relative_to(listing.root).parts
        split = next((split for part in reversed(parts) if (split := split_named(part))), None)
        yield from ((xml, split) for xml in xmls.values())
        return
    first: dict[str, tuple[Split, Path]] = {}
    for split, file in lists.items():
        try:
            lines = read_lines(file)
        except UnreadableLabels as error:
            listing.report("missing-split", file, error.detail, error.line)
            continue
        for number, line in enumerate(lines, 1):
            stem = _stem(line, xmls)
            if not stem:
                continue
            if stem not in xmls:
                listing.report("missing-labels", file, f"{line}: no {folder.name}/{stem}.xml", number)
            elif stem in first:
                other_split, other = first[stem]
                detail = f"{line}: also in {other.name}" if other != file else f"{line}: listed before"
                listing.report("listed-twice", file, detail, number)
                if SPLITS.index(split) > SPLITS.index(other_split):  # held-out images stay out of train
                    first[stem] = split, file
            else:
                first[stem] = split, file
    for stem, xml in xmls.items():
        if stem in first:
            yield xml, first[stem][0]
        else:
            listing.report("not-in-a-split", xml, f"in none of {', '.join(file.name for file in lists.values())}")


def _lists(folder: Path) -> dict[Split, Path]:
    found: dict[Split, Path] = {}
    for name, split in _LISTS:
        file = folder / f"{name}.txt"
        if split not in found and file.is_file():
            found[split] = file
    return found


def _stem(line: str, known: dict[str, Path]) -> str:
    """What a line of a list names: a stem, perhaps with a suffix, a folder, or a flag behind it."""
    if line in known:
        return line
    first = line.rpartition(" ")[0].rstrip() if line.endswith((" 1", " -1", " 0")) else line
    return PurePosixPath(first).stem if is_image(first) else PurePosixPath(first).name


def _read(xml: Path, listing: Listing) -> Element | None:
    """The annotation in a label file; None where it has none, which is reported."""
    try:
        root = read_xml(xml)
        if root.name != "annotation":
            raise UnreadableLabels(f"the element <{root.name}>; expected <annotation>", root.line)
    except UnreadableLabels as error:
        listing.report("unreadable-labels", xml, error.detail, error.line)
        return None
    return root


def _add_by_names(labels: Sequence[tuple[Path, Split | None, Element]], listing: Listing, used: set[Path]) -> None:
    """Adds the labels that have no image of their stem: those of the image that they name, else of another case."""
    named = {xml: root.text_of("filename") or root.text_of("path") for xml, _, root in labels}

    def direct(name: str) -> Path | None:
        return None

    taken = set(used)
    splits = {named[xml]: split for xml, split, _ in labels} | {xml.stem: split for xml, split, _ in labels}
    by_name = resolve(filter(None, named.values()), direct, listing.root, taken, split_of=splits.get)
    taken |= set(by_name.values())
    stems = [xml.stem for xml, name in named.items() if name not in by_name]
    by_stem = resolve(stems, direct, listing.root, taken, suffixes=False, split_of=splits.get)
    for xml, split, root in labels:
        path = by_name.get(named[xml]) or by_stem.get(xml.stem)
        if path is None:
            named_so = f" and none {named[xml]}" if named[xml] and PurePosixPath(named[xml]).stem != xml.stem else ""
            listing.report("missing-image", xml, f"no image {named[xml] if not named_so else xml.stem + named_so}")
            continue
        used.add(path)
        _add(xml, split, path, root, listing)


def _add(xml: Path, split: Split | None, path: Path, root: Element, listing: Listing) -> None:
    """Adds the image of one label file."""
    shift = 1.0 if _COUNTS_FROM_1.search((root.child("source") or root).text_of("database")) else 0.0
    image = ListedImage(path, listing.name_of(path), split, labels_file=xml, size_hw=_size(root))
    image.boxes = [box for element in root.all("object") if (box := _box(element, image, xml, shift, listing))]
    if any(element.child("bndbox") is None for element in root.all("object")) and image.boxes:
        listing.report("polygon-labels", xml, "outlines or turned boxes")
    listing.images.append(image)


def _nearness(image: Path, xml: Path, named: str) -> tuple[bool, int, bool]:
    """How likely an image with a label file's stem is the one that it is for."""
    shared = len(set(image.parent.parts) & set(xml.parent.parts))
    return image.name == named, shared, image.parent.name.lower() in _IMAGE_FOLDERS


def _size(root: Element) -> tuple[int, int] | None:
    """What the file states; some programs write 0."""
    size = root.child("size")
    return size_of(size.text_of("height"), size.text_of("width")) if size else None


def _box(element: Element, image: ListedImage, xml: Path, shift: float, listing: Listing) -> ListedBox | None:
    label = element.text_of("name")
    if not label:
        listing.refuse(image, "unknown-class", xml, "an object without a name", element.line)
        return None
    edges = element.child("bndbox")
    outline = None if edges else _outline(element)
    if outline:
        xs, ys = outline[::2], outline[1::2]
        return ListedBox(label, (min(xs), min(ys), max(xs), max(ys)), label, xml, element.line, _is_ignored(element))
    texts = [edges.text_of(edge) if edges else "" for edge in _EDGES]
    line = edges.line if edges else element.line
    written = f"{label} {' '.join(text or 'nothing' for text in texts)}"
    try:
        x1, y1, x2, y2 = map(float, texts)
    except ValueError:
        listing.refuse(image, "unreadable-box", xml, f"{written}; expected {' '.join(_EDGES)}", line)
        return None
    if x2 < x1 or y2 < y1:
        listing.report("swapped-corners", xml, written, line)
        x1, y1, x2, y2 = min(x1, x2), min(y1, y2), max(x1, x2), max(y1, y2)
    # A box of one pixel in the challenge's count has the same edges; elsewhere it has no area, and stays so.
    corners = (x1 - shift, y1 - shift, x2, y2)
    return ListedBox(label, corners, written, xml, line, _is_ignored(element))


def _is_ignored(element: Element) -> bool:
    return element.text_of("difficult").lower() in ("1", "true")


def _outline(element: Element) -> list[float]:
    """The points x1 y1 x2 y2 ... of a polygon or of a turned box, in px; empty where there are none."""
    polygon, turned = element.child("polygon"), element.child("robndbox")
    try:
        if polygon:
            points = polygon.all("pt") or polygon.all("point")
            if points:  # LabelMe's XML
                return [float(point.text_of(axis)) for point in points for axis in "xy"]
            values = {child.name: float(child.text) for child in polygon.children}
            count = len(values) // 2
            return [values[f"{axis}{place}"] for place in range(1, count + 1) for axis in "xy"] if count > 2 else []
        if turned:  # roLabelImg's; the angle in radians
            x, y, width, height, angle = (float(turned.text_of(name)) for name in ("cx", "cy", "w", "h", "angle"))
            cos, sin = abs(math.cos(angle)), abs(math.sin(angle))
            half_x, half_y = (width * cos + height * sin) / 2, (width * sin + height * cos) / 2
            return [x - half_x, y - half_y, x + half_x, y + half_y]
    except (ValueError, KeyError):
        pass
    return []


def _report_unlabelled(
    images: dict[str, list[Path]], label_files: dict[Path, dict[str, Path]], used: set[Path], listing: Listing
) -> None:
    """An issue for each image without a label file, in the folders of those that have one."""
    stems = {stem for xmls in label_files.values() for stem in xmls}
    folders = {path.parent for path in used}
    for stem, paths in images.items():
        if stem not in stems:
            for path in paths:
                if path.parent in folders and path not in used:
                    listing.report("image-without-labels", path, f"no {stem}.xml")
