import itertools
from pathlib import Path

import pytest

from images import encoded
from labelled import blobs, write_classes
from litevision.data import quick_scan, read_images
from litevision.errors import DataError


@pytest.fixture
def data(tmp_path: Path) -> Path:
    write_classes(tmp_path / "train", ("cat", "dog"), 5, itertools.count())
    write_classes(tmp_path / "val", ("cat", "dog"), 2, itertools.count(100))
    return tmp_path


def test_good_data_is_left_as_it_is(data: Path) -> None:
    images = read_images(data)
    assert quick_scan(images) == (images, ())


def test_what_cannot_be_opened_is_dropped_with_its_issue(data: Path) -> None:
    (data / "train/cat/0.png").write_bytes(b"")
    (data / "val/dog/1.png").write_bytes(b"oops")
    (data / "train/dog/a.jpg").write_bytes(encoded(blobs(50, 900, 1200), "JPEG", quality=95))
    before = read_images(data)
    after, issues = quick_scan(before, workers=3)
    assert [(issue.rule, issue.path) for issue in issues] == [
        ("empty-file", data / "train/cat/0.png"),
        ("not-an-image", data / "val/dog/1.png"),
    ]
    bad = {issue.path for issue in issues}
    assert after.samples == tuple(sample for sample in before.samples if sample.path not in bad)
    assert [after.counts(split) for split in ("train", "validation")] == [(4, 6), (2, 1)]


def test_a_jpeg_whose_header_is_long_is_read_to_its_end(data: Path) -> None:
    long = encoded(blobs(50), "JPEG", icc_profile=bytes(700_000))
    assert len(long) > 700_000
    (data / "train/dog/long.jpg").write_bytes(long)
    (data / "train/dog/cut.jpg").write_bytes(long[:400_000])
    _, issues = quick_scan(read_images(data))
    assert [(issue.rule, issue.path) for issue in issues] == [("truncated", data / "train/dog/cut.jpg")]


def test_a_jpeg_that_is_cut_short_is_dropped(data: Path) -> None:
    whole = encoded(blobs(50, 900, 1200), "JPEG", quality=95)
    (data / "train/dog/cut.jpg").write_bytes(whole[: len(whole) // 2])
    (data / "train/dog/trailed.jpg").write_bytes(whole + bytes(100))
    (data / "train/dog/far-trailed.jpg").write_bytes(whole + bytes(10_000))
    _, issues = quick_scan(read_images(data))
    assert [(issue.rule, issue.path) for issue in issues] == [("truncated", data / "train/dog/cut.jpg")]


def test_a_class_without_images_to_train_with_is_an_error(data: Path) -> None:
    for number in range(5):
        (data / f"train/cat/{number}.png").write_bytes(b"oops")
    with pytest.raises(DataError, match=r"no images of 'cat' to train with \(5 files cannot be read\); expected some"):
        quick_scan(read_images(data))
    for name in "fghi":
        (data / "train" / name).mkdir()
    with pytest.raises(DataError, match=r"no images of 'cat', 'f', 'g' and 2 more to train with") as raised:
        quick_scan(read_images(data))
    assert "\n" not in str(raised.value)
