"""litevision batch: parts that are whole, shards, what a stop costs, exit codes, and what is refused."""

import json
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from bundles import write_bundle
from images import write_many

Run = Callable[..., tuple[int, str, str]]
PATIENCE_S = 120  # so long that a busy machine is no reason to fail


@pytest.fixture
def many(folder: Path) -> Path:
    """23 images in a folder, the seventh of them broken, and other things."""
    write_many()
    Path("many/notes.txt").touch()
    Path("many/deep").mkdir()
    return folder


@pytest.fixture
def batch(many: Path, litevision: Run) -> Run:
    """`litevision` with the command, an engine and parts of 5 given."""

    def run(*arguments: str, output: str = "out", model: str = "tiny.onnx") -> tuple[int, str, str]:
        given = ("--model", model, "-o", output, "--workers", "2")
        engine = () if "--engine" in arguments else ("--engine", "onnxruntime")
        form = () if "--format" in arguments else ("--format", "jsonl")
        return litevision(
            "batch", *arguments, *given, *engine, *form, *(() if "--rows" in arguments else ("--rows", "5"))
        )

    return run


def rows_of(output: str) -> list[dict[str, Any]]:
    return [json.loads(line) for path in parts_of(output) for line in path.read_text("ascii").splitlines()]


def parts_of(output: str) -> list[Path]:
    return sorted(Path(output).glob("part-*"))


def contents_of(output: str) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in parts_of(output)}


def test_each_image_has_a_row_in_its_order(batch: Run) -> None:
    code, out, err = batch("many", "--top", "2")
    assert (code, out) == (3, "")
    rows = rows_of("out")
    assert [row["path"] for row in rows] == [f"many/{number:02}.png" for number in range(23)]
    assert [row["index"] for row in rows] == list(range(23))
    assert [path.name.split("-")[1:3] for path in parts_of("out")][1:3] == [
        ["0000000005", "0000000009"],
        ["0000000010", "0000000014"],
    ]
    good, bad = rows[0], rows[7]
    assert (good["width"], good["height"], good["error"], good["error_kind"]) == (12, 9, None, None)
    assert len(good["labels"]) == len(good["scores"]) == len(good["class_ids"]) == 2
    assert (bad["labels"], bad["width"], bad["error_kind"]) == (None, None, "unreadable")
    assert bad["error"].startswith("many/07.png: not an image")
    assert "23 images in 5 parts in out, 1 could not be read (1 unreadable)" in err
    assert "1 file passed over (1 .txt), 1 folder not looked into" in err


def test_rows_say_what_classify_says(batch: Run, litevision: Run) -> None:
    batch("many")
    _, out, _ = litevision("classify", "many", "--model", "tiny.onnx", "--jsonl", "--engine", "onnxruntime")
    for row, line in zip(rows_of("out"), out.splitlines(), strict=True):
        plain = json.loads(line)
        named = [it["label"] for it in plain["predictions"]] if "predictions" in plain else None
        assert (row["path"], row["labels"], row["error"]) == (plain["path"], named, plain.get("error"))


def test_exit_codes(batch: Run) -> None:
    assert batch("many/00.png", "many/01.png", output="good")[0] == 0
    assert batch("many/00.png", "many/07.png", output="some")[0] == 3
    assert batch("many/07.png", output="none")[0] == 1
    assert batch("many/07.png", output="none")[0] == 1  # finished parts count, too
    assert batch("many", "--errors", "stop", output="stop")[::2] == (
        1,
        "error: many/07.png: not an image that can be read; expected JPEG, PNG, WebP, TIFF, AVIF or another image "
        "format.\n",
    )
    assert [row["index"] for row in rows_of("stop")] == list(range(5))


def test_finished_parts_are_not_computed_again(batch: Run) -> None:
    batch("many")
    before = contents_of("out")
    gone = parts_of("out")[2]
    gone.unlink()
    others = {path: path.stat().st_mtime_ns for path in parts_of("out")}
    code, _, err = batch("many")
    assert code == 3
    assert contents_of("out") == before
    assert {path: path.stat().st_mtime_ns for path in others} == others
    assert "5 images in" in err
    assert "23 images in 5 parts in out, 18 of them by earlier runs, 1 could not be read" in err


def test_shards_are_together_the_whole(batch: Run) -> None:
    batch("many")
    codes = [batch("many", "--shard", f"{number}/3", output="shards")[0] for number in (3, 1, 2)]
    assert codes == [0, 0, 3]  # the broken image is in the second
    assert contents_of("shards") == contents_of("out")
    assert batch("many", "--shard", "7/9", output="shards")[0] == 0  # nothing is left for it


