"""litevision classify: however it ends, what it wrote is whole."""

import csv
import fcntl
import json
import os
import pty
import select
import signal
import subprocess
import sys
import termios
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

import pytest

from litevision.cli.export import ExportOptions
from litevision.files import atomic_write, folder_beside

Start = Callable[..., Any]

PATIENCE_S = 300  # so long that a busy machine is no reason to fail


@contextmanager
def endless_list(process: Any) -> Iterator[None]:
    """Feeds paths to the process until it ends."""

    def feed() -> None:
        with suppress(BrokenPipeError):
            while True:
                os.write(process.stdin.fileno(), b"red.png\nmore/blue.png\n" * 50)

    feeder = threading.Thread(target=feed)
    feeder.start()
    try:
        yield
    finally:
        process.kill()
        feeder.join()
        process.communicate()


def stop(process: Any, signum: int) -> tuple[str, str]:
    """Sends the signal once some answers were written; all that was written."""
    lines = [process.stdout.readline() for _ in range(20)]
    process.send_signal(signum)
    rest, err = process.stdout.read(), process.stderr.read()
    process.wait(PATIENCE_S)
    return "".join(lines) + rest, err


@pytest.mark.parametrize(
    ("signum", "name", "code", "form"),
    [
        (signal.SIGINT, "SIGINT", 130, "--json"),
        (signal.SIGTERM, "SIGTERM", 143, "--jsonl"),
        (signal.SIGHUP, "SIGHUP", 129, "--json"),
    ],
)
def test_a_signal_ends_it_with_whole_output(
    classify_beside: Start, signum: int, name: str, code: int, form: str
) -> None:
    process = classify_beside("-", form, "--csv", "out.csv")
    with endless_list(process):
        out, err = stop(process, signum)
        assert process.returncode == code
    results = json.loads(out)["results"] if form == "--json" else [json.loads(line) for line in out.splitlines()]
    labels = [result["predictions"][0]["label"] for result in results]
    assert len(labels) >= 19
    assert labels == [("red", "blue")[index % 2] for index in range(len(labels))]
    with Path("out.csv").open(newline="") as file:
        rows = [row for row in csv.DictReader(file) if row["rank"] == "1"]
    assert [row["label"] for row in rows] == labels
    assert all(float(row["ms"]) > 0 for row in rows)
    assert err.startswith(f"stopped by {name}: {len(labels):,} images in ")
    assert err.endswith(f"\nwrote out.csv: {len(labels):,} images, as far as it came\n")
    assert not list(Path().glob(".out.csv*"))


def test_a_signal_while_nothing_comes(classify_beside: Start) -> None:
    """The process waits for a line, with an answered one behind it."""
    with classify_beside("-", "--jsonl") as process:
        process.stdin.write("red.png\n")
        process.stdin.flush()
        assert json.loads(process.stdout.readline())["path"] == "red.png"
        process.send_signal(signal.SIGINT)
        assert process.wait(PATIENCE_S) == 130
        assert process.stderr.read().startswith("stopped by SIGINT: 1 image in")


def test_a_signal_before_the_first_answer_leaves_the_old_csv(classify_beside: Start) -> None:
    before = "path,rank,index,label,score,ms\nold.png,1,0,red,0.9,1.0\n"
    Path("out.csv").write_text(before)
    with classify_beside("-", "--csv", "out.csv", "--jsonl") as process:
        while process.poll() is None and not process_waits(process.pid):
            time.sleep(0.05)
        process.send_signal(signal.SIGTERM)
        assert process.wait(PATIENCE_S) == 143
        assert process.stderr.read() == "stopped by SIGTERM before the first result\n"
        assert process.stdout.read() == ""
    assert Path("out.csv").read_text() == before
    assert not list(Path().glob(".out.csv*"))


def process_waits(pid: int) -> bool:
    """Whether the process waits in poll, which it does for standard input alone."""
    return "poll" in Path(f"/proc/{pid}/wchan").read_text()


def test_an_ignored_signal_stays_ignored(classify_beside: Start) -> None:
    """As for what nohup, or a script in the background, has started."""
    ignored = {"preexec_fn": lambda: signal.signal(signal.SIGINT, signal.SIG_IGN)}
    with classify_beside("-", "--jsonl", **ignored) as process:
        for _ in range(2):
            process.stdin.write("red.png\n")
            process.stdin.flush()
            assert json.loads(process.stdout.readline())["path"] == "red.png"
            process.send_signal(signal.SIGINT)
        process.stdin.close()
        assert process.wait(PATIENCE_S) == 0


