"""litevision classify: which files of folders it takes, and that it says which it did not."""

import json
import os
import re
import signal
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from clips import write_clip

Run = Callable[..., tuple[int, str, str]]
Start = Callable[..., Any]

PATIENCE_S = 120  # so long that a busy machine is no reason to fail
ORT = ("--engine", "onnxruntime")


@pytest.fixture
def mixed(folder: Path) -> Path:
    """A folder of images under many suffixes, and of other things."""
    Path("mix/deep").mkdir(parents=True)
    for name in ("a.jpg", "b.JFIF", "c.jpe", "deep/d.png"):
        Path("mix", name).write_bytes(Path("red.png").read_bytes())
    for name in ("x.txt", "y.txt", "z.xmp", "README", ".hidden", "Thumbs.db"):
        Path("mix", name).touch()
    write_clip(Path("mix/clip.mp4"), [np.full((48, 64, 3), (255, 0, 0), np.uint8)] * 12, rate=10)
    return folder


COUNTS = {".txt": 2, ".xmp": 1, "no suffix": 1, ".mp4": 1, "folder": 1}
WORDS = "5 files passed over (2 .txt, 1 "


@pytest.mark.parametrize("form", [(), ("--json",), ("--jsonl",), ("--csv", "-"), ("--csv", "out.csv")])
def test_what_a_folder_holds_beside_images_is_said(mixed: Path, classify: Run, form: tuple[str, ...]) -> None:
    code, out, err = classify("mix", *form, *ORT)
    assert code == 0
    (line,) = (line for line in err.splitlines() if "images in" in line)
    assert line.startswith("3 images in ")
    assert WORDS in line
    assert line.endswith(", 1 folder not looked into; --recursive and --videos would take more")
    if form == ("--json",):
        answer = json.loads(out)
        assert answer["passed_over"] == COUNTS
        assert len(answer["results"]) == 3


def test_one_image_beside_others_has_the_line_too(mixed: Path, classify: Run) -> None:
    for name in ("b.JFIF", "c.jpe"):
        Path("mix", name).unlink()
    _, _, err = classify("mix")
    assert err.startswith("1 image in ")
    assert WORDS in err


def test_options_take_what_was_passed_over(mixed: Path, classify: Run) -> None:
    code, out, err = classify("mix", "--recursive", "--videos", "--jsonl", *ORT)
    paths = [json.loads(line)["path"] for line in out.splitlines()]
    clip = [f"mix/clip.mp4#t={second}.000" for second in (0, 1)]
    assert (code, paths) == (0, ["mix/a.jpg", "mix/b.JFIF", "mix/c.jpe", *clip, "mix/deep/d.png"])
    assert "4 files passed over (2 .txt" in err
    assert "would take more" not in err


def test_several_folders_are_counted_together(mixed: Path, classify: Run) -> None:
    assert "10 files passed over (4 .txt" in classify("mix", "mix", *ORT)[2]


def test_a_folder_of_a_list_is_counted_too(mixed: Path, classify_beside: Start) -> None:
    _, err = classify_beside("-", "--jsonl").communicate("mix\n")
    assert WORDS in err


def test_a_folder_of_a_single_damaged_image_and_others(mixed: Path, classify: Run) -> None:
    Path("only").mkdir()
    Path("only/a.jpg").write_bytes(b"oops")
    Path("only/a.txt").touch()
    code, _, err = classify("only")
    assert code == 1
    assert "only/a.jpg: not an image" in err
    assert "1 file passed over (1 .txt)" in err


@pytest.mark.parametrize("given", [[f"bad/{number}.jpg" for number in range(5)], ["bad"]])
def test_where_nothing_can_be_read_there_is_no_header_and_no_rate(mixed: Path, classify: Run, given: list[str]) -> None:
    Path("bad").mkdir()
    for number in range(5):
        Path(f"bad/{number}.jpg").write_bytes(b"oops")
    code, out, err = classify(*given, *ORT)
    assert (code, out, err.count("error: ")) == (1, "", 5)
    assert re.search(r"^5 images in \d+\.\d s, 5 could not be read", err, re.MULTILINE)


