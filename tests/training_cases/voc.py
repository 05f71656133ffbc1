"""Pascal VOC, as programs and people write it."""

import re
from collections.abc import Callable
from pathlib import Path

import numpy as np
from PIL import Image

from images import stored_as
from labelled_boxes import Scene, scenes, voc_xml, write_voc
from training_cases.case import Build, case, flat

VOC = "20 images with 60 boxes of 2 classes (Pascal VOC)"


def voc(change: Callable[[str], str] = str, **folders: str) -> Build:
    folders = {"images": "JPEGImages", "labels": "Annotations"} | folders
    return lambda root: flat(root, ".xml", lambda scene: change(voc_xml(scene)), **folders)


def replaced(pattern: str, by: str) -> Callable[[str], str]:
    return lambda text: re.sub(pattern, by, text, flags=re.DOTALL)


def shifted(text: str) -> str:
    return re.sub(r"<xmin>([\d.]+)</xmin>", lambda match: f"<xmin>{float(match[1]) + 0.25:.2f}</xmin>", text)


_SWAP = replaced(r"<xmin>(\d+)</xmin>(.*?)<xmax>(\d+)</xmax>", r"<xmin>\3</xmin>\2<xmax>\1</xmax>")
_OUTLINE = replaced(
    r"<bndbox><xmin>(\d+)</xmin><ymin>(\d+)</ymin><xmax>(\d+)</xmax><ymax>(\d+)</ymax></bndbox>",
    r"<polygon><x1>\1</x1><y1>\2</y1><x2>\3</x2><y2>\2</y2><x3>\3</x3><y3>\4</y3></polygon>",
)
case("VOC", VOC)(voc())
case("VOC in annots", VOC)(voc(images="images", labels="annots"))
case("VOC in xmls", VOC)(voc(images="images", labels="xmls"))
case("VOC in Annotation", VOC)(voc(images="images", labels="Annotation"))
case("VOC in labels", VOC)(voc(images="images", labels="labels"))
case("VOC beside the images of each split", VOC)(voc(images="{split}", labels="{split}"))
case("VOC of FiftyOne", VOC)(voc(images="data", labels="labels"))
case("VOC with swapped corners", VOC)(voc(_SWAP))
case("VOC with outlines", VOC)(voc(_OUTLINE))
case("VOC with fractions of a pixel", VOC)(voc(shifted))
case("VOC with sizes of 0", VOC)(voc(replaced("<width>64</width><height>48", "<width>0</width><height>0")))
case("VOC without sizes", VOC)(voc(replaced("<size>.*</size>", "")))
case("VOC of images that were resized", "0 images with 0 boxes of 2 classes (Pascal VOC)", trains=False)(
    voc(replaced("<width>64</width><height>48", "<width>640</width><height>480"))
)
case("VOC with sizes exchanged", "0 images with 0 boxes of 2 classes (Pascal VOC)", trains=False)(
    voc(replaced("<width>64</width><height>48", "<width>48</width><height>64"))
)
case("VOC with parts", VOC)(
    voc(replaced("</bndbox>\n", "</bndbox><part><name>head</name><bndbox><xmin>1</xmin></bndbox></part>"))
)
case("VOC with a byte order mark and CRLF", VOC)(voc(lambda text: "\ufeff" + text.replace("\n", "\r\n")))
case("VOC all difficult", "20 images with 0 boxes of 2 classes (Pascal VOC)", trains=False)(
    voc(replaced("<difficult>0", "<difficult>1"))
)


@case("VOC in UTF-16", VOC)
def _(root: Path) -> None:
    voc()(root)
    for file in (root / "Annotations").iterdir():
        file.write_bytes(('<?xml version="1.0" encoding="utf-16"?>' + file.read_text()).encode("utf-16"))


@case("VOC in cp1252, as it declares", VOC)
def _(root: Path) -> None:
    voc()(root)
    for file in (root / "Annotations").iterdir():
        text = '<?xml version="1.0" encoding="windows-1252"?>' + file.read_text().replace("cell", "Zell\u00e9")
        file.write_bytes(text.encode("cp1252"))


