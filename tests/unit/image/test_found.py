"""Which images a folder or a pattern holds, and what is counted as passed over."""

import os
import socket
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from litevision.errors import FileMissingError, ImageError, UsageError
from litevision.image import ANIMATION_SUFFIXES, IMAGE_SUFFIXES, FoundImages, PassedOver, find_images
from litevision.image.formats import FORMATS
from litevision.image.found import Unlisted


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    touch(tmp_path, "b.JPG", "a.png", "notes.txt", ".hidden.jpg", "._a.png", "deep/c.webp", "deep/er/d.bmp", "f.gif")
    touch(tmp_path, ".git/e.jpg", "Thumbs.db", "__MACOSX/a.jpg")
    return tmp_path


def touch(folder: Path, *names: str) -> None:
    for name in names:
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).touch()


def names(path: Path | str, root: Path, *, recursive: bool = False) -> list[str]:
    return [found.relative_to(root).as_posix() for found in find_images(path, recursive=recursive)]


def passed(path: Path | str, *, recursive: bool = False) -> dict[str, int]:
    found = find_images(path, recursive=recursive)
    assert list(found)
    return found.passed_over.to_dict()


def test_a_folders_images_sorted(folder: Path) -> None:
    assert names(folder, folder) == ["a.png", "b.JPG", "f.gif"]


def test_recursive(folder: Path) -> None:
    assert names(folder, folder, recursive=True) == ["a.png", "b.JPG", "deep/c.webp", "deep/er/d.bmp", "f.gif"]


def test_the_order_is_that_of_sorted_paths(tmp_path: Path) -> None:
    touch(
        tmp_path, "b/1.jpg", "b.jpg", "b-/2.jpg", "B.jpg", "a/z/1.jpg", "a/1.jpg", "b/z.jpg", "é.jpg", "10.jpg", "9.jpg"
    )
    found = list(find_images(tmp_path, recursive=True))
    assert len(found) == 10
    assert found == sorted(found)


def test_a_file_is_taken_whatever_its_suffix(folder: Path) -> None:
    assert list(find_images(folder / "notes.txt")) == [folder / "notes.txt"]


@pytest.mark.parametrize("suffix", IMAGE_SUFFIXES)
def test_every_suffix_of_an_image_in_any_case(tmp_path: Path, suffix: str) -> None:
    touch(tmp_path, f"a{suffix}", f"b{suffix.upper()}", f"c{suffix}_large")
    assert names(tmp_path, tmp_path) == [f"a{suffix}", f"b{suffix.upper()}"]


def test_every_suffix_is_that_of_a_format_that_is_read() -> None:
    read = {suffix for format_ in FORMATS for suffix in format_.suffixes.split()}
    assert set(IMAGE_SUFFIXES) <= read
    frames = {suffix for format_ in FORMATS if format_.frames for suffix in format_.suffixes.split()}
    assert set(ANIMATION_SUFFIXES) == frames & set(IMAGE_SUFFIXES)


def test_a_folder_without_images(folder: Path) -> None:
    (folder / "deep/c.webp").unlink()
    touch(folder, "deep/a.txt", "deep/b.txt")
    with pytest.raises(
        UsageError,
        match=r"deep: no images in this folder; looked for \.jpg .*; "
        r"2 files passed over \(2 \.txt\), 1 folder not looked into\. .* --recursive",
    ):
        list(find_images(folder / "deep"))
    (folder / "empty").mkdir()
    with pytest.raises(UsageError, match=r"looked for \.jpg \.jpeg [^;]*\.pnm\.$"):
        list(find_images(folder / "empty", recursive=True))


def test_nothing_there(tmp_path: Path) -> None:
    with pytest.raises(FileMissingError, match=r"none: No such file or directory\. Check the path"):
        list(find_images(tmp_path / "none"))
    with pytest.raises(FileMissingError, match="Check the path"):
        list(find_images("x" * 5000))
    with pytest.raises(FileMissingError, match=r"no path \(embedded null byte\)"):
        list(find_images("a\0b"))
    with pytest.raises(UsageError, match="an empty path; expected an image or a folder"):
        list(find_images(""))


