"""litevision classify: its answers, its faults, its files."""

import csv
import itertools
import json
import os
import pty
import re
import subprocess
import sys
import threading
import types
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from bundles import plain_metadata, write_bundle
from images import encoded
from litevision.cli.progress import ImageProgress
from litevision.errors import BundleError, DownloadError
from litevision.runtime import Classifier
from litevision.runtime.results import Result

Run = Callable[..., tuple[int, str, str]]
Start = Callable[..., "subprocess.Popen[str]"]

MANY = [("red.png", "more/blue.png")[number % 3 == 0] for number in range(40)]
COLOURS = ["blue" if path.endswith("blue.png") else "red" for path in MANY]
ORT = ("--engine", "onnxruntime")
NO_IMAGE = "not an image that can be read; expected JPEG, PNG, WebP, TIFF, AVIF or another image format."


def conclusion(images: str, errors: str = "no errors", engine: str = ", onnxruntime fp32") -> str:
    """The closing line, as a pattern."""
    return rf"{images} images in \d+\.\d s, [\d,.]+ a second, {errors}{engine}\n"


def test_table(classify: Run) -> None:
    code, out, err = classify("red.png", "more", "--top", "2")
    assert (code, out) == (
        0,
        "path           rank  label   score\n"
        "red.png           1  red    0.9999\n"
        "red.png           2  green  0.0000\n"
        "more/blue.png     1  blue   0.9999\n"
        "more/blue.png     2  red    0.0000\n",
    )
    assert re.fullmatch(conclusion("2")[:-2] + ", 1 folder not looked into; --recursive would take more\n", err)


def test_an_answer_without_confidence_says_unsure(folder: Path, classify: Run) -> None:
    about = {**plain_metadata(), "calibration": {"temperature": 0.5, "unsure_below": 0.9, "fitted_on": "nothing"}}
    write_bundle(Path("tiny.onnx"), metadata=about)
    Path("grey.png").write_bytes(encoded(np.full((9, 12, 3), (128, 128, 0), np.uint8)))
    _, out, _ = classify("red.png", "grey.png", "--top", "2")
    assert out == (
        "path      rank  label   score\n"
        "red.png      1  red    0.9999\n"
        "red.png      2  green  0.0000\n"
        "grey.png     1  red    0.4984  unsure\n"
        "grey.png     2  green  0.4984\n"
    )
    sure, unsure = json.loads(classify("red.png", "grey.png", "--json")[1])["results"]
    assert (sure["unsure"], unsure["unsure"]) == (False, True)
    assert unsure["confidence"] == pytest.approx(0.5, abs=1e-4)  # two classes are as likely, the third is not
    _, rows, _ = classify("grey.png", "--top", "1", "--csv", "-")
    assert [row["unsure"] for row in csv.DictReader(rows.splitlines())] == ["unsure"]


def test_a_model_that_was_not_named_says_which_it_is(folder: Path, litevision: Run) -> None:
    said = "model: imagenet-1k (mobilenet_v2, 1,000 classes; it comes with litevision); --model takes others\n"
    _, out, err = litevision("classify", "red.png", "--top", "1")
    assert (out.count("\n"), err) == (2, said)
    document = json.loads(litevision("classify", "red.png", "--json")[1])
    assert (document["model"], document["bundle"]["classes"]) == ("imagenet-1k", 1000)
    line = json.loads(litevision("classify", "red.png", "--jsonl")[1])
    assert (line["model"], line["bundle"]["classes"]) == ("imagenet-1k", 1000)


def test_one_image_needs_no_closing_line(classify: Run) -> None:
    code, out, err = classify("red.png")
    assert (code, out.count("\n"), err) == (0, 4, "")


def test_a_table_of_many_is_as_aligned_as_one_of_few(classify: Run) -> None:
    code, out, err = classify(*MANY, "--top", "1", *ORT)
    assert code == 0
    assert out.splitlines()[:3] == [
        "path           rank  label   score",
        "more/blue.png     1  blue   0.9999",
        "red.png           1  red    0.9999",
    ]
    assert [line.split()[2] for line in out.splitlines()[1:]] == COLOURS
    assert re.fullmatch(conclusion("40"), err)