@case("VOC in Latin-1 that it does not declare", "0 images with 0 boxes of 0 classes (Pascal VOC)", trains=False)
def _(root: Path) -> None:
    voc()(root)
    for file in (root / "Annotations").iterdir():
        file.write_bytes(file.read_text().replace("Unknown", "\u00e9").encode("latin-1"))


@case("VOC with entities in one file", "19 images with 57 boxes of 2 classes (Pascal VOC)")
def _(root: Path) -> None:
    voc()(root)
    (root / "Annotations/train00.xml").write_text(
        '<!DOCTYPE a [<!ENTITY a "aaaa"><!ENTITY b "&a;&a;">]><annotation>&b;</annotation>'
    )


@case("VOC with one broken file", "19 images with 57 boxes of 2 classes (Pascal VOC)")
def _(root: Path) -> None:
    voc()(root)
    (root / "Annotations/train00.xml").write_text("<annotation><object>")


@case("VOC by the names in the files", VOC)
def _(root: Path) -> None:
    voc()(root)
    for number, file in enumerate(sorted((root / "Annotations").iterdir())):
        file.rename(file.with_name(f"frame_{number}.xml"))


@case("VOC in capitals", VOC)
def _(root: Path) -> None:
    voc()(root)
    for file in [*(root / "Annotations").iterdir(), *(root / "JPEGImages").iterdir()]:
        suffix = ".XML" if file.suffix == ".xml" else ".PNG"
        file.rename(file.with_name(file.stem.upper() + suffix if suffix == ".PNG" else file.stem + suffix))


@case("VOC with images without objects", "20 images with 54 boxes of 2 classes (Pascal VOC)")
def _(root: Path) -> None:
    voc()(root)
    for number in (0, 1):
        (root / f"Annotations/train0{number}.xml").write_text(voc_xml(Scene(f"train0{number}", "train")))


@case("VOC with lists of splits and of classes", "28 images with 84 boxes of 2 classes (Pascal VOC)")
def _(root: Path) -> None:
    write_voc(root, scenes())
    lists = root / "ImageSets/Main"
    (lists / "trainval.txt").write_text((lists / "train.txt").read_text() + (lists / "val.txt").read_text())
    (lists / "cell_train.txt").write_text("train00  1\ntrain01 -1\n")


@case("VOC of images that are turned by EXIF", VOC)
def _(root: Path) -> None:
    voc()(root)
    for number in range(3):
        path = root / f"JPEGImages/train0{number}.png"
        path.with_suffix(".jpg").write_bytes(stored_as(np.asarray(Image.open(path)), 6, "JPEG"))
        path.unlink()


@case("VOC in linked folders", VOC)
def _(root: Path) -> None:
    store = root.parent / f"{root.name}-store"
    voc()(store)
    root.mkdir(exist_ok=True)
    for name in ("Annotations", "JPEGImages"):
        (root / name).symlink_to(store / name)


@case("VOC with boxes entirely outside", "17 images with 51 boxes of 2 classes (Pascal VOC)")
def _(root: Path) -> None:
    voc()(root)
    for number in range(3):
        file = root / f"Annotations/train0{number}.xml"
        file.write_text(file.read_text().replace("<xmin>", "<xmin>1", 1).replace("<xmax>", "<xmax>10", 1))


@case("VOC with classes of very different size", "20 images with 60 boxes of 2 classes (Pascal VOC)")
def _(root: Path) -> None:
    voc(lambda text: text.replace("<name>cell", "<name>dot"))(root)
    file = root / "Annotations/train05.xml"
    file.write_text(file.read_text().replace("<name>dot", "<name>cell", 1))


@case("VOC annotations without any image", "0 images with 0 boxes of 0 classes (Pascal VOC)", trains=False)
def _(root: Path) -> None:
    voc()(root)
    for path in (root / "JPEGImages").iterdir():
        path.unlink()
