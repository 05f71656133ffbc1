import itertools
import json
import os
import shutil
import struct
import zlib
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

import litevision
from images import encoded, stored_as
from labelled import blobs, write_classes
from litevision.data import RULES, DataReport, check_data, image_stats
from litevision.data.image_stats import _of_frames, inspect_image
from litevision.errors import DataError


@pytest.fixture
def seeds() -> Iterator[int]:
    """Numbers of images that look like no other."""
    return itertools.count()


@pytest.fixture
def clean(tmp_path: Path, seeds: Iterator[int]) -> Path:
    """Split folders of two classes, without an issue."""
    for split, count in (("train", 31), ("validation", 2), ("test", 2)):
        write_classes(tmp_path / "data" / split, ("cat", "dog"), count, seeds)
    return tmp_path / "data"


def found(report: DataReport) -> list[tuple[str, str | None]]:
    root = report.data.root
    return [(issue.rule, issue.path and issue.path.relative_to(root).as_posix()) for issue in report.issues]


def huge_png() -> bytes:
    """A PNG of 20000 x 20000 pixels, by its header."""
    header = b"IHDR" + struct.pack(">IIBBBBB", 20000, 20000, 8, 2, 0, 0, 0)
    whole = encoded(blobs(0))
    return whole[:8] + struct.pack(">I", 13) + header + struct.pack(">I", zlib.crc32(header)) + whole[33:]