def test_recursive(classify: Run) -> None:
    _, out, _ = classify("more", "--recursive", "--top", "1")
    assert [line.split()[0] for line in out.splitlines()] == ["path", "more/blue.png", "more/deep/red.png"]


def test_json_is_one_document_with_errors_in_place(classify: Run) -> None:
    code, out, err = classify("bad.jpg", "red.png", "none.png", "--json", "--top", "1")
    answer = json.loads(out)
    assert code == 1
    assert answer["model"] == "tiny.onnx"
    bad, good, missing = answer["results"]
    assert bad["path"] == "bad.jpg"
    assert bad["error"].startswith("bad.jpg: not an image")
    assert good.pop("ms") > 0
    best = {"label": "red", "score": pytest.approx(0.9999092), "index": 0}
    assert good == {"path": "red.png", "predictions": [best], "image_hw": [9, 12]}
    assert missing["error"].startswith("none.png: No such file")
    bad_line, missing_line, last_line = err.splitlines(keepends=True)
    assert (bad_line[:16], missing_line[:16]) == ("error: bad.jpg: ", "error: none.png:")
    assert re.fullmatch(conclusion("3", "2 could not be read"), last_line)


def test_json_of_one_image_is_one_line(classify: Run) -> None:
    _, out, _ = classify("red.png", "--json", "--top", "1")
    assert re.fullmatch(
        r'\{"model": "tiny\.onnx", "litevision": "[\w.+]+", "bundle": \{"sha256": "[0-9a-f]{64}", '
        r'"classes": 3, "engine": "onnxruntime", "precision": "fp32", "device": "cpu"\}, '
        r'"results": \[\{"path": "red\.png", "predictions": '
        r'\[\{"label": "red", "score": 0\.99\d+, "index": 0\}\], "image_hw": \[9, 12\], "ms": [\d.]+\}\], '
        r'"passed_over": \{\}\}\n',
        out,
    )


def test_json_of_many_is_one_document(classify: Run) -> None:
    _, out, _ = classify(*MANY, "--json", *ORT)
    results = json.loads(out)["results"]
    assert [result["path"] for result in results] == MANY
    assert [result["predictions"][0]["label"] for result in results] == COLOURS


def test_json_lines(classify: Run) -> None:
    code, out, _ = classify(*MANY, "bad.jpg", "--jsonl", "--top", "2", "--workers", "3", "--batch", "5", *ORT)
    *lines, last = map(json.loads, out.splitlines())
    assert code == 1
    assert [line["path"] for line in lines] == MANY
    assert [line["predictions"][0]["label"] for line in lines] == COLOURS
    assert {len(line["predictions"]) for line in lines} == {2}
    assert all(line["ms"] > 0 for line in lines)
    assert (last["path"], last["error"]) == ("bad.jpg", f"bad.jpg: {NO_IMAGE}")
    # Each line says what made it, as the one document does at its beginning.
    document = json.loads(classify("red.png", "--json", *ORT)[1])
    assert all({key: line[key] for key in ("litevision", "bundle")}.items() <= document.items() for line in lines)


def test_csv(classify: Run) -> None:
    code, out, err = classify("red.png", "bad.jpg", "--csv", "out.csv", "--top", "2")
    assert (code, out) == (1, "")
    assert err.splitlines()[-1] == "wrote out.csv: 1 image"
    with Path("out.csv").open(newline="") as file:
        header, first, second, bad = csv.reader(file)
    assert header == ["path", "rank", "index", "label", "score", "unsure", "ms", "error"]
    assert bad == ["bad.jpg", "", "", "", "", "", "", f"bad.jpg: {NO_IMAGE}"]
    assert first[:4] == ["red.png", "1", "0", "red"]
    assert float(first[4]) == pytest.approx(0.9999092)
    assert first[5] == ""
    assert float(first[6]) > 0
    assert second[:4] == ["red.png", "2", "1", "green"]
    assert not list(Path().glob(".out.csv*"))


