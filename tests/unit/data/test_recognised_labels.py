"""Labels are told by their content, in folders of any name, and are never taken for another task."""

import itertools
import json
from collections.abc import Callable
from pathlib import Path

import pytest

from labelled import write_classes
from labelled_boxes import Scene, scenes, voc_xml, write_image, write_voc, write_yolo, yolo_txt
from litevision.data import check_data, read_boxes, read_images, task_of
from litevision.errors import DataError
from training_cases import CASES

Name = Callable[[Scene], str]


def write_beside(root: Path, suffix: str, text: Name, *, images: str = "", labels: str = "") -> Path:
    """Scenes in ``images`` with a label file of each in ``labels``; both may name ``{split}``."""
    for scene in scenes(4):
        write_image(root / images.format(split=scene.split) / f"{scene.name}.png", scene)
        file = root / labels.format(split=scene.split) / f"{scene.name}{suffix}"
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(text(scene))
    return root


@pytest.mark.parametrize("labels", ["annots", "xmls", "Annotation", "labels_voc/xml", "images"])
def test_voc_in_a_folder_of_any_name(tmp_path: Path, labels: str) -> None:
    data = read_boxes(write_beside(tmp_path, ".xml", voc_xml, images="images", labels=labels))
    assert (task_of(tmp_path), data.kind, len(data.samples), data.issues) == ("detection", "Pascal VOC", 8, ())


@pytest.mark.parametrize("labels", ["labels", "txt", "yolo_labels/{split}", "images"])
def test_yolo_without_names_is_numbered(tmp_path: Path, labels: str) -> None:
    data = read_boxes(write_beside(tmp_path, ".txt", yolo_txt, images="images", labels=labels))
    assert (data.kind, data.classes, len(data.samples)) == ("YOLO", ("0", "1"), 8)
    assert [issue.rule for issue in data.issues] == ["numbered-classes"]


@pytest.mark.parametrize("name", ["_darknet.labels", "thing.names", "obj.names"])
def test_darknet_with_its_list_of_names_in_each_split(tmp_path: Path, name: str) -> None:
    write_beside(tmp_path, ".txt", yolo_txt, images="{split}", labels="{split}")
    for split in ("train", "val", "test"):
        (tmp_path / split / name).write_text("cell\ndot\n")
    data = read_boxes(tmp_path)
    assert (data.classes, [len(data.of(split)) for split in ("train", "validation", "test")]) == (
        ("cell", "dot"),
        [4, 2, 2],
    )
    (tmp_path / "val" / name).write_text("dot\ncell\n")
    with pytest.raises(DataError, match=r"val/.*: other class names than in .*; expected one list for all labels"):
        read_boxes(tmp_path)


def test_a_number_of_classes_without_their_names(tmp_path: Path) -> None:
    root = write_yolo(tmp_path, scenes(2))
    (root / "data.yaml").write_text("train: images/train\nval: images/val\ntest: images/test\nnc: 2\n")
    data = read_boxes(root)
    assert (data.classes, [issue.rule for issue in data.issues]) == (("0", "1"), ["numbered-classes"])


def write_csv(root: Path, header: str, separator: str) -> None:
    for split in ("train", "val", "test"):
        rows = [header.replace(",", separator)]
        for scene in (one for one in scenes(4) if one.split == split):
            for label, *edges in scene.boxes:
                cells = [f"{scene.name}.png", *scene.size_hw[::-1], label, *edges]
                rows.append(separator.join(map(str, cells)))
        (root / f"{split}_labels.csv").write_text("\n".join(rows))


def write_cvat(root: Path) -> None:
    for split in ("train", "val", "test"):
        shapes = "".join(
            f'<image id="{place}" name="{one.name}.png" width="64" height="48">'
            + "".join(
                f'<box label="{label}" xtl="{x1}" ytl="{y1}" xbr="{x2}" ybr="{y2}"/>'
                if label == "cell"
                else f'<polygon label="{label}" points="{x1},{y1};{x2},{y1};{x2},{y2};{x1},{y2}"/>'
                for label, x1, y1, x2, y2 in one.boxes
            )
            + "</image>"
            for place, one in enumerate(scenes(4))
            if one.split == split
        )
        (root / "annotations").mkdir(exist_ok=True)
        (root / f"annotations/{split}.xml").write_text(f"<annotations><version>1.1</version>{shapes}</annotations>")


def labelme_json(scene: Scene) -> str:
    shapes = [
        {"label": label, "points": [[x2, y1], [x1, y2]], "shape_type": "rectangle"}
        for label, x1, y1, x2, y2 in scene.boxes
    ]
    sizes = {"imagePath": f"..\\images\\{scene.name}.png", "imageHeight": 48, "imageWidth": 64}
    return json.dumps({"version": "5.0", "shapes": shapes, **sizes})


