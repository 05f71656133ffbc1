"""Files appear whole or not at all; a cached value is found under its own key alone."""

import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from litevision import files
from litevision.files import JsonCache, atomic_write, cache_folder, sha256_of, write_csv


@pytest.fixture(autouse=True)
def _cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LITEVISION_CACHE", str(tmp_path / "cache"))


def fail(partial: Path) -> None:
    partial.write_text("half")
    raise ValueError("stopped")


def test_an_interrupted_write_leaves_the_old_file_and_nothing_else(tmp_path: Path) -> None:
    path = tmp_path / "file.txt"
    path.write_text("old")
    with pytest.raises(ValueError, match="stopped"), atomic_write(path) as partial:
        fail(partial)
    assert {file.name: file.read_text() for file in tmp_path.iterdir()} == {"file.txt": "old"}


def test_a_finished_write_replaces_the_file(tmp_path: Path) -> None:
    path = tmp_path / "file.txt"
    path.write_text("old")
    with atomic_write(path) as partial:
        partial.write_text("new")
        assert path.read_text() == "old"
    assert {file.name: file.read_text() for file in tmp_path.iterdir()} == {"file.txt": "new"}


def test_a_value_is_found_under_its_key_alone() -> None:
    JsonCache("things", {"cpu": "a", "cores": 2}).store({"ms": [1.5, None]})
    assert JsonCache("things", {"cpu": "a", "cores": 2}).load() == {"ms": [1.5, None]}
    assert JsonCache("things", {"cpu": "a", "cores": 4}).load() is None
    assert JsonCache("others", {"cpu": "a", "cores": 2}).load() is None


@pytest.mark.parametrize("text", ["", "[]", "{}", '{"key": {"cpu": "b"}, "value": 1}', '{"key"', "\0", "[" * 100_000])
def test_a_damaged_cache_file_counts_as_none(text: str) -> None:
    cache = JsonCache("things", {"cpu": "a"})
    cache.store(1)
    cache.path.write_text(text)
    assert cache.load() is None


def test_a_cache_that_cannot_be_written_says_so(tmp_path: Path) -> None:
    (tmp_path / "cache").touch()
    cache = JsonCache("things", {})
    assert cache.load() is None
    with pytest.raises(OSError, match="cache"):
        cache.store(1)


def test_the_cache_lies_where_the_variable_says(tmp_path: Path) -> None:
    assert cache_folder() == tmp_path / "cache"


def test_csv_quotes_what_needs_it(tmp_path: Path) -> None:
    write_csv(tmp_path / "a.csv", ("name", "count"), [('a, "b"', 1), ("é", 2)])
    assert (tmp_path / "a.csv").read_text("utf-8") == 'name,count\n"a, ""b""",1\né,2\n'


def test_the_digest_is_that_of_sha256sum(tmp_path: Path) -> None:
    (tmp_path / "a").write_bytes(b"abc")
    assert sha256_of(tmp_path / "a") == "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"


WRITER = """
import signal, sys, time
from pathlib import Path
from litevision import files
with getattr(files, sys.argv[1])(Path(sys.argv[2])) as partial:
    (partial / "model.onnx" if partial.is_dir() else partial).write_text("half")
    print(partial, flush=True)
    time.sleep(600)
"""


@pytest.fixture
def writer(tmp_path: Path) -> Iterator[Callable[[str], tuple["subprocess.Popen[str]", Path]]]:
    """Start a process that is half through writing ``out.csv``."""
    started = []

    def start(kind: str) -> tuple["subprocess.Popen[str]", Path]:
        command = [sys.executable, "-c", WRITER, kind, str(tmp_path / "out.csv")]
        process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
        started.append(process)
        assert process.stdout is not None
        return process, Path(process.stdout.readline().rstrip("\n"))

    yield start
    for process in started:
        process.kill()
        process.communicate()


@pytest.mark.skipif(sys.platform == "win32", reason="a file in use cannot be deleted there")
@pytest.mark.parametrize("kind", ["atomic_write", "folder_beside"])
def test_what_a_killed_process_left_is_removed_and_nothing_else(
    tmp_path: Path, writer: Callable[[str], tuple["subprocess.Popen[str]", Path]], kind: str
) -> None:
    killed, left = writer(kind)
    _, held = writer(kind)
    others = [".other.csv.0123abcd.part", ".out.csv.part", ".out.csv.0123abcd.part.txt", ".out.csv.x.0123abcd.part"]
    for name in others:
        (tmp_path / name).write_text("somebody's")
    killed.kill()
    killed.wait()
    assert left.exists()
    files._left_behind.clear()
    with files.atomic_write(tmp_path / "out.csv") as partial:
        partial.write_text("whole")
    assert not left.exists()
    assert held.exists()
    assert sorted(it.name for it in tmp_path.iterdir()) == sorted(["out.csv", held.name, *others])


def test_a_link_with_the_name_of_a_temporary_file_is_left_alone(tmp_path: Path) -> None:
    precious = tmp_path / "precious"
    precious.write_text("mine")
    (tmp_path / ".out.csv.0123abcd.part").symlink_to(precious)
    files._left_behind.clear()
    with files.atomic_write(tmp_path / "out.csv", durable=True) as partial:
        partial.write_text("whole")
    assert precious.read_text() == "mine"
    assert (tmp_path / ".out.csv.0123abcd.part").is_symlink()


def test_a_writer_that_locks_its_file_may_do_so(tmp_path: Path) -> None:
    h5py = pytest.importorskip("h5py")
    with files.atomic_write(tmp_path / "x.h5", durable=True) as partial, h5py.File(partial, "w") as written:
        written["a"] = 1
    with h5py.File(tmp_path / "x.h5") as read:
        assert read["a"][()] == 1