def test_csv_of_many_is_whole(classify: Run) -> None:
    code, out, err = classify(*MANY, "--csv", "out.csv", *ORT)
    assert (code, out) == (0, "")
    with Path("out.csv").open(newline="") as file:
        rows = list(csv.DictReader(file))
    assert [(row["path"], row["label"]) for row in rows if row["rank"] == "1"] == list(zip(MANY, COLOURS, strict=True))
    assert len(rows) == 3 * len(MANY)
    assert err.splitlines()[-1] == "wrote out.csv: 40 images"


def test_csv_on_standard_output(classify: Run) -> None:
    name = "\udcff, a.png"
    Path(name).write_bytes(Path("red.png").read_bytes())
    code, out, _ = classify(name, "--csv", "-", "--top", "1")
    assert code == 0
    assert out.startswith('path,rank,index,label,score,unsure,ms,error\n"\\udcff, a.png",1,0,red,0.99')
    assert classify(name, "--csv", "out.csv", "--top", "1")[0] == 0
    assert Path("out.csv").read_text(encoding="utf-8").splitlines()[1].startswith('"\\udcff, a.png",1,0,red,0.99')


def test_csv_and_json_together(classify: Run) -> None:
    _, out, _ = classify("red.png", "--csv", "out.csv", "--json")
    assert json.loads(out)["results"][0]["path"] == "red.png"
    assert Path("out.csv").read_text().startswith("path,rank,index,label,score,unsure,ms,error\nred.png,1,0,red,")


def test_a_csv_behind_a_link_stays_behind_it(classify: Run) -> None:
    Path("real.csv").write_text("path,rank,of an earlier run")
    Path("out.csv").symlink_to("real.csv")
    assert classify("red.png", "--csv", "out.csv")[0] == 0
    assert Path("out.csv").is_symlink()
    assert Path("real.csv").read_text().startswith("path,")


def test_a_csv_may_be_a_pipe(classify: Run) -> None:
    os.mkfifo("pipe")
    read: list[str] = []
    reader = threading.Thread(target=lambda: read.append(Path("pipe").read_text()))
    reader.start()
    assert classify("red.png", "--csv", "pipe")[0] == 0
    reader.join()
    assert read[0].count("\n") == 4


def test_an_old_csv_survives_a_failure(classify: Run) -> None:
    Path("out.csv").write_text("precious")
    code, _, err = classify("bad.jpg", "--csv", "out.csv")
    assert (code, err.count("\n")) == (1, 1)
    assert Path("out.csv").read_text() == "precious"


@pytest.mark.parametrize("file", ["none/out.csv", "more"])
def test_a_csv_that_cannot_be_written_is_refused_first(classify: Run, file: str) -> None:
    code, out, err = classify("red.png", "--csv", file)
    assert (code, out) == (1, "")
    assert err == f"error: --csv {file}: not a file that can be written. Give one in an existing folder.\n"


@pytest.mark.parametrize("options", [("--json", "--jsonl"), ("--json", "--csv", "-"), ("--jsonl", "--csv", "-")])
def test_two_documents_do_not_mix(classify: Run, options: tuple[str, ...]) -> None:
    code, out, err = classify("red.png", *options)
    assert (code, out) == (1, "")
    assert re.fullmatch(r"error: --jsonl? and --(jsonl|csv -) each need standard output for themselves. Give .*\n", err)


@pytest.mark.parametrize("options", [(), ("--json",), ("--jsonl",), ("--csv", "out.csv"), ("--csv", "-")])
@pytest.mark.parametrize(
    ("given", "message"),
    [
        ("none.jpg", "none.jpg: No such file or directory. Check the path."),
        ("bad.jpg", f"bad.jpg: {NO_IMAGE}"),
        ("empty", "empty: no images in this folder; looked for .jpg .jpeg .jpe .jfif "),
    ],
)
def test_one_bad_input_is_one_line_and_one_record(
    classify: Run, given: str, message: str, options: tuple[str, ...]
) -> None:
    Path("empty").mkdir()
    code, out, err = classify(given, *options)
    assert code == 1
    first, *rest = err.splitlines()
    assert first.startswith(f"error: {message}")
    assert rest == (["wrote out.csv: 0 images"] if "out.csv" in options else [])
    if not options:
        assert out == ""
        return
    if "--csv" in options:
        _, row = csv.reader((Path("out.csv").read_text() if "out.csv" in options else out).splitlines())
        path, error = row[0], row[-1]
    else:
        document = json.loads(out)
        record = document["results"][0] if "--json" in options else document
        path, error = record["path"], record["error"]
    assert path == given
    assert error.startswith(message)


