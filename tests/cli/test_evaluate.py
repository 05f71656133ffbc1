"""litevision evaluate: its table, its files, and how it refuses."""

import csv
import errno
import hashlib
import json
import os
import re
import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

import litevision as lv
from bundles import write_bundle
from exports import export
from images import encoded
from networks import short

Run = Callable[..., tuple[int, str, str]]

COLOURS = {"red": (255, 0, 0), "green": (0, 255, 0), "blue": (0, 0, 255)}
SEEN = {  # class: the colours of its images in the test split
    "blue": ["blue"] * 2,
    "green": ["green", "green", "red"],
    "red": ["red"] * 4 + ["blue"],
}


@pytest.fixture
def data(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The working folder has a bundle and ``data``: ten test images, two of them mislabelled, and train ones."""
    monkeypatch.chdir(tmp_path)
    write_bundle(Path("tiny.onnx"))
    for name, colours in SEEN.items():
        for number, colour in enumerate(colours):
            put(f"data/test/{name}/{number}.png", colour)
        for number in range(4):
            put(f"data/train/{name}/{number}.png", name)
            put(f"data/validation/{name}/{number}.png", name)
    return tmp_path / "data"


def put(path: str, colour: str) -> None:
    Path(path).parent.mkdir(parents=True, exist_ok=True)
    Path(path).write_bytes(encoded(np.full((9, 12, 3), COLOURS[colour], np.uint8)))


@pytest.fixture
def evaluate(data: Path, litevision: Run) -> Run:
    return lambda *options, bundle="tiny.onnx", data="data": litevision("evaluate", bundle, data, *options)


def test_table(evaluate: Run) -> None:
    code, out, err = evaluate()
    assert code == 0
    assert out == (
        "bundle  tiny.onnx\n"
        "data    data\n"
        "split   test: 10 images\n"
        "\n"
        "top-1              80.00 %, 95 % interval 49.02 to 94.33 %\n"
        "macro F1           0.8000\n"
        "balanced accuracy  0.8222\n"
        "ECE (calibration)  0.1999\n"
        "mean loss          2.0001\n"
        "\n"
        "class  count  precision  recall      F1\n"
        "red        5     0.8000  0.8000  0.8000\n"
        "green      3     1.0000  0.6667  0.8000\n"
        "blue       2     0.6667  1.0000  0.8000\n"
        "\n"
        "most frequent mistakes\n"
        "red taken for blue: 1\n"
        "green taken for red: 1\n"
    )
    assert re.fullmatch(r"10 images in \d+\.\d s, [\d,.]+ a second, no errors, onnxruntime fp32\n", err)


def test_json_is_one_document(evaluate: Run) -> None:
    code, out, _ = evaluate("--json", "-")
    found = json.loads(out)
    assert (code, out.count("\n"), list(found)) == (0, 1, ["bundle", "data", "split", "scores"])
    sha256 = hashlib.sha256(Path("tiny.onnx").read_bytes()).hexdigest()
    assert found["bundle"] == {"path": "tiny.onnx", "sha256": sha256, "engine": "onnxruntime fp32"}
    assert found["data"] == {
        "path": "data",
        "classes": ["blue", "green", "red"],
        "made_splits": False,
        "skipped": [],
        "labels_left_out": [],
    }
    assert (found["split"], found["scores"]["count"], found["scores"]["top1"]) == ("test", 10, 80)
    assert found["scores"]["top5"] is None
    assert found["scores"]["confusion"] == [[4, 0, 1], [1, 2, 0], [0, 0, 2]]
    assert [row["name"] for row in found["scores"]["per_class"]] == ["red", "green", "blue"]


def test_files(evaluate: Run) -> None:
    plain = evaluate()[1]
    code, out, err = evaluate("--json", "out.json", "--csv", "out.csv", "--predictions", "answers.csv")
    assert (code, out) == (0, plain)
    assert err.splitlines()[1:] == [
        "wrote out.json",
        "wrote out.csv: 3 classes",
        "wrote answers.csv: 10 images",
    ]
    assert json.loads(Path("out.json").read_text())["scores"]["count"] == 10
    assert Path("out.csv").read_text() == (
        "class,count,precision,recall,f1\n"
        "red,5,0.8,0.8,0.8\n"
        "green,3,1.0,0.6666666666666666,0.8\n"
        "blue,2,0.6666666666666666,1.0,0.8\n"
    )
    with Path("answers.csv").open(newline="") as file:
        rows = list(csv.DictReader(file))
    assert list(rows[0]) == ["path", "label", "predicted", "score", "correct"]
    assert {row["path"]: row["predicted"] for row in rows if row["correct"] == "False"} == {
        "data/test/green/2.png": "red",
        "data/test/red/4.png": "blue",
    }
    assert {row["label"] for row in rows} == set(COLOURS)
    assert all(float(row["score"]) == pytest.approx(0.99991, abs=1e-5) for row in rows)
    assert [path.name for path in Path().iterdir() if path.name.startswith(".")] == []


@pytest.mark.parametrize(("split", "count"), [("validation", 12), ("train", 12), ("all", 34)])
def test_other_splits(evaluate: Run, split: str, count: int) -> None:
    _, out, _ = evaluate("--split", split)
    assert f"split   {split}: {count} images\n" in out


def test_a_split_that_was_made_here_says_so(evaluate: Run) -> None:
    _, out, _ = evaluate("--json", "-", data="data/train")
    assert json.loads(out)["data"]["made_splits"] is True
    note = "        litevision made the splits that the data lacks; --split all takes every image\n"
    _, out, _ = evaluate("--split", "train", data="data/train")
    assert re.search(rf"^split   train: \d+ images\n{note}\n", out, re.MULTILINE)
    _, out, _ = evaluate("--split", "all", data="data/train")
    assert "split   all: 12 images\n\n" in out


def test_a_bad_image_is_named_and_left_out(evaluate: Run) -> None:
    Path("data/test/red/bad.jpg").write_bytes(b"oops")
    code, out, err = evaluate("--json", "out.json")
    assert code == 1
    assert "split   test: 10 images, 1 left out that could not be read\n" in out
    assert err.startswith("error: data/test/red/bad.jpg: not an image that can be read")
    assert "11 images in " in err
    assert "1 could not be read" in err
    (skipped,) = json.loads(Path("out.json").read_text())["data"]["skipped"]
    assert skipped["path"] == "data/test/red/bad.jpg"
    assert skipped["detail"].startswith("data/test/red/bad.jpg: not an image")


def test_bad_images_alone_give_no_scores(evaluate: Run) -> None:
    for path in Path("data/test").rglob("*.png"):
        path.write_bytes(b"oops")
    code, out, err = evaluate()
    assert (code, out) == (1, "")
    *bad, conclusion, last = err.splitlines()
    assert len(bad) == 10
    assert "10 could not be read" in conclusion
    assert last.startswith("error: no image of the split 'test' can be scored; expected at least one (data/test/")


def test_top5_and_labels_without_images(evaluate: Run) -> None:
    write_bundle(Path("more.onnx"), labels=("red", "green", "blue", *(f"label {number}" for number in range(9))))
    _, out, _ = evaluate(bundle="more.onnx")
    assert "\ntop-5              100.00 %\n" in out
    assert (
        "\nlabels  9 of the bundle's 12 have no images here: label 0, label 1, label 2, label 3, label 4, ...\n" in out
    )
    assert [line.split()[0] for line in out.split("\n\n")[2].splitlines()] == ["class", "red", "green", "blue"]


def test_a_class_that_no_image_is_taken_for_has_no_precision(evaluate: Run) -> None:
    put("data/test/green/0.png", "blue")
    put("data/test/green/1.png", "blue")
    _, out, _ = evaluate("--csv", "out.csv")
    assert "green      3          -  0.0000  0.0000\n" in out
    assert "green taken for blue: 2\n" in out
    assert "\ngreen,3,,0.0,0.0\n" in Path("out.csv").read_text()


def test_classes_that_the_bundle_does_not_know_are_one_line(evaluate: Run) -> None:
    Path("data/test/red").rename("data/test/Redd")
    Path("data/train/red").rename("data/train/Redd")
    Path("data/validation/red").rename("data/validation/Redd")
    code, out, err = evaluate()
    assert (code, out) == (1, "")
    assert err == (
        "error: the bundle does not know 1 of the data's 3 classes: 'Redd' (nearest: 'red'). It has 3 labels: red, "
        "green, blue. Rename the classes to its labels, or take a bundle made for them.\n"
    )


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (("--split", "tset"), "no split 'tset'. Did you mean 'test'?"),
        (
            ("--engine", "tflite"),
            "no engine 'tflite'. Did you mean 'litert'?",
        ),
        (("--csv", "none/out.csv"), "--csv none/out.csv: not a file that can be written."),
        (("--json", "none/out.json"), "--json none/out.json: not a file that can be written."),
        (("--predictions", "data"), "--predictions data: not a file that can be written."),
    ],
)
def test_wrong_options_are_one_line(evaluate: Run, options: tuple[str, ...], message: str) -> None:
    code, out, err = evaluate(*options)
    assert (code, out) == (1, "")
    assert err.startswith(f"error: {message}")
    assert err.count("\n") == 1


@pytest.mark.parametrize(
    ("wrong", "message"),
    [({"bundle": "none.onnx"}, "error: none.onnx: no such bundle."), ({"data": "none"}, "error: none: ")],
)
def test_wrong_paths_are_one_line(evaluate: Run, wrong: dict[str, str], message: str) -> None:
    code, out, err = evaluate(**wrong)
    assert (code, out) == (1, "")
    assert err.startswith(message)
    assert err.count("\n") == 1


STOPPED = """
import itertools, os, sys, threading, time
import litevision.runtime.cpus
from litevision.cli import main, signals as handlers
from litevision.runtime.predictor import Inference

litevision.runtime.cpus.available_cpus = lambda: 1
handlers._GRACE_S = 1e9  # however long a busy machine takes from one signal to the next
signals = [SIGNUM, SIGNUM]  # as timeout(1) sends it: to the process and to its group
calls, run = itertools.count(), Inference.run

def stopping(*arguments):
    while next(calls) and signals:  # not in the first, at which the thread is hardly there
        os.kill(os.getpid(), signals.pop())
        time.sleep(0.02)
    return run(*arguments)

Inference.run = stopping
sys.argv = ["litevision", "evaluate", "tiny.onnx", "data", "--json", "out.json"]
try:
    main()
finally:
    print([it.name for it in threading.enumerate() if it.name.startswith("litevision")])
"""


@pytest.mark.parametrize("signum", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
def test_a_signal_ends_it_in_order(data: Path, signum: int) -> None:
    """In a process of its own: one that is stopped in another way would take all the tests with it."""
    program = STOPPED.replace("SIGNUM", str(int(signum)))
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=False, timeout=300)
    assert (done.returncode, done.stdout) == (128 + signum, "[]\n"), done.stderr
    assert re.fullmatch(
        rf"stopped by {signal.Signals(signum).name}: \d+ images? in .*; part of the images gives no scores\n",
        done.stderr,
    )
    assert not (data.parent / "out.json").exists()


def test_the_bar_on_a_terminal_says_what_is_done(evaluate: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("sys.stderr.isatty", lambda: True)
    code, _, err = evaluate()
    assert code == 0
    assert re.search(r"^\W*evaluate\b", re.sub(r"\x1b\[[0-9;?]*[A-Za-z]", "", err))


def test_a_full_disk_is_one_line_after_the_table(evaluate: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(*_: object, **__: object) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr("litevision.files.write_csv", full)
    code, out, err = evaluate("--csv", "out.csv")
    assert (code, out[:6]) == (1, "bundle")
    assert err.splitlines()[-1] == (
        "error: the scores cannot be written (No space left on device). Write them somewhere else."
    )
    assert not Path("out.csv").exists()


def test_other_sizes_stand_beside_the_models_own(evaluate: Run) -> None:
    labels = ("red", "green", "blue", *map(str, range(7)))
    export(short("mobilenet_v1", "timm"), Path("short.onnx"), labels=labels)
    export(short("mobilenet_v1", "timm"), Path("large.onnx"), (96, 64), labels=labels)
    code, out, _ = evaluate("--size", "96x64", "--json", "s.json", bundle="short.onnx")
    assert code == 0
    assert re.search(r"\n64x64 .* M +[\d.]+ *\n96x64 .* [+-]\d+\.\d\d .* 1\.50x +[\d.]+ +[\d.]+x\n$", out)
    document = json.loads(Path("s.json").read_text())
    own, large = document["sizes"]
    assert (own["size"], large["size"]) == ([64, 64], [96, 64])
    assert own["top1"] == document["scores"]["top1"]
    assert large["top1"] == pytest.approx(own["top1"] + large["gain"])
    assert large["top1"] == json.loads(evaluate("--json", "-", bundle="large.onnx")[1])["scores"]["top1"]
    assert large["top1"] == lv.evaluate("short.onnx", "data", size=(96, 64)).top1
    assert large["macs"] == pytest.approx(1.5 * own["macs"], rel=1e-3)
    code, _, err = evaluate("--size", "0", bundle="short.onnx")
    assert (code, err) == (1, "error: a size is one side in pixels or HxW, such as 224 or 192x256, got '0'\n")
