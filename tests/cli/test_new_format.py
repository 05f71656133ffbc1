"""A label format that is one row and one module more: commands, help and errors know it."""

import sys
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from bundles import write_bundle
from images import encoded
from labelled import blobs
from litevision.data import formats, read_boxes, task_of
from new_formats import BoxList, TagList

Run = Callable[..., tuple[int, str, str]]

COLOURS = {"red": (255, 0, 0), "green": (0, 255, 0), "blue": (0, 0, 255)}


@pytest.fixture(autouse=True)
def two_rows_more(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    for new in (TagList("tag_list"), BoxList("box_list")):
        monkeypatch.setitem(sys.modules, new.row.module, new)
        monkeypatch.setattr(formats, "FORMATS", (*formats.FORMATS, new.row))


@pytest.fixture
def tagged() -> Path:
    """A folder of images of three colours in two splits, and their tag list."""
    lines = []
    for number, colour in enumerate(("red", "green", "blue", "blue")):
        for split in ("train", "validation", "test"):
            name = f"{split}{number}.png"
            Path("tagged").mkdir(exist_ok=True)
            Path("tagged", name).write_bytes(encoded(np.full((9, 12, 3), COLOURS[colour], np.uint8)))
            lines.append(f"{split} {colour} {name}\n")
    Path("tagged/images.tags").write_text("".join(lines))
    return Path("tagged")


def test_a_bundle_is_evaluated_on_it(litevision: Run, tagged: Path) -> None:
    write_bundle(Path("tiny.onnx"))
    for data in (tagged, tagged / "images.tags"):
        code, out, _ = litevision("evaluate", "tiny.onnx", str(data))
        assert code == 0
        assert "split   test: 4 images\n" in out
        assert "top-1              100.00 %" in out


def test_its_data_is_checked(litevision: Run, tagged: Path) -> None:
    (tagged / "test0.png").unlink()
    with (tagged / "images.tags").open("a") as file:
        file.write("train red none.png\n")
    code, out, _ = litevision("check-data", str(tagged), "--quick")
    assert (code, out.splitlines()[0]) == (0, "tagged: 11 images of 3 classes")
    assert "missing-file\n  none.png: no such file, line 13\n  test0.png: no such file, line 3\n" in out


def test_its_boxes_are_checked(litevision: Run) -> None:
    Path("boxed").mkdir()
    for number in range(24):
        Path(f"boxed/{number}.png").write_bytes(encoded(blobs(number)))
    lines = [f"{'test' if it == 23 else 'train'} cell {it}.png 1 2 30 40\n" for it in range(24)]
    Path("boxed/images.boxes").write_text("".join(lines) + "train cell 24.png 9 9 30 40\n")
    assert task_of("boxed") == "detection"
    code, out, _ = litevision("check-data", ".")  # found in a folder of the name that the row gives
    assert (code, out.splitlines()[0]) == (0, ".: 24 images with 24 boxes of 1 class (Box list); splits made here")
    assert "missing-image\n  boxed/24.png: no such file, line 25\n" in out


def test_help_and_errors_name_it(litevision: Run, tagged: Path) -> None:
    boxes = "Pascal VOC, COCO, YOLO, CVAT, LabelMe, CreateML, Label Studio, VIA, CSV of boxes or Box list."
    assert f"an images.tags file, or boxes: {boxes}" in formats.data_help()
    (tagged / "images.boxes").write_text("train cell 0.png 1 2 30 40\n")
    code, _, err = litevision("check-data", str(tagged))
    assert (code, err.count("\n")) == (1, 1)
    assert "labels as Tag list (images.tags) and Box list (images.boxes); expected one format" in err
    with pytest.raises(ValueError, match=r"YOLO \(data.yaml, .*\) or Box list \(an images.boxes file\)"):
        read_boxes(tagged / "test0.png")
