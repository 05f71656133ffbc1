"""Names from files are text, whichever command prints them: never codes of the terminal, markup or further lines."""

import re
from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
import onnx
import pytest
import torch
from onnx import helper

from bundles import write_bundle
from detectors import write_detector
from images import encoded
from litevision.tables import display_width, pad

Run = Callable[..., tuple[int, str, str]]

HOSTILE = "[/b]\x1b[31m\u202e\u2066[link=x]\r\nlast"
SHOWN = r"[b]\x1b[31m\u202e\u2066[link=x]\r\nlast"
FILE = HOSTILE.replace("/", "")
CODES = re.compile(r"[\x00-\x09\x0b-\x1f\x7f-\x9f\u202a-\u202e\u2066-\u2069\u2028\u2029]")


def hostile_graph() -> onnx.ModelProto:
    value = helper.make_tensor_value_info
    nodes = [
        helper.make_node("Relu", [HOSTILE], ["a"], name=HOSTILE),
        helper.make_node(HOSTILE, ["a"], ["b"], name=HOSTILE + "2", domain="x"),
    ]
    graph = helper.make_graph(
        nodes,
        HOSTILE,
        [value(HOSTILE, onnx.TensorProto.FLOAT, [1, 3, 8, 8])],
        [value("b", onnx.TensorProto.FLOAT, [1, 3, 8, 8])],
    )
    opsets = [helper.make_opsetid("", 18), helper.make_opsetid("x", 1)]
    return helper.make_model(graph, opset_imports=opsets, ir_version=10)


