"""`litevision adopt` from the command line, and every command on what it wrote."""

import re
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

import litevision as lv
from foreign_files import channel_logits, foreign, saved
from litevision.runtime.bundle import checked_metadata

Run = Callable[..., tuple[int, str, str]]


@pytest.fixture
def file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    return saved(foreign(lambda nodes, x: {"logits": channel_logits(nodes, x)}), tmp_path, "colours.onnx")


def test_a_classifier_from_file_to_answer(litevision: Run, file: Path) -> None:
    code, out, err = litevision(
        "adopt",
        "colours.onnx",
        "--normalisation",
        "unit",
        "--labels",
        "red, green,blue",
        "--licence",
        "MIT",
        "-o",
        "b.onnx",
    )
    assert (code, err) == (0, "")
    assert re.sub(r"onnxruntime \S+", "onnxruntime", re.sub(r"\d\.\de-\d\d", "E", out)) == (
        "wrote b.onnx: colours, 3 classes, 64x64, decoded as softmax\n"
        "input: shorter side to 64, center crop 64x64, bilinear, mean 0,0,0, std 1,1,1; dialect adopted\n"
        "output: softmax, the probabilities of all classes sum to 1\n"
        "weights: licence MIT, from unknown\n"
        "size: 0.0 MB\n"
        "checked on 4 images in onnxruntime against the file as it was: largest difference of a probability E, "
        "the top answer agrees on 100%\n"
    )
    Image.fromarray(np.tile(np.array([9, 8, 250], np.uint8), (70, 90, 1))).save("sea.png")
    code, out, _ = litevision("classify", "sea.png", "--model", "b.onnx", "--top", "1")
    assert (code, out.splitlines()[-1].split()[:3]) == (0, ["sea.png", "1", "blue"])
    for command in (["info", "b.onnx"], ["draw", "b.onnx", "-o", "b.svg"]):
        assert litevision(*command)[0] == 0


def test_labels_from_a_file_and_numbers_from_0_to_255(litevision: Run, file: Path) -> None:
    Path("names.txt").write_text("red\ngreen\nblue\n")
    words = ["--channels", "bgr", "--mean", "103.53,116.28,123.675", "--std", "57.375,57.12,58.395"]
    code, out, err = litevision("adopt", "colours.onnx", "--labels", "names.txt", *words, "-o", "b.onnx")
    assert (code, err) == (0, "")
    assert "bilinear, BGR, mean 0.485,0.456,0.406, std 0.229,0.224,0.225" in out
    metadata = checked_metadata(Path("b.onnx").read_bytes(), Path("b.onnx"))
    assert metadata.normalisation.mean == pytest.approx((0.485, 0.456, 0.406))


@pytest.mark.parametrize(
    ("words", "message"),
    [
        ([], "nobody knows how this file takes pixels"),
        (["--mean", "1,2,3"], "--mean and --std go together"),
        (["--mean", "1,2", "--std", "1,1,1"], "expected three numbers from 0 to 255"),
        (["--mean", "0,0,0", "--std", "0,1,1"], "expected numbers above 0"),
        (["--preset", "timm", "--labels", "none.txt"], "none.txt: no such file of labels"),
        (["--preset", "timm", "--iou", "0.5"], "softmax gives its boxes itself"),
    ],
)
def test_what_cannot_be_is_one_line(litevision: Run, file: Path, words: list[str], message: str) -> None:
    labels = [] if "--labels" in words else ["--labels", "a,b,c"]
    code, out, err = litevision("adopt", "colours.onnx", *labels, *words, "-o", "b.onnx")
    assert (code, out) == (1, "")
    assert message in err
    assert err.count("\n") == 1
    assert not Path("b.onnx").exists()


def test_the_file_itself_is_not_written_over(litevision: Run, file: Path) -> None:
    before = file.read_bytes()
    code, _, err = litevision("adopt", "colours.onnx", "--preset", "timm", "--labels", "a,b,c", "-o", "colours.onnx")
    assert (code, file.read_bytes()) == (1, before), err


def test_it_is_run_and_not_trained_on(litevision: Run, file: Path) -> None:
    litevision("adopt", "colours.onnx", "--preset", "timm", "--labels", "a,b,c", "-o", "b.onnx")
    code, _, err = litevision("export", "b.onnx", "-o", "c.onnx")
    assert code == 1
    assert "a graph of another making, from 'litevision adopt'" in err


@pytest.mark.parametrize(("name", "preset"), [("yolox_nano", "yolox"), ("FastestDet", "fastestdet")])
def test_published_detectors(litevision: Run, shared: Path, tmp_path: Path, name: str, preset: str) -> None:
    bundle = tmp_path / "b.onnx"
    source = shared / "detectors" / f"{name}.onnx"
    if not source.is_file():
        pytest.skip(f"needs ../shared/detectors/{name}.onnx, which is not here")
    code, out, err = litevision("adopt", str(source), "--preset", preset, "-o", str(bundle))
    assert (code, err) == (0, "")
    assert f"80 classes, {352 if name == 'FastestDet' else 416}x" in out
    elephant = Path(__file__).parents[2] / "examples/elephant.jpg"
    [best, *_] = lv.load_detector(bundle, threads=1).predict(elephant)
    assert best.label == "elephant"
    assert best.score > 0.6
    assert best.box_xyxy[2] - best.box_xyxy[0] > 300