def test_a_folder_that_cannot_be_read_costs_the_exit_code(
    mixed: Path, classify: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    real = os.scandir

    def scandir(path: str) -> Any:
        if Path(path).name == "deep":
            raise PermissionError(13, "Permission denied", path)
        return real(path)

    monkeypatch.setattr("litevision.image.found.os.scandir", scandir)
    code, out, err = classify("mix", "--recursive", "--jsonl", *ORT)
    *good, bad = map(json.loads, out.splitlines())
    message = "mix/deep: the folder cannot be read (Permission denied). Check who may read it."
    assert (code, len(good), bad["path"], bad["error"]) == (1, 3, "mix/deep", message)
    assert f"error: {message}\n" in err
    code, _, err = classify("mix/deep")
    assert (code, err) == (1, f"error: {message}\n")


def test_a_folder_of_more_than_the_first_listing(mixed: Path, classify: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    """What is not listed before the first image is found while it goes on: nothing twice, nothing left out."""
    _, all_at_once, _ = classify("mix", "more", "red.png", "--recursive", "--top=1", *ORT)
    monkeypatch.setattr("litevision.cli.inputs._LISTED", 4)
    code, out, err = classify("mix", "more", "red.png", "--recursive", "--top=1", *ORT)
    assert (code, [line.split() for line in out.splitlines()]) == (
        0,
        [line.split() for line in all_at_once.splitlines()],
    )
    assert "5 files passed over" in err


@pytest.mark.parametrize("given", ["pipes", "pipes/*.png", "pipes/**/*"])
def test_a_pipe_in_a_folder_is_no_reason_to_wait(folder: Path, classify_beside: Start, given: str) -> None:
    Path("pipes").mkdir()
    for number in range(5):
        Path(f"pipes/{number}.png").write_bytes(Path("red.png").read_bytes())
    os.mkfifo("pipes/3.5.png")
    with classify_beside(given, "--jsonl") as process:
        out, err = process.communicate(timeout=PATIENCE_S)
    assert (process.returncode, len(out.splitlines())) == (0, 5)
    assert "1 file passed over (1 pipe or device)" in err


@pytest.mark.parametrize(("signum", "code"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)])
def test_the_first_signal_ends_what_waits_for_a_pipe(
    folder: Path, classify_beside: Start, signum: signal.Signals, code: int
) -> None:
    """A pipe that is named is read, and nobody writes into it: the reader of a worker waits."""
    os.mkfifo("pipe.png")
    with classify_beside(*["red.png"] * 6, "pipe.png", "red.png", "--jsonl", "--workers", "2") as process:
        lines = [json.loads(process.stdout.readline()) for _ in range(4)]
        assert {line["path"] for line in lines} == {"red.png"}
        process.send_signal(signum)
        out, err = process.communicate(timeout=PATIENCE_S)
    assert process.returncode == code
    assert all(json.loads(line)["path"] == "red.png" for line in out.splitlines())
    assert f"stopped by {signum.name}: " in err


@pytest.mark.parametrize("name", ["pipe.png", "pipe.mp4"])
def test_the_first_signal_ends_what_waits_for_a_pipe_before_anything_else(
    folder: Path, classify_beside: Start, name: str
) -> None:
    """Read by the process itself, by Python or by FFmpeg, which passes over what interrupts it."""
    os.mkfifo(name)
    with classify_beside(name, "red.png", "--jsonl") as process:
        while process.poll() is None and not waits_for_pipe(process.pid):
            time.sleep(0.05)
        process.send_signal(signal.SIGTERM)
        out, err = process.communicate(timeout=PATIENCE_S)
    assert (process.returncode, out) == (143, "")
    assert err == "stopped by SIGTERM before the first result\n"


def waits_for_pipe(pid: int) -> bool:
    """Whether the process waits for somebody who opens the other end of a pipe."""
    return Path(f"/proc/{pid}/wchan").read_text() in ("wait_for_partner", "fifo_open")
