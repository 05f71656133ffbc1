import itertools
import json
import zlib
from collections.abc import Callable
from pathlib import Path

import pytest

from labelled import write_classes
from labelled_boxes import scenes, write_yolo

Run = Callable[..., tuple[int, str, str]]

FAULTY = """\
data: 50 images of 2 classes

class  train  validation  test  all
cat       22           2     2   26
dog       20           2     2   24
all       42           4     4   50

rule                     severity  count  what to do
empty-file               warning       7  Copy or download it again, or remove it.
duplicate-across-splits  warning       1  Keep it in one split only.
unsupported-extension    note          1  Convert it to JPEG or PNG if it is an image.

empty-file
  train/dog/empty0.png: 0 bytes
  train/dog/empty1.png: 0 bytes
  train/dog/empty2.png: 0 bytes
  train/dog/empty3.png: 0 bytes
  train/dog/empty4.png: 0 bytes
  and 2 more; --all shows them

duplicate-across-splits
  test/cat/0.png: same bytes as train/cat/3.png (train)

unsupported-extension
  train/cat/odd\\nname.txt: .txt, in class 'cat'

1 file passed over (1 .txt)

0 errors, 8 warnings, 1 note
"""

BOXES = """\
boxes: 27 images with 82 boxes of 2 classes (YOLO)

class   train  validation  test  all
cell       24           2     2   28
dot        46           4     4   54
all        70           6     6   82
images     23           2     2   27

rule               severity  count  what to do
unreadable-labels  warning       1  Label the image again, or remove both.
zero-area-box      warning       1  Draw it again, or remove it.
tiny-box           warning       1  Remove it if it was drawn by accident.

unreadable-labels
  labels/train/train01.txt: no text in UTF-8 (byte 0)

zero-area-box
  labels/train/train00.txt, line 4: 0 0.5 0.5 0 0

tiny-box
  labels/train/train00.txt, line 5: 0 0.5 0.5 0.03 0.2; 1.9 x 9.6 px

0 errors, 3 warnings, 0 notes
"""