@pytest.fixture
def hostile(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The working folder: models, images and data whose names are codes."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("LITEVISION_CACHE", str(tmp_path / ".cache"))
    write_bundle(Path(f"{FILE}.onnx"), labels=(FILE, "green", "blue"))
    write_detector(Path("detector.onnx"), size_hw=(64, 96), labels=(FILE, "blue"))
    onnx.save(hostile_graph(), "graph.onnx")
    torch.save({f"{HOSTILE}.weight": torch.zeros(3)}, f"{FILE}.pth")
    Path(f"{FILE}.png").write_bytes(encoded(np.full((64, 96, 3), (255, 0, 0), np.uint8)))
    Path(f"{FILE}.jpg").write_bytes(b"oops")
    for i, name in enumerate((FILE, "green", "blue")):
        for j, split in enumerate(("train", "validation", "test")):
            Path("data", split, name).mkdir(parents=True)
            noisy = np.random.default_rng(3 * i + j).integers(0, 255, (64, 96, 3), np.uint8)
            Path("data", split, name, f"{split}{i}{FILE}.png").write_bytes(encoded(noisy))
    Path(f"data/train/{FILE}/{FILE}.png").write_bytes(b"oops")
    return tmp_path


COMMANDS: dict[str, Sequence[str]] = {
    "classify": ("classify", f"{FILE}.png", f"{FILE}.jpg", "--model", f"{FILE}.onnx"),
    "classify --jsonl": ("classify", f"{FILE}.png", f"{FILE}.jpg", "--model", f"{FILE}.onnx", "--jsonl"),
    "detect": ("detect", f"{FILE}.png", "--model", "detector.onnx", "--save", FILE),
    "detect --coco": ("detect", f"{FILE}.png", "--model", "detector.onnx", "--coco", f"{FILE}.json"),
    "batch": ("batch", f"{FILE}.png", f"{FILE}.jpg", "--model", f"{FILE}.onnx", "-o", FILE),
    "wrong model": ("classify", f"{FILE}.png", "--model", f"{FILE}.jpg"),
    "no model": ("classify", f"{FILE}.png", "--model", HOSTILE),
    "no image": ("classify", HOSTILE, "--model", f"{FILE}.onnx"),
    "check-data": ("check-data", "data", "--all"),
    "evaluate": ("evaluate", f"{FILE}.onnx", "data", "--csv", f"{FILE}.csv"),
    "info": ("info", "graph.onnx"),
    "lint": ("lint", "graph.onnx"),
    "profile": ("profile", "graph.onnx"),
    "bench": ("bench", f"{FILE}.pth"),
    "convert": ("convert", f"{FILE}.pth"),
    "export": ("export", f"{FILE}.pth", "-o", f"{FILE}-2.onnx"),
    "export without labels": ("export", "mobilenet_v2", "-o", "x.onnx", "--labels", FILE),
    "train with a setting": ("train", FILE, "--set", f"{HOSTILE}=1"),
    "train from weights": ("train", "data", "--weights", f"{FILE}.pth"),
    "train by a recipe": ("train", "data", "--recipe", f"{FILE}.png"),
    "train --resume": ("train", "--resume", FILE),
    "average": ("average", FILE, f"{FILE}-2", "--name", HOSTILE),
    "draw": ("draw", HOSTILE, f"{FILE}.svg"),
    "draw to a file": ("draw", "mobilenet_v2", "-o", f"{FILE}.svg"),
    "compare": ("compare", "centernet", HOSTILE),
    "choose": ("choose", f"--{HOSTILE}"),
    "guidelines": ("guidelines", "--csv", HOSTILE),
    "models": ("models", HOSTILE),
    "no command": (HOSTILE,),
}


@pytest.mark.parametrize("arguments", COMMANDS.values(), ids=COMMANDS.keys())
def test_no_name_reaches_the_terminal_as_more_than_text(
    hostile: Path, litevision: Run, monkeypatch: pytest.MonkeyPatch, arguments: Sequence[str]
) -> None:
    monkeypatch.setenv("COLUMNS", "200")
    shown = ""
    for drawn in (False, True) if arguments[0] in ("classify", "evaluate", "info") else (False,):
        monkeypatch.setattr("litevision.cli.tables._is_terminal", lambda drawn=drawn: drawn)
        _, out, err = litevision(*arguments)
        shown += out + err
    assert [ascii(it) for it in CODES.findall(shown)] == []
    assert [line for line in shown.splitlines() if line.startswith("last")] == []
    assert r"\x1b[31m" in shown or r"\u001b[31m" in shown


def test_a_name_in_markup_is_shown_whole(hostile: Path, litevision: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COLUMNS", "300")
    for drawn in (False, True):
        monkeypatch.setattr("litevision.cli.tables._is_terminal", lambda drawn=drawn: drawn)
        for arguments in (("classify", f"{FILE}.png", "--model", f"{FILE}.onnx"), ("evaluate", f"{FILE}.onnx", "data")):
            assert SHOWN in litevision(*arguments)[1]


LABELS = ("血小板", "한국어", "e\u0301te\u0301", "می\u200cخواهم", "red\u3000cell", "שלום", "plain")


def test_columns_are_aligned_whatever_the_script(
    litevision: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    names = [f"{label}.png" for label in LABELS]
    for name in names:
        Path(name).write_bytes(encoded(np.full((9, 12, 3), (255, 0, 0), np.uint8)))
    write_bundle(Path("tiny.onnx"), labels=LABELS[:3])
    code, out, _ = litevision("classify", *names, "--model", "tiny.onnx", "--engine", "onnxruntime", "--top", "1")
    assert code == 0
    header, *rows = out.splitlines()
    assert all(name in row for name, row in zip(names, rows, strict=True))
    assert {display_width(row) for row in rows} == {display_width(header)}


@pytest.mark.parametrize(
    ("text", "columns"),
    [("abc", 3), ("血小板", 6), ("한국어", 6), ("e\u0301", 1), ("می\u200cخواهم", 7), ("ｱ", 1), ("Ａ", 2), ("", 0)],
)
def test_the_width_on_a_screen(text: str, columns: int) -> None:
    assert display_width(text) == columns
    assert pad(text, 9) == text + " " * (9 - columns)
    assert pad(text, 9, "right") == " " * (9 - columns) + text