def test_a_bad_image_does_not_stop_the_rest(classify: Run) -> None:
    code, out, err = classify("bad.jpg", "red.png", "--top", "1")
    assert code == 1
    assert out.splitlines()[1] == "red.png     1  red    0.9999"
    assert re.fullmatch(f"error: bad.jpg: {NO_IMAGE}\n{conclusion('2', '1 could not be read')}", err)


def test_bad_images_alone(classify: Run) -> None:
    Path("none").mkdir()
    code, out, err = classify("x.jpg", "y.jpg", "none")
    assert (code, out) == (1, "")
    assert re.fullmatch(r"(error: .*\n){3}3 images in \d+\.\d s, 3 could not be read\n", err)


@pytest.mark.parametrize("before", [1, 11])
def test_strict_stops_at_the_first_bad_image(classify: Run, before: int) -> None:
    given = [*["red.png"] * before, "bad.jpg", *["more/blue.png"] * 9, "none.jpg"]
    code, out, err = classify(*given, "--strict", "--top", "1", "--csv", "out.csv", "--jsonl", *ORT)
    paths = [json.loads(line)["path"] for line in out.splitlines()]
    assert (code, paths) == (1, [*["red.png"] * before, "bad.jpg"])
    assert Path("out.csv").read_text().count("\n") == 1 + before + 1
    assert re.fullmatch(
        f"error: bad.jpg: {NO_IMAGE}\n{conclusion(str(before + 1), '1 could not be read')}"
        f"wrote out.csv: {before} images?\n",
        err,
    )


def test_odd_names_cannot_write_to_the_terminal(classify: Run) -> None:
    for name in ("a\nb\x1b[31m.png", "é.png"):
        Path(name).write_bytes(Path("red.png").read_bytes())
    Path("c\x1b[31m.png").write_bytes(b"oops")
    _, out, err = classify(".", "--top", "1", *ORT)
    assert [line.split("  ")[0] for line in out.splitlines()[1:]] == [r"a\nb\x1b[31m.png", "red.png", "é.png"]
    assert err.splitlines()[1] == rf"error: c\x1b[31m.png: {NO_IMAGE}"


def test_a_terminal_without_the_letter_shows_its_number(classify_beside: Start) -> None:
    Path("é.png").write_bytes(Path("red.png").read_bytes())
    out, err = classify_beside("é.png", "--top", "1", env={**os.environ, "PYTHONIOENCODING": "ascii"}).communicate()
    assert (out.splitlines()[1], err) == (r"\xe9.png     1  red    0.9999", "")


def test_a_bar_on_a_terminal(classify_beside: Start) -> None:
    ours, theirs = pty.openpty()
    with classify_beside("bad.jpg", *MANY, "--jsonl", "--workers", "1", "--batch", "1", stderr=theirs) as process:
        os.close(theirs)
        shown = b""
        with suppress(OSError):  # EIO, once nobody writes any more
            while block := os.read(ours, 65536):
                shown += block
        out, _ = process.communicate()
    os.close(ours)
    assert [json.loads(line)["path"] for line in out.splitlines()] == ["bad.jpg", *MANY]
    text = re.sub(r"\x1b\[[0-9;?]*[A-Za-z]", "", shown.decode()).replace("\r", "\n")
    assert re.search(r"^classify .*/41.* a second", text, re.MULTILINE)
    assert text.count(f"error: bad.jpg: {NO_IMAGE}\n") == 1
    assert re.search(rf"^{conclusion('41', '1 could not be read')}", text, re.MULTILINE)