@pytest.fixture
def data(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The folder ``data`` in the working folder, without an issue."""
    monkeypatch.chdir(tmp_path)
    seeds = itertools.count()
    for split, count in (("train", 22), ("validation", 2), ("test", 2)):
        write_classes(Path("data", split), ("cat", "dog"), count, seeds)
    return Path("data")


@pytest.fixture
def faulty(data: Path) -> Path:
    for number in range(7):
        (data / f"train/dog/empty{number}.png").touch()
    for number in (0, 1):
        (data / f"train/dog/{number}.png").unlink()
    (data / "test/cat/0.png").write_bytes((data / "train/cat/3.png").read_bytes())
    (data / "train/cat/odd\nname.txt").write_text("hello")
    return data


def test_no_issues(litevision: Run, data: Path) -> None:
    code, out, err = litevision("check-data", "data")
    assert code == 0
    assert out.splitlines()[0] == "data: 52 images of 2 classes"
    assert out.splitlines()[-1] == "no issues"
    assert err.startswith("checked in ")


def test_the_whole_text(litevision: Run, faulty: Path) -> None:
    code, out, _ = litevision("check-data", "data")
    assert (code, out) == (0, FAULTY)


def test_all_shows_every_file(litevision: Run, faulty: Path) -> None:
    _, out, _ = litevision("check-data", "data", "--all")
    assert "train/dog/empty6.png: 0 bytes\n" in out
    assert "more; --all" not in out


def test_json_on_standard_output_is_alone(litevision: Run, faulty: Path) -> None:
    code, out, _ = litevision("check-data", "data", "--json", "-")
    found = json.loads(out)
    assert (code, found["ok"], found["images"]) == (0, True, 50)
    assert found["counts"] == {"empty-file": 7, "duplicate-across-splits": 1, "unsupported-extension": 1}
    assert len(found["issues"]) == 9


def test_json_in_a_file_stands_beside_the_text(litevision: Run, faulty: Path) -> None:
    code, out, err = litevision("check-data", "data", "--json", "out.json")
    assert (code, out) == (0, FAULTY)
    assert err.splitlines()[-1] == "wrote out.json: 9 issues"
    assert len(json.loads(Path("out.json").read_text())["issues"]) == 9


def test_warnings_and_notes_leave_the_exit_code_0(litevision: Run, data: Path) -> None:
    (data / "train/cat/copy.png").write_bytes((data / "train/cat/0.png").read_bytes())
    code, out, _ = litevision("check-data", "data")
    assert (code, out.splitlines()[-1]) == (0, "0 errors, 1 warning, 0 notes")


def test_quick(litevision: Run, data: Path) -> None:
    (data / "train/cat/cut.bmp").write_bytes(b"BM oops")
    image = (data / "train/dog/1.png").read_bytes()
    chunk = b"\0\0\0\0tEXt" + zlib.crc32(b"tEXt").to_bytes(4, "big")
    (data / "train/dog/renamed.jpg").write_bytes(image[:-12] + chunk + image[-12:])
    _, out, _ = litevision("check-data", "data", "--quick", "--json", "-")
    quick = json.loads(out)
    assert (quick["quick"], len(quick["issues"])) == (True, 1)
    _, out, _ = litevision("check-data", "data", "--json", "-")
    assert {issue["rule"] for issue in json.loads(out)["issues"]} > {"wrong-extension", "exact-duplicate"}


def test_splits_that_are_made_are_said_to_be(litevision: Run, data: Path) -> None:
    code, out, _ = litevision("check-data", "data/train")
    assert (code, out.splitlines()[0]) == (0, "data/train: 44 images of 2 classes; splits made here")
    assert out.splitlines()[3:6] == [
        "cat       18           2     2   22",
        "dog       18           2     2   22",
        "all       36           4     4   44",
    ]


def test_boxes_have_the_same_table(litevision: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    write_yolo(Path("boxes"), scenes())
    code, out, _ = litevision("check-data", "boxes")
    assert (code, out.splitlines()[0]) == (0, "boxes: 28 images with 84 boxes of 2 classes (YOLO)")
    assert out.splitlines()[-1] == "no issues"
    with Path("boxes/labels/train/train00.txt").open("a") as file:
        file.write("0 0.5 0.5 0 0\n0 0.5 0.5 0.03 0.2\n")
    Path("boxes/labels/train/train01.txt").write_bytes(b"\xff")
    assert litevision("check-data", "boxes")[:2] == (0, BOXES)
    code, out, _ = litevision("check-data", "boxes/data.yaml", "--json", "-")
    assert (code, json.loads(out)["task"], json.loads(out)["images"]) == (0, "detection", 27)
    assert litevision("check-data", "boxes", "--strict")[0] == 1


def test_strict_is_no_stricter_with_data_without_a_warning(litevision: Run, data: Path) -> None:
    Path("data/train/cat/notes.txt").write_text("hello")
    assert litevision("check-data", "data", "--strict")[0] == 0


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["none"], "none: No such file or directory. Check the path of the data."),
        (["data/train/cat"], "data/train/cat: 22 images but no class folders; expected one folder for each class"),
        (["data/train/cat/0.png"], "data/train/cat/0.png: no text in UTF-8 (byte 0); expected a CSV file"),
        (["empty"], "empty: an empty folder; expected one folder for each class"),
        (["data", "--json", "none/out.json"], "--json none/out.json: not a file that can be written."),
    ],
)
def test_what_cannot_be_checked_is_one_line(litevision: Run, data: Path, arguments: list[str], message: str) -> None:
    Path("empty").mkdir()
    code, out, err = litevision("check-data", *arguments)
    assert (code, out) == (1, "")
    assert err.startswith(f"error: {message}")
    assert err.count("\n") == 1
