"""litevision batch: archives, tables and results as Parquet."""

import io
import json
import tarfile
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from images import encoded

Run = Callable[..., tuple[int, str, str]]


@pytest.fixture
def batch(folder: Path, litevision: Run) -> Run:
    """`litevision` with the command, an engine and parts of 5 given."""

    def run(*arguments: str, output: str = "out", form: str = "jsonl") -> tuple[int, str, str]:
        given = ("--model", "tiny.onnx", "-o", output, "--workers", "2", "--rows", "5", "--format", form)
        return litevision("batch", *arguments, *given, "--engine", "onnxruntime")

    return run


@pytest.fixture(scope="module")
def images() -> list[bytes]:
    shades = np.random.default_rng(0).integers(0, 256, (12, 3), np.uint8)
    return [encoded(np.full((9, 12, 3), shade, np.uint8)) for shade in shades]


def rows_of(output: str) -> list[dict[str, Any]]:
    paths = sorted(Path(output).glob("part-*"))
    if paths[0].suffix == ".parquet":
        return [row for path in paths for row in pq.read_table(path).to_pylist()]
    return [json.loads(line) for path in paths for line in path.read_text("ascii").splitlines()]


def answers_of(output: str) -> list[tuple[Any, ...]]:
    return [(row["labels"], row["scores"], row["width"], row["error"]) for row in rows_of(output)]


def write_tar(path: str, members: Sequence[tuple[str, bytes]], mode: Any = "w") -> None:
    with tarfile.open(path, mode) as archive:
        for name, data in members:
            member = tarfile.TarInfo(name)
            member.size = len(data)
            archive.addfile(member, io.BytesIO(data))


def write_files(images: Sequence[bytes]) -> list[str]:
    Path("plain").mkdir()
    for number, data in enumerate(images):
        Path(f"plain/{number:02}.png").write_bytes(data)
    return [f"{number:02}.png" for number in range(len(images))]


def test_parquet_holds_what_json_lines_hold(batch: Run, images: list[bytes]) -> None:
    write_files([*images, b"oops"])
    assert batch("plain", form="jsonl", output="lines")[0] == 3
    assert batch("plain", form="parquet")[0] == 3
    assert rows_of("out") == rows_of("lines")
    table = pq.read_table("out")  # the folder as one
    assert table.num_rows == 13
    assert str(table.schema.field("scores").type) == "list<element: float>"
    code, _, err = batch("plain", form="parquet")
    assert code == 3
    assert "13 of them by earlier runs, 1 could not be read (1 unreadable)" in err