def test_what_is_passed_over_is_counted_by_kind(folder: Path) -> None:
    touch(folder, "a.TIFX", "b.tifx", "README", "x.tar.gz", "odd.a b", "clip.mp4", "long." + "x" * 40)
    kinds = {".txt": 1, ".tifx": 2, "no suffix": 1, ".gz": 1, "other": 2, ".mp4": 1}
    assert passed(folder) == {**kinds, "folder": 1}
    assert passed(folder, recursive=True) == kinds


def test_a_second_iteration_counts_anew(folder: Path) -> None:
    found = find_images(folder)
    assert (len(list(found)), len(list(found)), found.passed_over.to_dict()) == (3, 3, {".txt": 1, "folder": 1})


def test_passed_over_in_words() -> None:
    counts = PassedOver()
    assert (str(counts), bool(counts)) == ("", False)
    for name, count in ((".tif", 4), (".heic", 1200), (".a", 1), (".b", 1), (".c", 1)):
        for _ in range(count):
            counts.add_file(f"x{name}")
    assert str(counts) == "1,207 files passed over (1,200 .heic, 4 .tif, 1 .a, 1 .b, 1 .c)"
    counts.add_file("x.d")
    assert str(counts) == "1,208 files passed over (1,200 .heic, 4 .tif, 1 .a, 1 .b, 1 .c, 1 .d)"
    counts.add_file("x.e")
    counts.add("folder")
    assert str(counts) == (
        "1,209 files passed over (1,200 .heic, 4 .tif, 1 .a, 1 .b, 1 .c and 2 others), 1 folder not looked into"
    )


def test_kinds_are_bounded() -> None:
    counts = PassedOver()
    for number in range(5000):
        counts.add_file(f"log.{number}")
    assert (len(counts.counts) <= 101, counts.files) == (True, 5000)


def test_what_would_be_waited_for_is_no_image_of_a_folder(tmp_path: Path) -> None:
    touch(tmp_path, "a.jpg")
    os.mkfifo(tmp_path / "f.jpg")
    (tmp_path / "gone.jpg").symlink_to("nothing")
    (tmp_path / "itself.jpg").symlink_to("itself.jpg")
    (tmp_path / "zero.jpg").symlink_to("/dev/zero")
    with socket.socket(socket.AF_UNIX) as opened:
        opened.bind(str(tmp_path / "s.jpg"))
    for path in (tmp_path, tmp_path / "*.jpg", tmp_path / "**/*.jpg"):
        assert names(path, tmp_path) == ["a.jpg", "gone.jpg", "itself.jpg"]
        assert passed(path) == {"pipe or device": 3}


@pytest.fixture
def links(tmp_path: Path) -> Path:
    """Folders that links tie into loops, an outside folder, and one that only a link leads to."""
    root = tmp_path / "root"
    touch(root, "one.jpg", "x/1.jpg", "y/2.jpg", ".store/3.jpg")
    touch(tmp_path, "outside/4.jpg", "outside/in/5.jpg")
    for link, target in {
        "root/a": ".",
        "root/b": ".",
        "root/up": "../..",
        "root/x/to_y": "../y",
        "root/y/to_x": "../x",
        "root/stored": ".store",
        "root/out": "../outside",
        "root/out_again": "../outside/in",
        "outside/back": "../root",
        "outside/in/self": ".",
    }.items():
        (tmp_path / link).symlink_to(target, target_is_directory=True)
    return root


EACH_ONCE = ["one.jpg", "out/4.jpg", "out/in/5.jpg", "stored/3.jpg", "x/1.jpg", "y/2.jpg"]


@pytest.mark.parametrize("pattern", ["", "**/*.jpg", "**/**/*.jpg", "**"])
def test_each_folder_is_walked_through_once_whatever_links_lead_to_it(links: Path, pattern: str) -> None:
    found = names(links / pattern if pattern else links, links, recursive=not pattern)
    assert found == EACH_ONCE


def test_a_parent_that_a_link_leads_to_is_said(links: Path) -> None:
    assert passed(links, recursive=True) == {"folder": 1}


def test_a_pattern_may_name_a_link(links: Path) -> None:
    assert names(links / "a/*.jpg", links) == ["a/one.jpg"]
    assert names(links / "?/a/*.jpg", links) == ["a/a/one.jpg", "b/a/one.jpg"]


