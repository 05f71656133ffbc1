"""YOLO, as programs and people write it."""

from collections.abc import Callable, Sequence
from pathlib import Path

from labelled_boxes import Scene, yolo_txt
from training_cases.case import Build, case, flat

YOLO = "20 images with 60 boxes of 2 classes (YOLO)"
_NAMES = "names: [cell, dot]\n"
_ROBOFLOW = "train: ../train/images\nval: ../valid/images\ntest: ../test/images\nnc: 2\n"


def yolo(
    yaml: str = _ROBOFLOW + _NAMES,
    text: Callable[[Scene], str] = yolo_txt,
    images: str = "{split}/images",
    labels: str = "{split}/labels",
    **others: str,
) -> Build:
    """Scenes with labels in YOLO's form, and a ``yaml`` if there is one; ``others`` are files by their names."""

    def build(root: Path) -> None:
        flat(root, ".txt", text, images=images, labels=labels)
        for name, content in {"data.yaml": yaml, **others}.items():
            if content:
                (root / name.replace("__", ".")).write_text(content)

    return build


def lines(change: Callable[[list[str]], Sequence[object]]) -> Callable[[Scene], str]:
    return lambda scene: "".join(
        " ".join(map(str, change(line.split()))) + "\n" for line in yolo_txt(scene).splitlines()
    )


def corners(cells: list[str]) -> list[object]:
    x, y, width, height = map(float, cells[1:])
    return [cells[0], x - width / 2, y - height / 2, x + width / 2, y + height / 2]


def in_px(cells: list[str]) -> list[object]:
    return [cells[0], *(float(cell) * side for cell, side in zip(cells[1:], (64, 48, 64, 48), strict=True))]


def pose(width: int) -> Callable[[list[str]], list[object]]:
    def change(cells: list[str]) -> list[object]:
        _, x1, y1, x2, y2 = corners(cells)
        points = [(x1, y1, 2), (x2, y1, 2), (x2, y2, 2), (0, 0, 0) if width == 3 else (x1, y2, 2)]
        return [*cells, *(value for point in points for value in point[:width])]

    return change


def outline(cells: list[str]) -> list[object]:
    _, x1, y1, x2, y2 = corners(cells)
    return [cells[0], x1, y1, x2, y1, x2, y2, x1, y2] if cells[0] == "0" else list(cells)


_MISREAD = "0 images with 0 boxes of 2 classes (YOLO)"
case("YOLO of Roboflow", YOLO)(yolo())
case("YOLO, names by their ids, path of another machine", YOLO)(
    yolo("path: /home/x/ds\ntrain: train/images\nval: valid/images\ntest: test/images\nnames:\n  0: cell\n  1: dot\n")
)
case("YOLO, one folder for train and validation", "14 images with 42 boxes of 2 classes (YOLO)")(
    yolo(f"train: train/images\nval: train/images\n{_NAMES}")
)
case("YOLO, lists of folders", YOLO)(yolo(f"train: [train/images, test/images]\nval:\n - valid/images\n{_NAMES}"))
case("YOLO edited in Colab", YOLO)(yolo(_ROBOFLOW.replace("..", "/content/ds") + _NAMES))
case("YOLO with backslashes", YOLO)(yolo(_ROBOFLOW.replace("/", "\\") + _NAMES))
case("YOLO with keypoints", YOLO)(yolo(f"{_ROBOFLOW}kpt_shape: [4, 2]\n{_NAMES}", lines(pose(2))))
case("YOLO with keypoints that may be unseen", YOLO)(yolo(f"{_ROBOFLOW}kpt_shape: [4, 3]\n{_NAMES}", lines(pose(3))))
case("YOLO with keypoints that are not told", YOLO)(yolo(text=lines(pose(3))))
case("YOLO with outlines among boxes", YOLO)(yolo(text=lines(outline)))
case("YOLO with confidences", _MISREAD, trains=False)(yolo(text=lines(lambda cells: [*cells, 0.9])))
case("YOLO in pixels", _MISREAD, trains=False)(yolo(text=lines(in_px)))
case("YOLO as corners", _MISREAD, trains=False)(yolo(text=lines(corners)))
case("YOLO, ids from 1", YOLO)(
    yolo(_ROBOFLOW + "names: {1: cell, 2: dot}\n", lines(lambda cells: [int(cells[0]) + 1, *cells[1:]]))
)
case("YOLO without names", YOLO)(yolo(""))
case("YOLO with a number of classes alone", YOLO)(yolo(_ROBOFLOW))
case("YOLO with names no and 1", YOLO)(yolo(_ROBOFLOW + "names: [no, 1]\n"))
case("YOLO with tabs and blank lines", YOLO)(
    yolo(text=lambda scene: "\n" + yolo_txt(scene).replace(" 0.", "\t.").replace("\n", "\n\n"))
)
case("YOLO with a byte order mark and CRLF", YOLO)(
    yolo(text=lambda scene: "\ufeff" + yolo_txt(scene).replace("\n", "\r\n"))
)
case("YOLO beside the images, with classes.txt", YOLO)(yolo("", images="", labels="", classes__txt="cell\ndot\n"))
case("YOLO of Label Studio", YOLO)(
    yolo("", images="images", labels="labels", classes__txt="cell\ndot\n", notes__json='{"categories": []}')
)
case("YOLO of Darknet", YOLO)(yolo("", images="{split}", labels="{split}", _darknet__labels="cell\ndot\n"))
case("YOLO with images without objects", "20 images with 57 boxes of 2 classes (YOLO)")(
    yolo(text=lambda scene: "" if scene.name == "train03" else yolo_txt(scene))
)
case("YOLO, classes beyond the names", "0 images with 0 boxes of 1 class (YOLO)", trains=False)(
    yolo(_ROBOFLOW + "names: [cell]\n")
)
case("YOLO, no folder that is named", YOLO)(yolo("train: x/y\nval: z\n" + _NAMES, images="photos", labels="texts"))