def smaller(path: Path) -> Image.Image:
    """What a messenger makes of a photo: smaller, and a JPEG."""
    image = Image.open(path).convert("RGB")
    return image.resize((image.width * 3 // 4, image.height * 3 // 4), Image.Resampling.LANCZOS)


def plant(data: Path, seeds: Iterator[int]) -> list[tuple[str, str | None]]:
    """Adds issues; gives the rule and path of each."""
    planted: list[tuple[str, str | None]] = []

    def put(rule: str, name: str, content: bytes) -> None:
        (data / name).parent.mkdir(parents=True, exist_ok=True)
        (data / name).write_bytes(content)
        planted.append((rule, name))

    def other() -> Image.Image:
        return Image.fromarray(blobs(next(seeds)))

    def read(name: str) -> bytes:
        return (data / name).read_bytes()

    whole_jpeg, whole_png = encoded(other(), "JPEG"), encoded(other())
    put("empty-file", "train/cat/empty.jpg", b"")
    put("not-an-image", "train/cat/text.jpg", b"<html>404</html>")
    put("not-an-image", "test/dog/scan.png", b"%PDF-1.7 a scan")
    put("truncated", "train/cat/cut.jpg", whole_jpeg[: len(whole_jpeg) // 2])
    put("truncated", "train/dog/cut.png", whole_png[: len(whole_png) - 100])
    put("truncated", "train/dog/cut.webp", encoded(other(), "WEBP")[:-200])
    put("truncated", "train/dog/stub.jpg", whole_jpeg[:90])
    put("unreadable", "validation/dog/bad.png", whole_png[:60] + b"\0" * 500 + whole_png[560:])
    put("too-large", "train/cat/huge.png", huge_png())
    put("wrong-extension", "train/dog/really_png.jpg", encoded(other()))
    put("unsupported-extension", "train/cat/notes.txt", b"remember")
    put("unsupported-extension", "test/dog/photo.xcf", encoded(other(), "TIFF"))
    put("nested-folder", "train/dog/more/deep/1.png", encoded(other()))
    planted[-1] = ("nested-folder", "train/dog/more")
    put("outside-class", "train/stray.png", encoded(other()))
    put("unused-folder", "extra/1.png", encoded(other()))
    planted[-1] = ("unused-folder", "extra")
    put("exact-duplicate", "train/cat/copy.png", read("train/cat/0.png"))
    put("exact-duplicate", "train/cat/pixels.bmp", encoded(Image.open(data / "train/cat/1.png"), "BMP"))
    put("duplicate-with-other-label", "train/dog/other.png", read("train/cat/2.png"))
    put("duplicate-with-other-label", "test/dog/other.png", read("train/cat/3.png"))
    put("duplicate-across-splits", "test/cat/leak.png", read("train/cat/4.png"))
    put("duplicate-across-splits", "validation/cat/leak.bmp", encoded(Image.open(data / "test/cat/1.png"), "BMP"))
    planted[-1] = ("duplicate-across-splits", "test/cat/1.png")  # the later of the two
    put("near-duplicate", "train/cat/near.jpg", encoded(smaller(data / "train/cat/5.png"), "JPEG"))
    put("near-duplicate-with-other-label", "train/dog/near.jpg", encoded(smaller(data / "train/cat/6.png"), "JPEG"))
    put("near-duplicate-across-splits", "test/dog/near.jpg", encoded(smaller(data / "train/dog/7.png"), "JPEG"))
    put("exif-rotated", "train/cat/turned.jpg", stored_as(blobs(next(seeds)), 6, "JPEG"))
    put("odd-mode", "train/cat/cmyk.jpg", encoded(other().convert("CMYK"), "JPEG"))
    put("odd-mode", "train/cat/palette.png", encoded(other().quantize(200)))
    put("odd-mode", "train/cat/la.png", encoded(other().convert("LA")))
    put("odd-mode", "train/cat/deep.png", encoded(Image.fromarray(blobs(next(seeds))[..., 0].astype(np.uint16) * 257)))
    put("animated", "train/dog/moves.webp", encoded(other(), "WEBP", save_all=True, append_images=[other()]))
    put("tiny", "train/dog/tiny.png", encoded(blobs(next(seeds), 20, 40)))
    put("extreme-shape", "train/dog/strip.png", encoded(blobs(next(seeds), 40, 201)))
    put("uniform", "train/dog/blank.jpg", encoded(Image.new("RGB", (64, 48), (128, 128, 128)), "JPEG"))
    (data / "train/dog/Same.png").write_bytes(encoded(other()))
    put("name-case-collision", "train/dog/same.png", encoded(other()))
    put("class-only-in-one-split", "test/eel/1.png", encoded(other()))
    planted[-1] = ("class-only-in-one-split", "test/eel")
    (data / "train/fox").mkdir()
    planted.append(("empty-class", "train/fox"))
    for number, split in enumerate(("train", "train", "train", "validation", "test")):
        (data / split / "gnu").mkdir(exist_ok=True)
        (data / split / "gnu" / f"{number}.png").write_bytes(encoded(other()))
    planted += [("too-few-images", "train/gnu"), ("imbalance", None)]
    return planted


def test_a_clean_folder_has_no_issues(clean: Path) -> None:
    report = check_data(clean)
    assert (report.issues, report.counts, report.ok) == ((), {}, True)
    assert [report.data.counts(split) for split in ("train", "validation", "test")] == [(31, 31), (2, 2), (2, 2)]


def test_every_planted_issue_is_found_once_and_nothing_else(clean: Path, seeds: Iterator[int]) -> None:
    planted = plant(clean, seeds)
    report = check_data(clean)
    assert sorted(found(report), key=str) == sorted(planted, key=str)
    elsewhere = {
        "missing-file",
        "wrapping-folder",
        "cannot-train",
        "other-encoding",
        "unread-labels",
        "outside-data",
        "placeholder",
    }
    assert set(report.counts) == {rule.name for rule in RULES if not rule.of_boxes} - elsewhere
    assert not report.ok


def test_the_details_say_what_was_found(clean: Path, seeds: Iterator[int]) -> None:
    plant(clean, seeds)
    details = {
        issue.path.relative_to(clean).as_posix() if issue.path else None: issue.detail
        for issue in check_data(clean).issues
    }
    assert details.items() >= {
        ("train/cat/empty.jpg", "0 bytes"),
        (
            "test/dog/scan.png",
            "a PDF file, which is not read; expected JPEG, PNG, WebP, TIFF, AVIF or another image format. "
            "Save its pages as PNG first",
        ),
        ("train/dog/stub.jpg", "its header cannot be read"),
        ("train/cat/huge.png", "20000 x 20000 = 400000000 pixels: more than the limit of 178956970 pixels"),
        ("train/dog/really_png.jpg", "PNG content, .jpg"),
        ("train/dog/more", "1 image below class 'dog'"),
        ("train/cat/copy.png", "same bytes as train/cat/0.png"),
        ("train/cat/pixels.bmp", "same pixels as train/cat/1.png"),
        ("test/dog/other.png", "same bytes as train/cat/3.png (train)"),
        ("test/dog/near.jpg", "nearly the same as train/dog/7.png (train)"),
        ("train/cat/turned.jpg", "to be turned by rotate 270"),
        ("train/cat/cmyk.jpg", "mode CMYK"),
        ("train/cat/deep.png", "mode I;16"),
        ("train/dog/moves.webp", "2 frames"),
        ("train/dog/tiny.png", "40 x 20 px"),
        ("train/dog/blank.jpg", "RGB 128 128 128"),
        ("train/gnu", "class 'gnu': 3 in train"),
    }


def test_quick_sees_headers_names_classes_and_equal_bytes(clean: Path, seeds: Iterator[int]) -> None:
    planted = set(plant(clean, seeds))
    unseen = {"tiny", "uniform", "extreme-shape", "wrong-extension", "exif-rotated", "odd-mode", "animated"}
    report = check_data(clean, quick=True)
    seen = set(found(report))
    assert seen < planted
    assert {rule for rule, _ in planted - seen} >= {rule for rule, _ in planted} & unseen
    assert {("empty-file", "train/cat/empty.jpg"), ("exact-duplicate", "train/cat/copy.png")} < seen
    assert not any(rule.startswith("near-") for rule, _ in seen)


def test_issues_stand_in_the_order_of_the_rules_errors_first(clean: Path, seeds: Iterator[int]) -> None:
    plant(clean, seeds)
    report = check_data(clean)
    severities = [rule.severity for rule in RULES]
    assert severities == sorted(severities, key=["error", "warning", "note"].index)
    places = [[rule.name for rule in RULES].index(issue.rule) for issue in report.issues]
    assert places == sorted(places)


def test_json_holds_everything(clean: Path, seeds: Iterator[int]) -> None:
    plant(clean, seeds)
    report = check_data(clean)
    plain = json.loads(report.to_json())
    assert plain == report.to_dict()
    assert (plain["classes"], plain["splits"]["validation"]) == (["cat", "dog", "eel", "fox", "gnu"], [3, 2, 0, 0, 1])
    assert sum(plain["counts"].values()) == len(plain["issues"]) == len(report.issues)
    assert [issue["rule"] for issue in plain["issues"] if issue["severity"] == "error"] == [
        "empty-class",
        "class-only-in-one-split",
    ]
    first = next(issue for issue in plain["issues"] if issue["rule"] == "empty-file")
    assert first["path"] == str(clean / "train/cat/empty.jpg")
    assert (first["severity"], first["detail"]) == ("warning", "0 bytes")
    assert first["advice"] == "Copy or download it again, or remove it."


def test_a_table_with_missing_files_and_rows_twice(tmp_path: Path, seeds: Iterator[int]) -> None:
    write_classes(tmp_path, ("cat", "dog"), 12, seeds)
    rows = [f"{label}/{number}.png,{label},train" for label in ("cat", "dog") for number in range(12)]
    rows += ["cat/none.png,cat,train", "cat/0.png,cat,test", "cat/1.png,dog,train", "dog/2.png,dog,train"]
    (tmp_path / "list.csv").write_text("\n".join(["path,label,split", *rows, "dog/0\0.png,dog,train"]))
    report = check_data(tmp_path / "list.csv", fractions=(1.0, 0.0, 0.0))
    assert [(issue.rule, issue.path, issue.detail) for issue in report.issues] == [
        ("cannot-train", None, "no validation images; add some, or more images to split"),
        ("missing-file", tmp_path / "cat/none.png", "no such file, line 26"),
        ("missing-file", tmp_path / "dog/0\0.png", "no path (embedded null byte), line 30"),
        (
            "duplicate-with-other-label",
            tmp_path / "cat/1.png",
            "listed twice: as 'dog' in train, and as 'cat' in train",
        ),
        ("duplicate-across-splits", tmp_path / "cat/0.png", "listed twice: as 'cat' in test, and as 'cat' in train"),
        ("exact-duplicate", tmp_path / "dog/2.png", "listed twice: as 'dog' in train, and as 'dog' in train"),
        ("too-few-images", None, "class 'dog': 0 in test"),
    ]


def test_classes_whose_names_differ_in_case_alone(clean: Path) -> None:
    (clean / "test/dog").rename(clean / "test/Dog")
    issues = [(issue.rule, issue.path, issue.detail) for issue in check_data(clean).issues]
    assert issues[0] == ("class-only-in-one-split", clean / "test/Dog", "class 'Dog': only in test")
    assert ("name-case-collision", clean / "train/dog", "class 'dog', beside class 'Dog'") in issues


@pytest.mark.skipif(os.geteuid() == 0, reason="the superuser may read everything")
def test_a_file_that_may_not_be_read(clean: Path) -> None:
    (clean / "train/cat/0.png").chmod(0)
    (issue,) = check_data(clean).issues
    assert (issue.rule, issue.detail) == ("unreadable", "Permission denied")


def test_progress_and_any_number_of_workers(clean: Path) -> None:
    told: list[tuple[int, int]] = []
    one = check_data(clean, workers=1, on_progress=lambda done, total: told.append((done, total)))
    assert told == [(done, 70) for done in range(1, 71)]
    assert check_data(clean, workers=5).issues == one.issues


def test_what_cannot_be_read_as_data_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="an empty folder"):
        check_data(tmp_path)


@pytest.mark.slow
def test_clothing_has_one_photo_under_two_labels_and_nothing_else(shared: Path) -> None:
    # Looked at by eye: of its 3,781 photos, many of them of one person's shirts on one red cloth, these two alone are
    # one photo: black denim shorts, taken for a skirt too.
    clothing = shared / "data/clothing"
    (issue,) = check_data(clothing).issues
    assert issue.rule == "near-duplicate-with-other-label"
    assert issue.path == clothing / "train/skirt/637a56e4-7fa6-4f75-8859-0f8902461554.jpg"
    assert issue.detail == "nearly the same as train/shorts/6075b4a5-5b1a-4ce0-aea0-9dbfbca7c35c.jpg"


def test_the_public_verb_gives_a_report_that_prints(clean: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(clean.parent)
    Path("data/train/cat/0.png").write_bytes(b"")
    report = litevision.check_data("data")
    assert isinstance(report, litevision.DataReport)
    assert str(report) == "\n".join(
        [
            "data: 69 images of 2 classes",
            "",
            "class  train  validation  test  all",
            "cat       30           2     2   34",
            "dog       31           2     2   35",
            "all       61           4     4   69",
            "",
            "rule        severity  count  what to do",
            "empty-file  warning       1  Copy or download it again, or remove it.",
            "",
            "empty-file",
            "  train/cat/0.png: 0 bytes",
            "",
            "0 errors, 1 warning, 0 notes",
        ]
    )


class Odd:
    """An image whose frames raise what nobody thinks of."""

    is_animated = True

    @property
    def n_frames(self) -> int:
        raise IndexError("index out of range")


def test_frames_that_cannot_be_counted_are_a_finding() -> None:
    (found,) = _of_frames(Odd())
    assert found == ("animated", "damaged behind its first frame (IndexError: index out of range)")


@pytest.mark.parametrize("quick", [True, False])
@pytest.mark.parametrize(("error", "rule"), [(KeyError("x"), "unreadable"), (MemoryError(), "too-large")])
def test_whatever_a_reader_raises_is_a_finding_of_its_image(
    clean: Path, monkeypatch: pytest.MonkeyPatch, quick: bool, error: Exception, rule: str
) -> None:
    def read(data: object, **_: object) -> None:
        raise error

    monkeypatch.setattr(image_stats, "open_image", read)
    issues = check_data(clean, quick=quick).issues
    assert {issue.rule for issue in issues} == {rule, "empty-class"}


def test_a_damaged_gif_stops_nothing(shared: Path, clean: Path) -> None:
    case = shared / "cases/security/fuzz/image-IndexError_at_GifImagePlugin.py_301-a.gif"
    path = clean / "a.gif"
    shutil.copy(case, path)
    assert "animated" in {rule for rule, _ in inspect_image(path).found}


def drawing() -> bytes:
    """A GIF that says that there is no image."""
    image = Image.new("RGB", (120, 90), "white")
    image.paste((90, 90, 90), (20, 40, 100, 50))
    image.paste((160, 160, 160), (30, 55, 90, 60))
    return encoded(image.quantize(16), "GIF")


def test_a_drawing_among_photos_is_told_and_a_set_of_drawings_is_not(clean: Path) -> None:
    (clean / "train/cat/imageNotFound.gif").write_bytes(drawing())
    (clean / "train/cat/photo.gif").write_bytes(encoded(Image.fromarray(blobs(900)).quantize(200), "GIF"))
    (issue,) = (issue for issue in check_data(clean).issues if issue.rule == "placeholder")
    assert (issue.path, issue.severity) == (clean / "train/cat/imageNotFound.gif", "warning")
    for number in range(10):
        (clean / f"train/dog/icon{number}.gif").write_bytes(drawing())
    assert "placeholder" not in check_data(clean).counts