def test_a_line_every_ten_seconds_in_a_log(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    now = 100.0
    monkeypatch.setattr("time.monotonic", lambda: now)
    told = []
    for total in (10_000, None):
        report = ImageProgress(total, sys.stdout, "classify")
        for seconds, images in [(0, 1000), (9.9, 99), (0.1, 721), (5, 10), (5, 10), (35, 1)]:
            now += seconds
            report.write([Result("a.jpg", (), 1.0)] * images)
        report.finish()
        told.append(capsys.readouterr().err.splitlines())
    assert told == [
        [
            "1,820 of 10,000 images, 182 a second, 0:00:45 left",
            "1,840 of 10,000 images, 92 a second, 0:01:29 left",
            "1,841 of 10,000 images, 33 a second, 0:04:04 left",
        ],
        ["1,820 images, 182 a second", "1,840 images, 92 a second", "1,841 images, 33 a second"],
    ]
    now = 200.0
    report = ImageProgress(None, None, "classify")
    now += 2.0
    report.write([Result("a.jpg", (), 1.0)] * 3)
    assert report.conclusion() == "3 images in 2.0 s, 1.5 a second, no errors"


def test_no_arguments_is_a_usage_error(classify: Run) -> None:
    code, out, err = classify()
    assert (code, out) == (2, "")
    assert err == "error: IMAGE|FOLDER|VIDEO is missing. See litevision classify --help.\n"


@pytest.mark.parametrize("wrong", [("--top", "0"), ("--workers", "0"), ("--batch", "0"), ("--every", "-1")])
def test_a_number_out_of_range_is_a_usage_error(classify: Run, wrong: tuple[str, str]) -> None:
    code, out, err = classify("red.png", *wrong)
    assert (code, out) == (2, "")
    least = "0" if wrong[0] == "--every" else "1"
    assert err == f"error: {wrong[0]}: expected at least {least}, got {wrong[1]}. See litevision classify --help.\n"


@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        (
            ("--engine", "onnxrun"),
            "error: no engine 'onnxrun'. Did you mean 'onnxruntime'? Known: onnxruntime, openvino, litert, ncnn, ",
        ),
        (("--precision", "fp16", *ORT), "error: no precision 'fp16'. Did you mean 'bf16'? Known: fp32, bf16.\n"),
        (("--device", "cud"), "error: no device 'cud'. Did you mean 'cuda' or 'cpu'? Known: auto, cpu, "),
        (("--device", "gpu", *ORT), "error: onnxruntime does not compute on gpu; expected auto or cpu or "),
        (("--precision", "bf16", *ORT), "error: onnxruntime does not compute in bf16; expected fp32, or the engine "),
    ],
)
def test_an_engine_that_is_not_there(classify: Run, wrong: tuple[str, ...], message: str) -> None:
    code, out, err = classify("red.png", *wrong)
    assert (code, out, err.count("\n")) == (1, "", 1)
    assert err.startswith(message)


def test_a_broken_bundle_is_one_line(classify: Run) -> None:
    Path("broken.onnx").write_bytes(b"oops")
    code, out, err = classify("red.png", "more", model="broken.onnx")
    assert (code, out) == (1, "")
    assert err.startswith("error: broken.onnx: not an ONNX file")
    assert err.count("\n") == 1


