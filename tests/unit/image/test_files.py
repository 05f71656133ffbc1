import os
import socket
from pathlib import Path

import pytest

from litevision.errors import FileMissingError, UsageError
from litevision.image import list_images


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    for name in (
        "b.JPG",
        "a.png",
        "notes.txt",
        ".hidden.jpg",
        "._a.png",
        "deep/c.webp",
        "deep/er/d.bmp",
        "f.gif",
        ".git/e.jpg",
    ):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).touch()
    return tmp_path


def names(folder: Path, *, recursive: bool) -> list[str]:
    return [path.relative_to(folder).as_posix() for path in list_images(folder, recursive=recursive)]


def test_a_folders_images_sorted(folder: Path) -> None:
    assert names(folder, recursive=False) == ["a.png", "b.JPG", "f.gif"]


def test_recursive(folder: Path) -> None:
    assert names(folder, recursive=True) == ["a.png", "b.JPG", "deep/c.webp", "deep/er/d.bmp", "f.gif"]


def test_a_file_is_taken_whatever_its_suffix(folder: Path) -> None:
    assert list_images(folder / "notes.txt") == [folder / "notes.txt"]


def test_a_folder_without_images(folder: Path) -> None:
    (folder / "deep/c.webp").unlink()
    with pytest.raises(UsageError, match=r"deep: no images in this folder; looked for \.jpg .* --recursive"):
        list_images(folder / "deep")
    (folder / "empty").mkdir()
    with pytest.raises(UsageError, match=r"looked for \.jpg \.jpeg \.png \.webp \.bmp \.gif\.$"):
        list_images(folder / "empty", recursive=True)


def test_nothing_there(tmp_path: Path) -> None:
    with pytest.raises(FileMissingError, match=r"none: No such file or directory\. Check the path"):
        list_images(tmp_path / "none")
    with pytest.raises(FileMissingError, match="Check the path"):
        list_images("x" * 5000)
    with pytest.raises(FileMissingError, match=r"no path \(embedded null byte\)"):
        list_images("a\0b")


def test_what_would_be_waited_for_is_no_image_of_a_folder(tmp_path: Path) -> None:
    (tmp_path / "a.jpg").write_bytes(b"")
    os.mkfifo(tmp_path / "f.jpg")
    (tmp_path / "gone.jpg").symlink_to("nothing")
    with socket.socket(socket.AF_UNIX) as opened:
        opened.bind(str(tmp_path / "s.jpg"))
    assert [path.name for path in list_images(tmp_path)] == ["a.jpg", "gone.jpg"]