@case("YOLO with its YAML elsewhere", YOLO)
def _(root: Path) -> Path:
    yolo("")(root / "ds")
    (root / "my.yaml").write_text(f"path: {root}/ds\n" + _ROBOFLOW.replace("../", "") + _NAMES)
    return root / "my.yaml"


@case("YOLO with lists of images", YOLO)
def _(root: Path) -> None:
    yolo("train: train.txt\nval: valid.txt\ntest: test.txt\n" + _NAMES, images="images", labels="labels")(root)
    names = [path.name for path in sorted((root / "images").iterdir())]
    (root / "train.txt").write_text("".join(f"./images/{name}\r\n" for name in names[:14]))
    (root / "valid.txt").write_text("".join(f"{root}/images/{name}\n" for name in names[14:17]))
    (root / "test.txt").write_text("".join(f"images/{name}\n" for name in names[17:]))


@case("YOLO of CVAT, with folders", YOLO)
def _(root: Path) -> None:
    yolo("", images="obj_train_data/a/b", labels="obj_train_data/a/b", obj__names="cell\ndot\n")(root)
    (root / "obj.data").write_text("classes = 2\ntrain = data/train.txt\nnames = data/obj.names\n")
    paths = sorted((root / "obj_train_data").rglob("*.png"))
    (root / "train.txt").write_text("".join(f"data/{path.relative_to(root).as_posix()}\n" for path in paths))


@case("YOLO with names of every kind", YOLO)
def _(root: Path) -> None:
    yolo()(root)
    names = ("a b", "\u00fcml\u00e4ut", "a.b.c", "a%20b", "[1] (2)", "100%")
    for number, name in enumerate(names):
        for folder, suffix in (("images", ".png"), ("labels", ".txt")):
            (root / f"train/{folder}/train0{number}{suffix}").rename(root / f"train/{folder}/{name}{suffix}")


@case("YOLO in linked folders", YOLO)
def _(root: Path) -> None:
    store = root.parent / f"{root.name}-store"
    yolo("", images="images", labels="labels")(store)
    root.mkdir(exist_ok=True)
    for name in ("images", "labels"):
        (root / name).symlink_to(store / name)
    (root / "classes.txt").write_text("cell\ndot\n")


@case("YOLO with more objects than a detector finds", "20 images with 3,600 boxes of 1 class (YOLO)")
def _(root: Path) -> None:
    grid = "".join(f"0 {(x + 0.5) / 15} {(y + 0.5) / 12} 0.06 0.07\n" for x in range(15) for y in range(12))
    yolo(_ROBOFLOW + "names: [cell]\n", lambda scene: grid)(root)
