"""A new engine is one row of a table: the commands then find it, name it and run with it."""

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest

import litevision as lv
from bundles import LABELS, write_bundle
from images import encoded, noise
from litevision.runtime.engines import ENGINES, Engine, EngineChoice, EngineSpec, Outputs, TensorInfo

Run = Callable[..., tuple[int, str, str]]


class Abacus:
    """An engine that always finds the second class."""

    version = "abacus 1.0"
    inputs = (TensorInfo("images", "uint8", (None, 8, 8, 3)),)
    outputs = (TensorInfo("probabilities", "float", (None, len(LABELS))),)

    def __init__(self, data: bytes, choice: EngineChoice, *, name: str) -> None:
        self.choice = replace(choice, device="cpu" if choice.device == "auto" else choice.device)

    def run(self, batch_u8_nhwc: npt.NDArray[np.uint8]) -> Outputs:
        return {"probabilities": np.tile(np.array([[0.25, 0.75, 0.0]], np.float32), (len(batch_u8_nhwc), 1))}


def opened(data: bytes, choice: EngineChoice, *, name: str) -> Engine:
    return Abacus(data, choice, name=name)


@pytest.fixture(autouse=True)
def abacus(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    row = EngineSpec("json", ("fp32",), {"cpu": "abacus", "fingers": "abacus-hand"}, opened, "pip install abacus", ())
    monkeypatch.setitem(ENGINES, "abacus", row)
    monkeypatch.chdir(tmp_path)
    write_bundle(Path("tiny.onnx"))
    Path("a.png").write_bytes(encoded(noise(9, 9)))


def test_classify_runs_with_it(litevision: Run) -> None:
    code, out, _ = litevision("classify", "a.png", "--model", "tiny.onnx", "--engine", "abacus", "--top", "1")
    assert (code, out.split()[-3:]) == (0, ["1", LABELS[1], "0.7500"])
    assert lv.load_classifier("tiny.onnx", engine="abacus").predict("a.png", top=1).scores.tolist() == [0.75]


def test_bench_measures_it(litevision: Run) -> None:
    code, out, _ = litevision(
        "bench", "tiny.onnx", "--engine", "onnxruntime,abacus", "--seconds", "0.01", "--batch", "1"
    )
    assert code == 0
    assert [line.split()[0] for line in out.splitlines()[1:3]] == ["onnxruntime", "abacus"]
    rows = lv.bench("tiny.onnx", batch_sizes=[1], engines=["abacus"], device="fingers", seconds=0.01).rows
    assert [(row.title, row.version, row.device) for row in rows] == [
        ("abacus fp32 on fingers", "abacus 1.0", "fingers")
    ]


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (
            {"engine": "abacuss"},
            "no engine 'abacuss'. Did you mean 'abacus'? Known: onnxruntime, openvino, litert, ncnn, abacus, auto.",
        ),
        ({"device": "finger"}, "no device 'finger'. Did you mean 'fingers'? "),
        ({"device": "fingers"}, "onnxruntime does not compute on fingers; expected auto or cpu or cuda or coreml or "),
        (
            {"engine": "abacus", "precision": "bf16"},
            "abacus does not compute in bf16; expected fp32, or the engine open",
        ),
    ],
)
def test_messages_name_it(options: dict[str, Any], message: str) -> None:
    with pytest.raises(lv.LitevisionError) as refusal:
        lv.load_classifier("tiny.onnx", **options)
    assert str(refusal.value).startswith(message)


def test_help_names_it(litevision: Run) -> None:
    _, out, _ = litevision("classify", "--help")
    assert "abacus" in out