@pytest.mark.parametrize("form", ["tensorflow", "semicolons", "cvat", "labelme"])
def test_other_programs_labels_give_the_same_boxes(tmp_path: Path, form: str) -> None:
    voc = read_boxes(write_voc(tmp_path / "voc", scenes(4)))
    root = tmp_path / form
    for scene in scenes(4):
        write_image(root / "images" / (scene.split if form == "labelme" else "") / f"{scene.name}.png", scene)
    if form == "cvat":
        write_cvat(root)
    elif form == "labelme":
        write_beside(root, ".json", labelme_json, images="images/{split}", labels="annotations/{split}")
    elif form == "semicolons":
        write_csv(root, "image_name,width,height,label,x_min,y_min,x_max,y_max", ";")
    else:
        write_csv(root, "filename,width,height,class,xmin,ymin,xmax,ymax", ",")
    data = read_boxes(root)
    assert data.kind == {"cvat": "CVAT", "labelme": "LabelMe"}.get(form, "CSV of boxes")
    assert {issue.rule for issue in data.issues} == ({"polygon-labels"} if form == "cvat" else set())
    assert (data.classes, data.made_splits) == (("cell", "dot"), False)
    for one, other in zip(data.samples, voc.samples, strict=True):
        assert (one.path.name, one.split) == (other.path.name, other.split)
        assert sorted(one.boxes_xyxy.tolist()) == sorted(other.boxes_xyxy.tolist())


def test_labels_of_several_classes_are_refused_by_name(tmp_path: Path) -> None:
    for split in ("train", "valid"):
        write_image(tmp_path / split / "a.png", scenes(1)[0])
        (tmp_path / split / "_classes.csv").write_text("filename, cell, dot\na.png, 1, 1\n")
    with pytest.raises(DataError, match=r"_classes\.csv: Roboflow's labels of several classes for an image; expected"):
        check_data(tmp_path)


_UNREAD = ("Supervisely", "VoTT", "Labelbox", "BDD100K", "DOTA", "KITTI", "SageMaker", "TFRecord")


@pytest.mark.parametrize("form", _UNREAD)
def test_labels_of_boxes_that_are_not_read_are_named(tmp_path: Path, form: str) -> None:
    next(case for case in CASES if case.name == form).build(tmp_path)
    told = rf" looks like labels of boxes as {form}.*, which is not read: export it as COCO, Pascal VOC or YOLO\.$"
    with pytest.raises(DataError, match=told):
        check_data(tmp_path)


def test_classes_beside_labels_of_boxes_that_are_not_read_are_a_warning(tmp_path: Path) -> None:
    write_classes(tmp_path, ("cat", "dog"), 10, itertools.count())
    (tmp_path / "vott.json").write_text('{"assets": {}}')
    (warning,) = (issue for issue in check_data(tmp_path).issues if issue.rule == "unread-labels")
    assert (warning.severity, warning.path) == ("warning", tmp_path / "vott.json")
    assert warning.detail.startswith("looks like labels of boxes as VoTT's JSON, which is not read")


def test_a_table_beside_a_folder_of_images_is_named(tmp_path: Path) -> None:
    write_classes(tmp_path, ("img",), 24, itertools.count())
    file = tmp_path / "list.csv"
    file.write_text("\n".join(["path,label", *(f"img/{number}.png,{'ab'[number % 2]}" for number in range(24))]))
    with pytest.raises(DataError, match=r" list\.csv lists images and classes: give .*list\.csv if those are meant\."):
        check_data(tmp_path)
    assert check_data(file).ok


def test_texts_and_tables_that_are_no_boxes_leave_classes_classes(tmp_path: Path) -> None:
    write_classes(tmp_path, ("cat", "dog"), 3, itertools.count())
    (tmp_path / "cat/0.txt").write_text("a cat on 2 chairs\n")
    (tmp_path / "cat/1.json").write_text('{"camera": 3}')
    (tmp_path / "dog/2.xml").write_text("<exif><f>2.8</f></exif>")
    (tmp_path / "sizes.csv").write_text("name,width\n0.png,64\n")
    assert task_of(tmp_path) == "classification"
    assert read_images(tmp_path).classes == ("cat", "dog")