class KilledError(BaseException):
    """Stands for a process that ends here and now."""


@pytest.mark.parametrize("seed", range(3))
def test_killed_and_resumed_no_row_is_lost_or_there_twice(
    batch: Run, monkeypatch: pytest.MonkeyPatch, seed: int
) -> None:
    from litevision.jobs import job

    batch("many")
    generator, write = np.random.default_rng(seed), job.write_part

    def killed_now_and_then(*arguments: Any) -> Path:
        if generator.random() < 0.3:
            raise KilledError
        path = write(*arguments)
        if generator.random() < 0.3:
            raise KilledError
        return path

    monkeypatch.setattr(job, "write_part", killed_now_and_then)
    for _ in range(50):
        try:
            code, _, _ = batch("many", output="killed")
            break
        except KilledError:
            pass
    assert code == 3
    assert contents_of("killed") == contents_of("out")


@pytest.mark.skipif(not hasattr(signal, "SIGKILL"), reason="this system has no SIGKILL")
def test_kill_9_leaves_whole_parts(batch: Run) -> None:
    Path("list.txt").write_text("".join(f"many/{number % 6:02}.png\n" for number in range(1000)))
    arguments = (
        "batch",
        "@list.txt",
        "--model",
        "tiny.onnx",
        "-o",
        "cut",
        "--rows",
        "20",
        "--format",
        "jsonl",
        "--engine",
        "onnxruntime",
    )
    process = subprocess.Popen([sys.executable, "-m", "litevision", *arguments], stderr=subprocess.DEVNULL)
    until = time.monotonic() + PATIENCE_S
    while process.poll() is None and len(parts_of("cut")) < 3 and time.monotonic() < until:
        time.sleep(0.01)
    process.kill()
    process.wait()
    there = len(parts_of("cut"))
    assert there >= 3
    code, _, err = batch("@list.txt", "--rows", "20", output="cut")
    assert code == 0
    assert f"1,000 images in 50 parts in cut, {20 * there:,} of them by earlier runs" in err
    assert [row["index"] for row in rows_of("cut")] == list(range(1000))
    assert [path for path in Path("cut").iterdir() if path.name.endswith(".part")] == []


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (("many", "--top", "2"), "another options"),
        (("many", "--recursive"), "another --recursive"),
        (("many", "--rows", "4"), "another --rows: 5, not 4"),
        (("many", "--batch", "2"), "another --batch"),
        (("many", "--ms"), "another --ms"),
        (("more",), "other inputs: many, not more"),
    ],
)
def test_another_job_in_the_folder_is_refused(batch: Run, arguments: tuple[str, ...], words: str) -> None:
    batch("many")
    before = contents_of("out")
    code, out, err = batch(*arguments)
    assert (code, out) == (1, "")
    assert err.startswith(f"error: out: holds a job with {words.replace('another options', 'other options')}")
    assert err.count("\n") == 1
    assert contents_of("out") == before


def test_another_model_in_the_folder_is_refused(batch: Run) -> None:
    batch("many")
    write_bundle(Path("other.onnx"), gain=5.0)
    code, _, err = batch("many", model="other.onnx")
    assert code == 1
    assert err.startswith("error: out: holds a job with another model: tiny.onnx (sha256 ")
    Path("copy.onnx").write_bytes(Path("tiny.onnx").read_bytes())
    assert batch("many", model="copy.onnx")[0] == 3


def test_another_engine_is_refused_and_auto_takes_that_of_the_job(batch: Run) -> None:
    batch("many", "--engine", "onnxruntime", "--rows", "23")
    record = json.loads(Path("out/_job.json").read_text())
    record["engine"] |= {"name": "openvino", "version": "openvino 1"}
    Path("out/_job.json").write_text(json.dumps(record))
    code, _, err = batch("many", "--engine", "onnxruntime", "--rows", "23")
    assert (code, err.count("\n")) == (1, 1)
    assert "begun with the engine openvino fp32" in err
    pytest.importorskip("openvino")
    code, _, err = batch("many", "--engine", "auto", "--rows", "23")
    assert code == 3
    assert "the job was begun with openvino 1, and this is openvino 20" in err


