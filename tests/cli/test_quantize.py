"""litevision quantize: what it prints, and what it refuses to write."""

from collections.abc import Callable
from pathlib import Path

import pytest

from litevision.hub import load_classifier
from litevision.quantizing.images import Calibration
from quantizable import write_place

Run = Callable[..., tuple[int, str, str]]


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_place(tmp_path_factory.mktemp("quantize"))


def dim(monkeypatch: pytest.MonkeyPatch) -> None:
    """Calibration sees images as if they had been normalised twice."""
    load = Calibration.load
    monkeypatch.setattr(Calibration, "load", lambda self, preprocess: load(self, preprocess) // 100)


def test_a_bad_calibration_is_refused(
    place: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, litevision: Run
) -> None:
    dim(monkeypatch)
    told = ("--data", str(place / "data"), "-o", str(tmp_path / "bad.onnx"), "--images", "6")
    code, out, _ = litevision("quantize", str(place / "float.onnx"), *told)
    assert code == 1
    assert "int8, 1 layer in float" in out
    assert "layers that add most noise: " in out
    assert "refused: " in out
    assert "quantization-aware training (docs/quantize.md) teaches" in out
    assert out.splitlines()[-1] == "nothing was written"
    assert list(tmp_path.iterdir()) == []
    code, out, _ = litevision("quantize", str(place / "float.onnx"), *told, "--allow-drop")
    assert code == 0
    assert "allowed: " in out
    record = load_classifier(tmp_path / "bad.onnx").bundle.metadata.quantization
    assert record is not None
    assert record.agreement < 0.95


def test_without_labels_answers_are_compared(place: Path, tmp_path: Path, litevision: Run) -> None:
    for path in (place / "data").rglob("*.png"):
        (tmp_path / f"{path.parent.name}-{path.parents[1].name}-{path.name}").write_bytes(path.read_bytes())
    told = ("--data", str(tmp_path), "-o", str(tmp_path / "it.onnx"), "--images", "6")
    code, out, err = litevision("quantize", str(place / "float.onnx"), *told)
    assert code == 0
    assert "the images have no labels: answers are compared with the original's, which is no score" in out
    assert "no labels for this task" in err
    metadata = load_classifier(tmp_path / "it.onnx").bundle.metadata
    assert metadata.score is None
    assert metadata.quantization is not None
    assert (metadata.quantization.before, metadata.quantization.count) == (None, 36)