def pose(scene: Scene, points: int, width: int) -> str:
    """A scene's boxes, each with keypoints in its corners, the last of which is not seen where that is told."""
    height_px, width_px = scene.size_hw
    lines = []
    for line, (_, x1, y1, x2, y2) in zip(yolo_txt(scene).splitlines(), scene.boxes, strict=True):
        corners = list(itertools.islice(itertools.cycle([(x1, y1), (x2, y1), (x2, y2), (x1, y2)]), points))
        values = [[x / width_px, y / height_px, 2.0][:width] for x, y in corners]
        if width == 3:
            values[-1] = [0.0, 0.0, 0.0]
        lines.append(" ".join([line, *(f"{value:.6f}" for point in values for value in point)]))
    return "\n".join(lines)


@pytest.mark.parametrize("is_told", [True, False])
@pytest.mark.parametrize(("points", "width"), [(4, 2), (5, 2), (4, 3), (17, 3)])
def test_keypoints_behind_a_box_are_no_outline(tmp_path: Path, points: int, width: int, is_told: bool) -> None:
    boxes = read_boxes(write_yolo(tmp_path / "plain", scenes(3)))
    root = write_yolo(tmp_path / "pose", scenes(3))
    for scene in scenes(3):
        (root / f"labels/{scene.split}/{scene.name}.txt").write_text(pose(scene, points, width))
    if is_told:
        with (root / "data.yaml").open("a") as file:
            file.write(f"kpt_shape: [{points}, {width}]\n")
    data = read_boxes(root)
    assert {issue.rule for issue in data.issues} == {"keypoint-labels"}
    for one, other in zip(data.samples, boxes.samples, strict=True):
        assert one.boxes_xyxy.tolist() == other.boxes_xyxy.tolist()


def test_linked_folders_are_followed_and_loops_are_not(tmp_path: Path) -> None:
    store = write_voc(tmp_path / "store", scenes(4), lists=False)
    yolo = write_beside(tmp_path / "yolo", ".txt", yolo_txt, images="images", labels="labels")
    for kind, folders in {store: ("Annotations", "JPEGImages"), yolo: ("images", "labels")}.items():
        linked = tmp_path / f"{kind.name}-linked"
        linked.mkdir()
        for folder in folders:
            (linked / folder).symlink_to(kind / folder)
        (linked / "again").symlink_to(linked)
        (linked / folders[1] / "loop").symlink_to(linked)
        assert len(read_boxes(linked).samples) == 8


@pytest.mark.parametrize(
    ("train", "validation", "test"),
    [
        ("Training", "Validation", "Testing"),
        ("train_set", "dev_set", "test_set"),
        ("train", "dev", "eval"),
        ("train2017", "val2017", "test2017"),
        ("seg_train", "seg_val", "seg_test"),
        ("TrainImages", "ValImages", "TestImages"),
        ("training_data", "eval_data", "testing_data"),
        ("fish_train", "fish_valid", "fish_test"),
    ],
)
def test_split_folders_of_every_habit(tmp_path: Path, train: str, validation: str, test: str) -> None:
    seeds = itertools.count()
    for folder in (train, validation, test):
        write_classes(tmp_path / "wrapped" / folder, ("cat", "dog"), 2, seeds)
    for root in (tmp_path, tmp_path / "wrapped"):
        data = read_images(root)
        assert data.classes == ("cat", "dog")
        assert [len(data.of(split)) for split in ("train", "validation", "test")] == [4, 4, 4]
        assert [issue.rule for issue in data.issues] == (["wrapping-folder"] if root == tmp_path else [])


def test_our_own_runs_are_no_data(tmp_path: Path) -> None:
    write_classes(tmp_path, ("cat", "dog"), 3, itertools.count())
    before = read_images(tmp_path)
    for run in ("runs/one", "two"):
        write_classes(tmp_path / run, ("plots", "cache-1"), 1, itertools.count(100))
        (tmp_path / run / "plan.json").write_text("{}")
        (tmp_path / run / "recipe.toml").write_text("")
    (tmp_path / "kept").mkdir()
    (tmp_path / "kept/CACHEDIR.TAG").write_text("")
    assert read_images(tmp_path) == before
    boxes = write_voc(tmp_path / "boxes", scenes(2))
    (boxes / "JPEGImages/runs").mkdir()
    (tmp_path / "two").rename(boxes / "JPEGImages/runs/two")
    (boxes / "JPEGImages/runs/two/plots/train00.png").write_bytes(b"")
    assert check_data(boxes).counts == check_data(write_voc(tmp_path / "same", scenes(2))).counts