def test_inputs_that_have_changed_are_refused(batch: Run) -> None:
    batch("many")
    Path("many/00a.png").write_bytes(Path("red.png").read_bytes())
    assert "out: holds results of images 0 to 4 of other inputs; now there are others" in batch("many")[2]
    Path("many/00a.png").unlink()
    Path("many/22.png").unlink()
    assert "out: holds results of images 20 to 22 of other inputs; now there are" in batch("many")[2]
    Path("many/21.png").unlink()
    Path("many/20.png").unlink()
    assert "out: holds results of images 20 to 22 of other inputs; now there are 20" in batch("many")[2]


def test_a_list_of_paths_folders_and_nothing(batch: Run) -> None:
    Path("list.txt").write_bytes(b"\xef\xbb\xbfmany/01.png\r\n\r\nmore\nno.jpg\nempty")
    Path("empty").mkdir()
    code, _, err = batch("@list.txt")
    assert code == 3
    assert [(row["path"], row["error_kind"]) for row in rows_of("out")] == [
        ("many/01.png", None),
        ("more/blue.png", None),
        ("no.jpg", "missing"),
        ("empty", "other"),
    ]
    assert "(1 missing, 1 other)" in err


def test_a_list_with_nul_between_on_standard_input(batch: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    Path("many/odd\n.png").write_bytes(Path("red.png").read_bytes())
    Path("list").write_bytes(b"many/odd\n.png\0many/01.png\0")
    with Path("list").open() as file:
        monkeypatch.setattr(sys, "stdin", file)
        assert batch("-")[0] == 0
    assert [row["path"] for row in rows_of("out")] == ["many/odd\n.png", "many/01.png"]


def test_numbers_and_words_in_braces(batch: Run) -> None:
    assert batch("{many,more}", output="words")[0] == 3
    assert batch("many/{03..05}.png", output="numbers")[0] == 0
    assert [row["path"] for row in rows_of("numbers")] == ["many/03.png", "many/04.png", "many/05.png"]
    assert rows_of("words")[-1]["path"] == "more/blue.png"


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (("many", "--shard", "0/4"), "--shard 0/4: expected a shard"),
        (("many", "--shard", "5/4"), "--shard 5/4: expected a shard"),
        (("many", "--format", "csv"), "--format csv: expected parquet or jsonl"),
        (("many", "--errors", "ignore"), "--errors ignore: expected column or stop"),
        (("many", "--score", "0.5"), "--score is no option of tiny.onnx, which does classification"),
        (("nowhere",), "nowhere: No such file"),
        (("@nowhere",), "@nowhere: No such file"),
        (("many/{5..3}.png",), "many/{5..3}.png: the range {5..3}"),
        (("many/{0..99999999}.png",), "many/{0..99999999}.png: the range"),
    ],
)
def test_what_cannot_be_is_refused_in_a_line_and_leaves_nothing(
    batch: Run, arguments: tuple[str, ...], words: str
) -> None:
    code, _, err = batch(*arguments)
    assert code == 1
    assert err.startswith(f"error: {words}")
    assert err.count("\n") == 1
    assert not Path("out").exists()


def test_a_folder_of_others_is_refused(batch: Run) -> None:
    code, _, err = batch("many", output="more")
    assert (code, err) == (
        1,
        "error: more: a folder that holds blue.png and no job; expected a new or empty one. Give -o another.\n",
    )
    Path("out").mkdir()
    Path("out/_job.json").write_text("{}")
    assert "_job.json: no record of a job that this version takes up" in batch("many")[2]


def test_the_summary_as_json(batch: Run) -> None:
    code, out, _ = batch("many", "--json", "--shard", "1/2")
    assert code == 0
    assert json.loads(out) == {
        **{"output": "out", "shard": "1/2", "listed": 23, "images": 13, "earlier": 0, "parts": 3, "errors": {}},
        **{"passed_over": {".txt": 1, "folder": 1}, "engine": "onnxruntime", "precision": "fp32"},
    }


def test_milliseconds_are_asked_for(batch: Run) -> None:
    batch("many/00.png", "--ms")
    assert rows_of("out")[0]["ms"] > 0


def test_boxes_of_a_detector(batch: Run, many: Path) -> None:
    from detectors import write_detector

    write_detector(Path("boxes.onnx"))
    code, _, _ = batch("many/00.png", "--score", "0", model="boxes.onnx")
    assert code == 0
    (row,) = rows_of("out")
    assert len(row["boxes_xyxy"]) == len(row["labels"]) == len(row["scores"])
    assert "confidence" not in row