def test_an_engine_that_fails_later_keeps_what_came_before(classify: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    calls = itertools.count(1)
    probabilities = Classifier.probabilities

    def failing(self: Classifier, *arguments: Any) -> Any:
        if next(calls) > 3:
            raise BundleError("tiny.onnx: outputs NaN or inf.")
        return probabilities(self, *arguments)

    monkeypatch.setattr(Classifier, "probabilities", failing)
    code, out, err = classify(*MANY, "--json", "--csv", "out.csv", "--workers", "1", "--batch", "2", *ORT)
    assert code == 1
    assert [result["path"] for result in json.loads(out)["results"]] == MANY[:5]
    assert Path("out.csv").read_text().count("\n") == 1 + 3 * 5
    assert re.fullmatch(
        rf"{conclusion('5')}wrote out.csv: 5 images, as far as it came\n"
        r"error: tiny.onnx: outputs NaN or inf.\n",
        err,
    )


def test_auto_says_what_it_chose(classify: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    from litevision.runtime.engines import EngineChoice, auto

    asked: dict[str, Any] = {}

    def choose(path: Path, batch_size: int, **arguments: Any) -> auto.Decision:
        asked.update(arguments, path=path, batch_size=batch_size)
        return auto.Decision(EngineChoice("onnxruntime", "fp32", 1, 2), "the coin said so")

    monkeypatch.setattr(auto, "choose", choose)
    monkeypatch.setattr("litevision.runtime.engines.installed_engines", lambda: ("onnxruntime", "openvino"))
    code, _, err = classify(*MANY, "--workers", "2")
    assert code == 0
    assert err.startswith("engine auto: the coin said so\n")
    assert asked == {
        "path": Path("tiny.onnx"),
        "batch_size": 4,
        "precision": None,
        "threads": 1,
        "streams": 2,
        "device": "cpu",
        "images": 40,
        "sample": MANY,
    }
    asked.clear()
    assert classify("red.png")[2] == ""
    assert asked == {}


@pytest.fixture
def cached(monkeypatch: pytest.MonkeyPatch) -> Any:
    """In place of ``litevision.exporting.cached``, which needs torch and the network."""
    module: Any = types.ModuleType("litevision.exporting.cached")
    parent = types.ModuleType("litevision.exporting")
    monkeypatch.setitem(sys.modules, "litevision.exporting", parent)
    monkeypatch.setitem(sys.modules, "litevision.exporting.cached", module)
    return module


def test_a_name_is_looked_up(classify: Run, cached: Any) -> None:
    asked = []

    def bundle_for(name: str) -> Path:
        asked.append(name)
        return Path("tiny.onnx")

    cached.bundle_for = bundle_for
    code, out, _ = classify("red.png", "more/blue.png", "--json", model="mobilenet_v3_large")
    assert code == 0
    assert asked == ["mobilenet_v3_large"]
    assert json.loads(out)["model"] == "mobilenet_v3_large"


def test_a_wrong_path_or_engine_costs_no_download(classify: Run, cached: Any) -> None:
    def bundle_for(name: str) -> Path:
        raise DownloadError(f"{name}: no network")

    cached.bundle_for = bundle_for
    assert classify("none.jpg", model="mobilenet_v2")[2].startswith("error: none.jpg")
    assert classify("red.png", "--engine", "x", model="mobilenet_v2")[2].startswith("error: no engine 'x'")
    assert classify("red.png", "more", model="mobilenet_v2") == (1, "", "error: mobilenet_v2: no network\n")


def test_a_classification_imports_nothing_slow(folder: Path) -> None:
    program = (
        "import sys; sys.argv = ['litevision', 'classify', 'red.png', '--model', 'tiny.onnx']\n"
        "from litevision.cli import main\n"
        "try: main()\nexcept SystemExit as end: assert not end.code\n"
        "heavy = {'rich', 'asyncio', 'shutil', 'difflib', 'concurrent.futures', 'csv', 'av', 'openvino', 'torch'}\n"
        "heavy |= {'http', 'litevision.runtime.detector'}\n"
        "print(sorted(heavy & set(sys.modules)))"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert done.stdout.splitlines()[-1] == "[]"


def test_the_way_from_image_to_input_can_be_chosen(classify: Run, folder: Path) -> None:
    """A wide image that is red in the middle alone: cut out it is red, squashed it is mostly blue."""
    pixels = np.full((8, 32, 3), (0, 0, 255), np.uint8)
    pixels[:, 12:20] = (255, 0, 0)
    Path("wide.png").write_bytes(encoded(pixels))

    def best(*options: str) -> str:
        code, out, err = classify("wide.png", "--json", *options)
        assert code == 0, err
        return str(json.loads(out)["results"][0]["predictions"][0]["label"])

    assert best("--crop", "center") == "red"
    assert best("--crop", "stretch") == best("--crop", "stretch", "--interpolation", "bicubic") == "blue"
    for wrong, message in (
        (("--crop", "fit"), "no crop 'fit'"),
        (("--crop", "stretch", "--crop-fraction", "0.9"), "crop_fraction goes with crop 'center', got 'stretch'"),
        (("--crop-fraction", "2"), "crop_fraction is a part of the image above 0 and up to 1, got 2"),
        (("--interpolation", "nearest"), "no interpolation 'nearest'"),
    ):
        code, _, err = classify("wide.png", *wrong)
        assert (code, message in err, err.count("\n")) == (1, True, 1), err