@pytest.mark.parametrize("shown", [(), ("--jsonl",)], ids=["progress", "results"])
def test_a_closed_terminal_ends_it_with_what_there_is(folder: Path, shown: tuple[str, ...]) -> None:
    more = [f"more/{number}.png" for number in range(20_000)]
    for name in more:
        os.link("red.png", name)
    terminal, inside = pty.openpty()
    command = [sys.executable, "-m", "litevision", "classify", "more", "--csv", "out.csv", *shown]
    options: dict[str, Any] = dict.fromkeys(("stdin", "stdout", "stderr"), inside)
    options |= {"start_new_session": True, "preexec_fn": lambda: fcntl.ioctl(0, termios.TIOCSCTTY, 0)}
    command += ["--model", "tiny.onnx", "--engine", "onnxruntime", "--workers", "1"]
    process = subprocess.Popen(command, **options)
    os.close(inside)
    while not any(it.stat().st_size > 1000 for it in Path().glob(".out.csv.*.part")):
        if select.select([terminal], [], [], 0.1)[0]:
            os.read(terminal, 65536)
    os.close(terminal)
    assert process.wait(PATIENCE_S) == 129
    with Path("out.csv").open(newline="") as file:
        rows = list(csv.DictReader(file))
    assert 0 < len(rows) < 3 * 20_000
    assert len(rows) % 3 == 0
    assert not list(Path().glob(".out.csv*"))


def leave_half(options: ExportOptions) -> int:
    with folder_beside(Path("model.onnx")) as folder, atomic_write(folder / "x") as partial:
        partial.write_text("half")
        signal.raise_signal(LEFT_BY[0])
    return 0


LEFT_BY: list[int] = []


@pytest.mark.parametrize(("signum", "code"), [(signal.SIGTERM, 143), (signal.SIGHUP, 129)])
def test_every_command_ends_without_leaving_files_under_way(
    folder: Path, litevision: Start, monkeypatch: pytest.MonkeyPatch, signum: int, code: int
) -> None:
    before, LEFT_BY[:] = sorted(folder.rglob("*")), [signum]
    monkeypatch.setattr("litevision.cli.export.run", leave_half)
    assert litevision("export", "weights.pth", "-o", "model.onnx") == (code, "", "")
    assert sorted(folder.rglob("*")) == before
    assert signal.getsignal(signum) == signal.SIG_DFL


def test_nobody_reads_any_more(classify_beside: Start) -> None:
    process = classify_beside("-", "--jsonl", "--csv", "out.csv")
    with endless_list(process):
        json.loads(process.stdout.readline())
        process.stdout.close()
        assert process.wait(PATIENCE_S) == 1
        assert process.stderr.read() == ""
    lines = Path("out.csv").read_text().splitlines()
    assert (len(lines) > 1, (len(lines) - 1) % 3) == (True, 0)


def test_head(folder: Path) -> None:
    command = f"{sys.executable} -m litevision classify - --model tiny.onnx --engine onnxruntime --top 1"
    done = subprocess.run(
        f"yes red.png | {command} | head -n 3",
        shell=True,
        capture_output=True,
        text=True,
        check=True,
        timeout=PATIENCE_S,
    )
    assert done.stdout.splitlines() == ["path  rank  label   score", *["red.png     1  red    0.9999"] * 2]
    assert done.stderr == ""


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="needs /dev/full")
@pytest.mark.parametrize("form", ["--json", "--jsonl", "--top=1"])
def test_a_full_disk_is_one_line(classify_beside: Start, form: str) -> None:
    with Path("/dev/full").open("w") as full:
        process = classify_beside("red.png", "more", form, stdout=full)
        _, err = process.communicate()
    assert process.returncode == 1
    assert err == "error: the results cannot be written (No space left on device). Write them somewhere else.\n"


@pytest.mark.parametrize(
    ("closed", "code", "out", "err"),
    [
        (">&-", 1, 0, "error: standard output is closed. Give --csv a file.\n"),
        (">&- --csv out.csv", 0, 0, "wrote out.csv: 3 images\n"),
        ("2>&-", 0, 9, ""),
        ("- <&-", 1, 9, "error: standard input is closed; expected paths on it, one a line.\n"),
    ],
)
def test_closed_streams(folder: Path, closed: str, code: int, out: int, err: str) -> None:
    command = (
        f"{sys.executable} -m litevision classify red.png more red.png --model tiny.onnx --engine onnxruntime {closed}"
    )
    done = subprocess.run(command, shell=True, capture_output=True, text=True, check=False)
    assert (done.returncode, done.stdout.count("0.9999") * 3, err in done.stderr) == (code, out, True)
    assert "Traceback" not in done.stderr


def test_lines_come_whole_while_it_runs(classify_beside: Start) -> None:
    """What a reader finds in the pipe at any moment ends with a line's end."""
    process = classify_beside("-", "--jsonl")
    with endless_list(process):
        for _ in range(30):
            block = os.read(process.stdout.fileno(), 1 << 20)
            assert block.endswith(b"\n") or len(block) % 4096 == 0