def test_the_form_of_a_job_goes_on(batch: Run, litevision: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    given = ("batch", "red.png", "--model", "tiny.onnx", "--engine", "onnxruntime")
    assert batch("red.png", form="jsonl")[0] == 0
    assert litevision(*given, "-o", "out", "--rows", "5")[0] == 0
    assert litevision(*given, "-o", "new")[0] == 0
    assert [path.suffix for path in Path("new").glob("part-*")] == [".parquet"]
    monkeypatch.setattr("litevision.jobs.tables.has_parquet", lambda: False)
    monkeypatch.setattr("litevision.jobs.parts.has_parquet", lambda: False)
    assert litevision(*given, "-o", "without")[0] == 0
    assert [path.suffix for path in Path("without").glob("part-*")] == [".jsonl"]
    code, _, err = batch("red.png", form="parquet", output="refused")
    assert (code, err) == (
        1,
        "error: --format parquet needs parts that are not installed. Install them with: pip install "
        "'litevision[parquet]'\n",
    )


def test_a_name_that_is_no_text_has_a_row(batch: Run, images: list[bytes]) -> None:
    Path("odd").mkdir()
    Path("odd/\udce9.png").write_bytes(images[0])
    assert batch("odd", form="parquet")[0] == 0
    assert rows_of("out")[0]["path"] == r"odd/\udce9.png"


@pytest.mark.parametrize("suffix", ["tar", "tar.gz"])
def test_archives_answer_as_files_do(batch: Run, images: list[bytes], suffix: str) -> None:
    names = write_files(images)
    batch("plain", output="plain-out")
    Path("shards").mkdir()
    mode = "w:gz" if suffix == "tar.gz" else "w"
    for number in range(3):
        members = [*zip(names, images, strict=True)][4 * number : 4 * number + 4]
        labels = [(f"{name[:2]}.cls", b"3") for name, _ in members]
        write_tar(f"shards/s-{number:03}.{suffix}", [*members, *labels, ("._x.png", b"")], mode)
    code, _, err = batch(f"shards/s-{{000..002}}.{suffix}")
    assert code == 0, err
    assert answers_of("out") == answers_of("plain-out")
    assert [row["path"] for row in rows_of("out")][4:6] == [
        f"shards/s-001.{suffix}::04.png",
        f"shards/s-001.{suffix}::05.png",
    ]
    assert "12 files passed over (12 .cls)" in err
    assert batch(f"shards/*.{suffix}", output="pattern")[0] == 0
    assert rows_of("pattern") == rows_of("out")
    gone = sorted(Path("out").glob("part-*"))[1]
    expected = gone.read_bytes()
    gone.unlink()
    assert batch(f"shards/s-{{000..002}}.{suffix}", "--shard", "2/3")[0] == 0
    assert gone.read_bytes() == expected


def test_a_damaged_archive_is_a_row_and_the_others_go_on(batch: Run, images: list[bytes]) -> None:
    named = [(f"{number}.png", data) for number, data in enumerate(images[:3])]
    write_tar("a.tar", named)
    whole = Path("a.tar").read_bytes()
    Path("cut.tar").write_bytes(whole[:1200])
    header = bytearray(whole)
    header[1024:1034] = b"x" * 10
    Path("header.tar").write_bytes(header)
    far = bytearray(whole)
    far[1024 + 124 : 1024 + 136] = b"\x80" + b"\x7f" * 11  # a size of 2**87 bytes, with the checksum that fits
    far[1024 + 148 : 1024 + 156] = b" " * 8
    far[1024 + 148 : 1024 + 156] = b"%06o\0 " % sum(far[1024 : 1024 + 512])
    Path("far.tar").write_bytes(far)
    Path("text.tar").write_bytes(b"no archive" * 100)
    write_tar("empty.tar", [("a.txt", b"")])
    code, _, err = batch("cut.tar", "header.tar", "far.tar", "text.tar", "empty.tar", "a.tar")
    assert code == 3
    found = [(row["path"], row["error_kind"]) for row in rows_of("out")]
    assert found[-3:] == [(f"a.tar::{number}.png", None) for number in range(3)]
    assert [path for path, kind in found[:-3] if kind and "::" not in path] == [
        *("cut.tar", "header.tar", "far.tar", "text.tar", "empty.tar")
    ]
    assert "1 other" in err


def test_what_an_archive_says_takes_no_memory(batch: Run, images: list[bytes]) -> None:
    bomb = tarfile.TarInfo("x")
    bomb.type, bomb.size = tarfile.XHDTYPE, 2**40
    Path("bomb.tar").write_bytes(bomb.tobuf(tarfile.GNU_FORMAT))
    link = tarfile.TarInfo("link.png")
    link.type, link.linkname = tarfile.SYMTYPE, "/etc/passwd"
    Path("link.tar").write_bytes(link.tobuf() + bytes(1024))
    code, _, _ = batch("bomb.tar", "link.tar", "red.png")
    assert code == 3
    assert [row["error_kind"] for row in rows_of("out")] == ["unreadable", "other", None]
    assert "a header of 1099511627776 bytes" in rows_of("out")[0]["error"]


def test_a_member_over_the_limit_is_an_error(batch: Run, images: list[bytes], monkeypatch: pytest.MonkeyPatch) -> None:
    from litevision.image.decode import Limits, open_image, opening

    write_tar("a.tar.gz", [("big.png", images[0] + bytes(5000)), ("small.png", images[1])], "w:gz")
    small = Limits(max_bytes=4000)
    monkeypatch.setattr("litevision.jobs.job.DEFAULT_LIMITS", small)
    monkeypatch.setattr(open_image, "__kwdefaults__", {"limits": small})
    monkeypatch.setattr(opening.__wrapped__, "__kwdefaults__", {"limits": small})
    assert batch("a.tar.gz")[0] == 3
    assert [row["error_kind"] for row in rows_of("out")] == ["too large", None]


@pytest.mark.parametrize("as_record", [False, True])
def test_a_column_of_bytes(batch: Run, images: list[bytes], as_record: bool) -> None:
    write_files(images)
    batch("plain", output="plain-out")
    cells = [{"bytes": data, "path": None} for data in images] if as_record else images
    pq.write_table(pa.table({"id": range(12), "image": cells}), "table.parquet", row_group_size=5)
    assert batch("table.parquet::image", "--shard", "2/2")[0] == 0
    assert batch("table.parquet::image")[0] == 0
    assert answers_of("out") == answers_of("plain-out")
    assert rows_of("out")[7]["path"] == "table.parquet::image[7]"


@pytest.mark.parametrize(
    ("name", "words"),
    [
        ("table.parquet", "no column named; expected table.parquet::COLUMN with images as bytes, of: id, image"),
        ("table.parquet::id", "the column 'id'; expected"),
        ("table.parquet::no", "the column 'no'; expected"),
        ("text.parquet::image", "cannot be read as Parquet"),
    ],
)
def test_a_table_without_images(batch: Run, images: list[bytes], name: str, words: str) -> None:
    pq.write_table(pa.table({"id": [1], "image": images[:1]}), "table.parquet")
    Path("text.parquet").write_text("no table")
    code, _, err = batch(name)
    assert code == 1
    assert words in err


def test_a_cell_without_an_image(batch: Run, images: list[bytes]) -> None:
    pq.write_table(pa.table({"image": [images[0], None, b"oops"]}), "table.parquet")
    assert batch("table.parquet::image")[0] == 3
    assert [row["error_kind"] for row in rows_of("out")] == [None, "unreadable", "unreadable"]
    assert rows_of("out")[1]["error"].startswith("table.parquet::image[1]: cannot be read (the cell is empty)")