@pytest.mark.parametrize(
    ("pattern", "expected"),
    [
        ("*.jpg", ["b.jpg"]),
        ("*", ["a.png", "b.jpg", "notes.txt"]),
        ("*/*.jpg", ["deep/c.jpg"]),
        ("**/c.jpg", ["deep/c.jpg"]),
        ("deep/**", ["deep/c.jpg", "deep/er/d.jpg", "deep/er/f[1].jpg"]),
        ("**/er/*.jpg", ["deep/er/d.jpg", "deep/er/f[1].jpg"]),
        ("**/e?/[a-d].jpg", ["deep/er/d.jpg"]),
        ("**/f[[]1].jpg", ["deep/er/f[1].jpg"]),
        ("deep/../*.png", ["deep/../a.png"]),
        ("d*/er/../c.jpg", ["deep/er/../c.jpg"]),
        (".*/*.jpg", [".git/e.jpg"]),
        (".git/**/*.jpg", [".git/e.jpg"]),
    ],
)
def test_patterns(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, pattern: str, expected: list[str]) -> None:
    touch(tmp_path, "a.png", "b.jpg", "notes.txt", ".hidden.jpg", "deep/c.jpg", "deep/er/d.jpg", "deep/er/f[1].jpg")
    touch(tmp_path, ".git/e.jpg")
    assert [str(path.relative_to(tmp_path)) for path in find_images(tmp_path / pattern)] == expected
    monkeypatch.chdir(tmp_path)
    assert [str(path) for path in find_images(pattern)] == expected
    assert [str(path) for path in find_images(f"./{pattern}")] == expected


def test_a_pattern_that_fits_nothing(folder: Path) -> None:
    with pytest.raises(FileMissingError, match=r"\*\.xyz: no file has such a name\. .* stands for any folders\.$"):
        list(find_images(folder / "*.xyz"))
    touch(folder, "shots [2024]/a.jpg")
    with pytest.raises(FileMissingError, match=r"folders\. \[\[\] stands for a bracket in a name\.$"):
        list(find_images(folder / "shots [2024]/*.jpg"))
    assert names(folder / "shots [[]2024]/*.jpg", folder) == ["shots [2024]/a.jpg"]
    with pytest.raises(FileMissingError, match=r"Only others: 1 folder not looked into\.$"):
        list(find_images(folder / "d??p"))


@pytest.fixture
def locked(folder: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder that may not be read, also where the tests run as root."""
    touch(folder, "locked/x.jpg", "zoo/y.jpg")
    real = os.scandir

    def scandir(path: str) -> Any:
        if Path(path).name == "locked":
            raise PermissionError(13, "Permission denied", path)
        return real(path)

    monkeypatch.setattr("litevision.image.found.os.scandir", scandir)
    return folder


def errors(found: Iterator[str | Unlisted]) -> list[str]:
    return [str(it.error) for it in found if isinstance(it, Unlisted)]


@pytest.mark.parametrize("path", ["", "**/*.jpg", "*/*.jpg"])
def test_a_folder_that_cannot_be_read_is_an_error_and_the_others_are_listed(locked: Path, path: str) -> None:
    found = list(FoundImages(locked / path, recursive=True).walk())
    assert str(locked / "zoo/y.jpg") in found
    assert errors(iter(found)) == [
        f"{locked / 'locked'}: the folder cannot be read (Permission denied). Check who may read it."
    ]
    with pytest.raises(ImageError, match="Permission denied"):
        list(find_images(locked / path, recursive=True))


def test_of_the_folder_itself_permission_is_said(locked: Path) -> None:
    for path in ("locked", "locked/*.jpg"):
        assert errors(FoundImages(locked / path).walk()) == [
            f"{locked / 'locked'}: the folder cannot be read (Permission denied). Check who may read it."
        ]


def test_a_path_longer_than_the_system_takes_is_an_error(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    touch(tmp_path, "a.jpg")
    for _ in range(20):
        Path("d" * 250).mkdir()
        os.chdir("d" * 250)
    Path("b.jpg").touch()
    os.chdir(tmp_path)
    first, fault = FoundImages(tmp_path, recursive=True).walk()
    assert first == str(tmp_path / "a.jpg")
    assert isinstance(fault, Unlisted)
    assert "the folder cannot be read (File name too long)" in str(fault.error)
