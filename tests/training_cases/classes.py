"""Folders of classes, in every habit of naming and nesting them."""

import itertools
import os
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from PIL import Image

from images import encoded
from labelled import blobs, write_classes
from labelled_boxes import scenes, write_image
from training_cases.case import Build, case


def classes(root: Path, *splits: str, names: Sequence[str] = ("cat", "dog"), count: int = 12, first: int = 0) -> None:
    seeds = itertools.count(first)
    for split in splits or ("",):
        write_classes(root / split, names, count, seeds)


def split_folders(*names: str) -> Build:
    return lambda root: classes(root, *names)


for _folders in (
    ("train", "valid", "test"),
    ("Train", "Val", "Test"),
    ("TRAIN", "VALIDATION", "TESTING"),
    ("Training", "Testing"),
    ("Training", "Test"),
    ("training_set", "test_set"),
    ("train_set", "validation_set"),
    ("train", "dev", "eval"),
    ("train", "eval"),
    ("train2017", "val2017"),
    ("images_train", "images_val"),
    ("img_train", "img_test"),
    ("seg_train/seg_train", "seg_test/seg_test"),
    ("archive/train", "archive/test"),
    ("archive/archive/train", "archive/archive/test"),
    ("chest_xray_train", "chest_xray_test"),
    ("Train Data", "Test Data"),
    ("train-images", "test-images"),
    ("1_train", "2_val", "3_test"),
):
    case(f"split folders {' '.join(_folders)}", f"{24 * len(_folders)} images")(split_folders(*_folders))


def class_then_split(*splits: str) -> Build:
    def build(root: Path) -> None:
        seeds = itertools.count()
        for name in ("cat", "dog"):
            write_classes(root / name, splits, 12, seeds)

    return build


case("splits inside classes", "48 images")(class_then_split("train", "test"))
case("splits inside classes, by other names", "72 images")(class_then_split("Training", "dev", "Testing"))


@case("class folders", "24 images")
def _(root: Path) -> None:
    classes(root)


@case("class folders in a folder", "24 images")
def _(root: Path) -> None:
    classes(root / "photos")


@case("split folders of images without classes", "")
def _(root: Path) -> None:
    write_classes(root, ("train", "test"), 12, itertools.count())


@case("what systems and tools leave behind", "24 images")
def _(root: Path) -> None:
    classes(root)
    for name in (".DS_Store", "Thumbs.db", "cat/._0.png", "cat/.DS_Store", "dog/desktop.ini"):
        (root / name).write_bytes(b"left")
    write_classes(root, (".ipynb_checkpoints", "__MACOSX"), 1, itertools.count(500))


@case("names with underscores", "36 images of 3 classes")
def _(root: Path) -> None:
    classes(root, names=("__background__", "cat", "dog"))


@case("linked class folders", "24 images")
def _(root: Path) -> None:
    classes(root.parent / f"{root.name}-store")
    root.mkdir(exist_ok=True)
    for name in ("cat", "dog"):
        (root / name).symlink_to(root.parent / f"{root.name}-store" / name)


@case("two classes of one image", "2 images", trains=False)
def _(root: Path) -> None:
    classes(root, count=1)


@case("a class of one image beside a large one", "21 images")
def _(root: Path) -> None:
    classes(root, names=("cat",), count=20)
    classes(root, names=("dog",), count=1, first=50)


@case("two Unicode forms of one name in two splits", "24 images of 3 classes", trains=False)
def _(root: Path) -> None:
    classes(root, "train", names=("K\u00e4se", "dog"), count=6)
    classes(root, "val", names=("Ka\u0308se", "dog"), count=6, first=50)


@case("a name with a space at its end", "36 images of 3 classes")
def _(root: Path) -> None:
    classes(root, names=("cat", "dog", "dog "))


@case("numbers as names", "44 images of 11 classes")
def _(root: Path) -> None:
    classes(root, names=[str(number) for number in range(11)], count=4)


@case("images of every mode and shape", "29 images")
def _(root: Path) -> None:
    classes(root)
    image = Image.fromarray(blobs(900))
    for number, other in enumerate(
        (
            image.convert("L"),
            image.convert("RGBA"),
            Image.fromarray(blobs(901)[..., 0].astype(np.uint16) * 257),
            Image.fromarray(blobs(902, 8, 8)),
            Image.fromarray(blobs(903, 40, 400)),
        )
    ):
        (root / f"cat/mode{number}.png").write_bytes(encoded(other))


@case("one image in two classes", "25 images")
def _(root: Path) -> None:
    classes(root)
    (root / "dog/copy.png").write_bytes((root / "cat/0.png").read_bytes())