def test_one_folder_for_two_splits_is_said(tmp_path: Path) -> None:
    root = write_yolo(tmp_path, scenes(20))
    (root / "data.yaml").write_text("train: images/train\nval: images/train\nnames: [cell, dot]\n")
    data = read_boxes(root)
    assert [len(data.of(split)) for split in ("train", "validation")] == [18, 2]
    assert [(issue.rule, issue.detail) for issue in data.issues if issue.rule != "not-in-a-split"] == [
        ("split-twice", "train and validation are both images/train; it is train")
    ]


@pytest.mark.parametrize("prefix", ["/content/ds/", "C:\\Users\\me\\ds\\", "../../elsewhere/"])
def test_splits_at_places_of_another_machine(tmp_path: Path, prefix: str) -> None:
    root = write_yolo(tmp_path, scenes(2))
    slash = "\\" if "\\" in prefix else "/"
    rows = "".join(f"{split}: '{prefix}images{slash}{split}'\n" for split in ("train", "val", "test"))
    (root / "data.yaml").write_text(f"{rows}names: [cell, dot]\n")
    data = read_boxes(root)
    assert ([len(data.of(split)) for split in ("train", "validation", "test")], data.issues) == ([2, 2, 2], ())
    lists = "".join(f"{split}: {split}.txt\n" for split in ("train", "val", "test"))
    (root / "data.yaml").write_text(f"{lists}names: [cell, dot]\n")
    for split in ("train", "val", "test"):
        lines = (f"{prefix}images{slash}{split}{slash}{one.name}.png\n" for one in scenes(2) if one.split == split)
        (root / f"{split}.txt").write_text("".join(lines))
    data = read_boxes(root)
    assert ([len(data.of(split)) for split in ("train", "validation", "test")], data.issues) == ([2, 2, 2], ())


def test_names_with_underscores_are_names(tmp_path: Path) -> None:
    write_classes(tmp_path, ("__background__", "cat", "__MACOSX"), 3, itertools.count())
    (tmp_path / "cat/0.png").rename(tmp_path / "cat/__0.png")
    data = read_images(tmp_path)
    assert (data.classes, len(data.samples)) == (("__background__", "cat"), 6)


def test_classes_that_look_alike_are_hinted_at(tmp_path: Path) -> None:
    write_classes(tmp_path, ("K\u00e4se", "Ka\u0308se", "dog", "dog "), 3, itertools.count())
    details = [issue.detail for issue in check_data(tmp_path).issues if issue.rule == "name-case-collision"]
    assert sorted(details) == ["class 'K\u00e4se', beside class 'Ka\u0308se'", "class 'dog ', beside class 'dog'"]


@pytest.mark.parametrize("path", ["C:\\me\\{}", "/home/me/set/{}", "set/{}"])
def test_tables_of_paths_of_another_machine(tmp_path: Path, path: str) -> None:
    write_classes(tmp_path, ("cat", "dog"), 3, itertools.count())
    names = [f"{label}/{number}.png" for label in ("cat", "dog") for number in range(3)]
    rows = "".join(f"{path.format(name)},{name[:3]}\n" for name in names)
    (tmp_path / "list.csv").write_text(f"path,label\n{rows}")
    report = check_data(tmp_path / "list.csv")
    assert (len(report.data.samples), report.severity("error")) == (6, 0)


def test_nothing_that_can_be_used_is_an_error(tmp_path: Path) -> None:
    root = write_voc(tmp_path, scenes(3))
    for image in (root / "JPEGImages").iterdir():
        image.unlink()
    report = check_data(root)
    assert (report.ok, len(report.data.samples), report.counts["cannot-train"]) == (False, 0, 2)


def test_damaged_images_take_no_place_in_a_split(tmp_path: Path) -> None:
    write_classes(tmp_path, ("cat", "dog"), 10, itertools.count())
    held_out = [sample.path for sample in read_images(tmp_path).samples if sample.split != "train"]
    for path in held_out:
        path.write_bytes(b"")
    data = check_data(tmp_path).data
    assert [data.counts(split) for split in ("train", "validation", "test")] == [(6, 6), (1, 1), (1, 1)]
    assert [one.split for one in read_images(tmp_path, readable_only=True).samples] == [
        one.split for one in data.samples
    ]


def test_an_image_without_labels_never_takes_those_of_another(tmp_path: Path) -> None:
    root = write_yolo(tmp_path, scenes(2))
    for folder, suffix in (("images", "png"), ("labels", "txt")):
        for split in ("train", "val"):
            (root / folder / split / f"{split}00.{suffix}").rename(root / folder / split / f"same.{suffix}")
    (root / "labels/val/same.txt").unlink()
    data = read_boxes(root)
    assert [issue.rule for issue in data.issues] == ["image-without-labels"]
    assert [len(one.labels) for one in data.samples if one.path.name == "same.png"] == [3, 0]
