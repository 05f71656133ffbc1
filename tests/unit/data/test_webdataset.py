"""Tar shards are read as the class folders that they were made of, once; what is odd in them is told."""

import io
import tarfile
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from images import encoded
from litevision.data import read, read_images
from litevision.data.check import check_data
from litevision.errors import DataError
from trainings import COLOURS, coloured

Members = dict[str, bytes]
CLASSES = tuple(COLOURS)


@pytest.fixture(autouse=True)
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A cache of the test's own."""
    monkeypatch.setenv("LITEVISION_CACHE", str(tmp_path / "cache"))
    return tmp_path / "cache"


def write_tar(path: Path, members: Members, *, gz: bool = False) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    with tarfile.open(path, "w:gz" if gz else "w") as archive:
        for name, data in members.items():
            member = tarfile.TarInfo(name)
            member.size = len(data)
            archive.addfile(member, io.BytesIO(data))
    return path


def image(number: int) -> bytes:
    return encoded(coloured(number % 3, number))


def samples(first: int, count: int = 6, label: str = "name") -> Members:
    """An image and its class for each sample."""
    found: Members = {}
    for number in range(first, first + count):
        name = CLASSES[number % 3]
        found[f"{number:06d}.png"] = image(number)
        if label == "json":
            found[f"{number:06d}.json"] = f'{{"label": "{name}", "other": [1]}}'.encode()
        else:
            found[f"{number:06d}.cls"] = (name if label == "name" else str(number % 3)).encode()
    return found


@pytest.mark.parametrize("label", ["number", "name", "json"])
@pytest.mark.parametrize("place", ["{split}-000.tar", "{split}/000.tar", "shards_{split}_0.tar.gz"])
def test_shards_give_the_images_classes_and_splits_that_went_in(tmp_path: Path, label: str, place: str) -> None:
    root = tmp_path / "shards"
    expected = []
    for first, split, name in ((0, "train", "train"), (9, "validation", "val")):
        path = root / place.format(split=name)
        write_tar(path, samples(first, label=label), gz=path.suffix == ".gz")
        expected += [(split, CLASSES[it % 3], image(it)) for it in range(first, first + 6)]
    (root / "classes.txt").write_text("\n".join(CLASSES))
    data = read(root)
    found = [(one.split, data.classes[one.label], one.path.read_bytes()) for one in data.samples]
    assert sorted(found) == sorted(expected)
    assert data.root.name == "shards"
    assert [issue.rule for issue in check_data(root).issues if issue.rule == "outside-data"] == []


def test_an_archive_of_class_folders_and_one_that_is_named_itself(tmp_path: Path) -> None:
    members = {f"set/{CLASSES[it % 3]}/{it}.png": image(it) for it in range(9)}
    data = read_images(write_tar(tmp_path / "clothes.tar", members))
    assert (data.classes, data.counts("train", "validation", "test")) == (CLASSES, (3, 3, 3))
    assert data.root.name == "clothes"
    inside = {f"{split}/{name}": data for split in ("train", "val") for name, data in samples(0).items()}
    assert read_images(write_tar(tmp_path / "other.tar", inside)).counts("validation") == (2, 2, 2)


def test_they_are_unpacked_once_and_anew_where_they_changed(tmp_path: Path, cache: Path) -> None:
    root = tmp_path / "shards"
    path = write_tar(root / "0.tar", samples(0))
    times = {one.path: one.path.stat().st_mtime_ns for one in read_images(root).samples}
    assert {one.path: one.path.stat().st_mtime_ns for one in read_images(root).samples} == times
    assert all(it.is_relative_to(cache) for it in times)
    path.unlink()
    write_tar(path, samples(0, 9))
    assert len(read_images(root).samples) == 9


def test_several_processes_may_unpack_them_at_once(tmp_path: Path) -> None:
    write_tar(tmp_path / "shards/0.tar", samples(0))
    with ThreadPoolExecutor(4) as pool:
        found = list(pool.map(read_images, [tmp_path / "shards"] * 4))
    assert [one.samples for one in found] == [found[0].samples] * 4
    assert all(one.path.is_file() for one in found[0].samples)