@case("damaged, empty and foreign files", "25 images")
def _(root: Path) -> None:
    classes(root, count=14)
    whole = encoded(blobs(900), "JPEG")
    (root / "cat/0.png").write_bytes(b"")
    (root / "cat/1.png").write_bytes(b"<html>404</html>")
    (root / "dog/2.png").write_bytes(whole[: len(whole) // 2])
    (root / "dog/3.png").write_bytes(whole)


@case("the only validation image of a class is empty", "18 images")
def _(root: Path) -> None:
    classes(root, "train", count=8)
    classes(root, "val", count=1, first=50)
    classes(root, "test", count=1, first=60)
    (root / "val/dog/0.png").write_bytes(b"")
    (root / "test/cat/0.png").write_bytes(b"<html>")


@case("every validation image is damaged", "16 images", trains=False)
def _(root: Path) -> None:
    classes(root, "train", count=8)
    classes(root, "val", count=2, first=50)
    for path in root.glob("val/*/*"):
        path.write_bytes(b"")


@case("every image of a class is damaged", "12 images", trains=False)
def _(root: Path) -> None:
    classes(root)
    for path in (root / "dog").iterdir():
        path.write_bytes(b"")


@case("all images of a class but two are damaged", "14 images")
def _(root: Path) -> None:
    classes(root)
    for number in range(2, 12):
        (root / f"dog/{number}.png").write_bytes(b"")


@case("an empty validation folder", "24 images")
def _(root: Path) -> None:
    classes(root, "train")
    (root / "val").mkdir()


@case("validation without a class", "36 images")
def _(root: Path) -> None:
    classes(root, "train")
    classes(root, "val", names=("cat",), first=50)


@case("a class in validation alone", "36 images of 3 classes", trains=False)
def _(root: Path) -> None:
    classes(root, "train")
    classes(root, "val", names=("eel",), first=50)


@case("test images without classes", "24 images")
def _(root: Path) -> None:
    classes(root, "train")
    write_classes(root, ("test",), 4, itertools.count(50))


@case("a class called test", "36 images of 3 classes")
def _(root: Path) -> None:
    classes(root, names=("blood", "test", "urine"))


@case("a class folder without images", "24 images of 3 classes", trains=False)
def _(root: Path) -> None:
    classes(root)
    (root / "eel").mkdir()


@case("classes of very different size", "65 images")
def _(root: Path) -> None:
    classes(root, names=("cat",), count=60)
    classes(root, names=("dog",), count=5, first=100)


@case("file names that are no UTF-8", "25 images")
def _(root: Path) -> None:
    classes(root)
    (root / "cat/0.png").rename(os.fsdecode(os.fsencode(root / "cat") + b"/caf\xe9.png"))
    Path(os.fsdecode(os.fsencode(root / "dog") + b"/\xfc.png")).write_bytes(encoded(blobs(900)))


@case("odd class names", "48 images of 4 classes")
def _(root: Path) -> None:
    classes(root, names=("<b>&", "a=b|c", "[bold]", "n" * 180))


@case("many classes", "180 images of 60 classes")
def _(root: Path) -> None:
    classes(root, names=[f"c{number:02}" for number in range(60)], count=3)


@case("runs of ours beside the classes", "24 images")
def _(root: Path) -> None:
    classes(root)
    write_classes(root / "runs/one", ("plots",), 1, itertools.count(500))
    for name in ("plan.json", "recipe.toml"):
        (root / "runs/one" / name).write_text("{}")


@case("Roboflow's labels of several classes", "")
def _(root: Path) -> None:
    for split in ("train", "valid"):
        write_image(root / split / "a.png", scenes(1)[0])
        (root / split / "_classes.csv").write_text("filename, cell, dot\na.png, 1, 1\n")


@case("images alone", "")
def _(root: Path) -> None:
    write_image(root / "a.png", scenes(1)[0])


@case("one class alone", "")
def _(root: Path) -> None:
    classes(root, names=("cat",))


# Tables

_WORDS = ("Training", "TRAIN", "dev", "eval", "train")


def table(
    header: str = "path,label", row: str = "{path},{label}", encoding: str = "utf-8", name: str = "list.csv"
) -> Build:
    """A table of the images in ``img``, some in folders of it."""

    def build(root: Path) -> Path:
        classes(root / "img")
        text = header + "\n" if header else ""
        for number, path in enumerate(sorted((root / "img").rglob("*.png"))):
            inside = path.relative_to(root).as_posix()
            label = "K\u00e4se" if path.parent.name == "cat" else "dog big"
            word = _WORDS[number % len(_WORDS)]
            text += row.format(path=inside, label=label, stem=inside[:-4], root=root, word=word) + "\n"
        (root / name).write_bytes(text.encode(encoding))
        return root / name

    return build


_TABLE = "24 images of 2 classes"
case("a table", _TABLE)(table())
case("a table with semicolons", _TABLE)(table("path;label", "{path};{label}"))
case("a table for Excel", _TABLE)(table("sep=;\npath;label", "{path};{label}"))
case("a table with tabs", _TABLE)(table("path\tlabel", "{path}\t{label}", name="list.tsv"))
case("a table in UTF-16", _TABLE)(table(encoding="utf-16"))
case("a table with a byte order mark and CRLF", _TABLE)(table("path,label\r", "{path},{label}\r", "utf-8-sig"))
case("a table in Windows-1252", _TABLE)(table(encoding="cp1252"))
case("a table of file names and classes", _TABLE)(table("id,Filename,Class", "7,{path},{label}"))
case("a table of image ids", _TABLE)(table("image_id,label", "{stem},{label}"))
case("a table of absolute paths", _TABLE)(table(row="{root}/{path},{label}"))
case("a table of paths with dots", _TABLE)(table(row="./img/../{path},{label}"))
case("a table of addresses", _TABLE)(table(row="https://x.org/{path},{label}"))
case("a table of quoted cells", _TABLE)(table(row='"{path}","{label}"'))
case("a table with splits of every word", _TABLE)(table("path,label,split", "{path},{label},{word}"))
case("a table with empty splits", "")(table("path,label,split", "{path},{label},"))
case("a table without titles", "")(table(""))


# Formats


def in_format(suffix: str, name: str) -> Build:
    """Class folders of images in one format."""

    def build(root: Path) -> None:
        for number in range(24):
            path = root / ("cat", "dog")[number % 2] / f"{number}{suffix}"
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(encoded(Image.fromarray(blobs(number)), name))

    return build


for _suffix, _name in ((".tif", "TIFF"), (".avif", "AVIF"), (".jp2", "JPEG2000"), (".jfif", "JPEG"), (".ppm", "PPM")):
    case(f"images in {_suffix}", "24 images of 2 classes")(in_format(_suffix, _name))