def test_a_class_may_have_the_name_of_a_split_where_shards_say_theirs(tmp_path: Path) -> None:
    vehicles = {f"{it}.png": image(it) for it in range(4)}
    labels = {f"{it}.cls": (b"train", b"car")[it % 2] for it in range(4)}
    for split in ("train", "val"):
        write_tar(tmp_path / f"shards/{split}-0.tar", {**vehicles, **labels})
    data = read_images(tmp_path / "shards")
    assert (data.classes, data.counts("train"), data.counts("validation")) == (("car", "train"), (2, 2), (2, 2))


def test_a_number_without_end_is_no_class_of_the_list(tmp_path: Path) -> None:
    members = {**samples(0), "9.png": image(9), "9.cls": b"7" * 9000}
    write_tar(tmp_path / "shards/0.tar", members)
    (tmp_path / "shards/classes.txt").write_text("one")
    assert len(read_images(tmp_path / "shards").samples) == 6


def test_what_has_no_class_is_counted(tmp_path: Path) -> None:
    members = {**samples(0), "alone.png": image(90), "000000.txt": b"a caption", "bad.json": b"{"}
    write_tar(tmp_path / "shards/0.tar", members)
    for _ in range(2):  # from the archive, and from what was unpacked of it
        data = read_images(tmp_path / "shards")
        assert len(data.samples) == 6
        assert data.passed_over.to_dict() == {".png": 1, ".txt": 1, ".json": 1}


def test_names_of_members_lead_nowhere(tmp_path: Path) -> None:
    write_tar(tmp_path / "shards/0.tar", {f"../../up/{name}": data for name, data in samples(0).items()})
    assert len(read_images(tmp_path / "shards").samples) == 6
    assert {path.name for path in tmp_path.iterdir()} == {"shards", "cache"}


@pytest.mark.parametrize(
    ("members", "message"),
    [
        ({"0.png": image(0), "0.cls": b"../evil"}, "0.tar: the class '../evil' can be no folder's name"),
        ({"0.png": image(0), "0.cls": b".."}, "0.tar: the class '..' can be no folder's name"),
        (
            {"0.png": image(0), "0.cls": b"train", "1.png": image(1), "1.cls": b"car"},
            "the class 'train' has a split's name. Name the shards by their splits, such as train-000.tar.",
        ),
        ({"0.png": image(0)}, "no labelled images (1 file passed over (1 .png)); expected an image and a .cls"),
    ],
)
def test_what_cannot_be_used_is_told_and_leaves_nothing(
    tmp_path: Path, cache: Path, members: Members, message: str
) -> None:
    write_tar(tmp_path / "shards/0.tar", members)
    with pytest.raises(DataError) as caught:
        read_images(tmp_path / "shards")
    assert message in str(caught.value)
    assert [path for path in cache.rglob("*") if path.is_file()] == []


def test_a_damaged_shard_is_told_and_not_read_in_part(tmp_path: Path, cache: Path) -> None:
    path = write_tar(tmp_path / "shards/0.tar", samples(0))
    path.write_bytes(path.read_bytes()[:3000])
    with pytest.raises(DataError, match=r"0\.tar: cannot be read to its end \(.*\)\. Copy it again\."):
        read_images(tmp_path / "shards")
    assert [it for it in cache.rglob("*") if it.is_file()] == []


def test_an_archive_beside_class_folders_is_none_of_the_data(tmp_path: Path) -> None:
    for it in range(9):
        folder = tmp_path / "data" / CLASSES[it % 3]
        folder.mkdir(parents=True, exist_ok=True)
        (folder / f"{it}.png").write_bytes(image(it))
    write_tar(tmp_path / "data/backup.tar", samples(0))
    data = read_images(tmp_path / "data")
    assert (len(data.samples), data.root) == (9, tmp_path / "data")
