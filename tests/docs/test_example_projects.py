"""The sample projects in examples/: what can be built and run here is, on the three images there."""

import ctypes
import shutil
import subprocess
import sys
from dataclasses import replace
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

import litevision
from litevision.exporting.record import record_header, record_of
from litevision.image import Preprocess
from litevision.runtime import Bundle
from litevision.web.page import write_page
from litevision.zoo import BUNDLES
from pages import ROOT
from web_runtime import users_runtime

EXAMPLES = ROOT / "examples"
NAMES = ("dress", "elephant", "blood")
COMPILER = shutil.which("cc")

needs_compiler = pytest.mark.skipif(COMPILER is None, reason="needs a C compiler, cc")


@pytest.fixture(scope="module")
def images(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The three images as PPM files."""
    folder = tmp_path_factory.mktemp("images")
    for name in NAMES:
        Image.open(EXAMPLES / f"{name}.jpg").convert("RGB").save(folder / f"{name}.ppm")
    return folder


def pixels(folder: Path, name: str) -> Any:
    return np.asarray(Image.open(folder / f"{name}.ppm"))


def classes(model: str, folder: Path) -> list[str]:
    """The lines that a sample prints for the three images."""
    classifier = litevision.load_classifier(model)
    return [
        f"{name}.ppm {label} {score:.4f}"
        for name in NAMES
        for label, score in zip(*classified(classifier, pixels(folder, name)), strict=True)
    ]


def classified(classifier: litevision.Classifier, image: Any) -> tuple[Any, Any]:
    found = classifier.predict(image, top=5)
    return found.labels, found.scores


def cells(folder: Path) -> list[str]:
    detector = litevision.load_detector("blood-cells")
    lines = []
    for name in NAMES:
        found = detector.predict(pixels(folder, name))
        for index, score, box in zip(found.class_ids, found.scores, found.xyxy, strict=True):
            edges = " ".join(f"{edge:.1f}" for edge in box)
            lines.append(f"{name}.ppm {found.class_names[index]} {score:.4f} {edges}")
    return lines


def said(*command: str | Path, cwd: Path) -> str:
    done = subprocess.run([*map(str, command)], cwd=cwd, capture_output=True, text=True, check=False, timeout=300)
    assert done.returncode == 0, done.stderr
    return done.stdout


def header(model: str, folder: Path, **changes: Any) -> None:
    """Writes the model's header, as for one that differs by ``changes``."""
    bundle = Bundle.open(BUNDLES[model])
    metadata = replace(bundle.metadata, **changes)
    record = record_of(bundle.engine, metadata, "bundle", [BUNDLES[model]])
    (folder / "model.h").write_text(record_header(record, metadata), "utf-8")


def same(lines: list[str], expected: list[str]) -> None:
    """The same words, and the same numbers but for their last digit."""
    assert [line.split()[:2] for line in lines] == [line.split()[:2] for line in expected]
    numbers, others = ([[float(each) for each in line.split()[2:]] for line in told] for told in (lines, expected))
    for found, other in zip(numbers, others, strict=True):
        np.testing.assert_allclose(found[:1], other[:1], atol=1.1e-4)
        np.testing.assert_allclose(found[1:], other[1:], atol=0.11)


@needs_compiler
@pytest.mark.skipif(find_spec("openvino") is None, reason="needs OpenVINO's C library, of pip install openvino")
@pytest.mark.parametrize("model", ["clothing", "blood-cells"])
def test_the_c_project_answers_as_the_bundle(model: str, images: Path, tmp_path: Path) -> None:
    header(model, tmp_path)
    shutil.copytree(EXAMPLES / "c", tmp_path / "c")
    said("make", "-s", f"MODEL={tmp_path}", f"PYTHON={sys.executable}", "CFLAGS=-O2 -Werror", cwd=tmp_path / "c")
    lines = said(tmp_path / "c/predict", BUNDLES[model], *(f"{name}.ppm" for name in NAMES), cwd=images).splitlines()
    same(lines, cells(images) if model == "blood-cells" else classes(model, images))


@needs_compiler
@pytest.mark.parametrize(
    "preprocess",
    [
        Preprocess((96, 128), 140, "center", "bicubic"),
        Preprocess((96, 80), 80, "center", "bilinear"),
        Preprocess((97, 64), 64, "stretch", "bilinear"),
        Preprocess((96, 128), 96, "letterbox", "bicubic", 7, "top-left"),
    ],
)
def test_c_makes_the_very_input(preprocess: Preprocess, tmp_path: Path) -> None:
    header("clothing", tmp_path, preprocess=preprocess)
    library = tmp_path / "vision.so"
    assert COMPILER is not None
    options = ["-std=c99", "-O2", "-shared", "-fPIC", f"-I{tmp_path}"]
    said(COMPILER, *options, EXAMPLES / "c/vision.c", "-o", library, "-lm", cwd=tmp_path)

    class Rgb(ctypes.Structure):
        _fields_ = (("width", ctypes.c_int), ("height", ctypes.c_int), ("rgb", ctypes.c_char_p))

    make_input = ctypes.CDLL(str(library)).make_input
    random = np.random.default_rng(0)
    for height, width in ((480, 640), (33, 50), (300, 71), (97, 128), (1, 9), (60, 900)):
        image = random.integers(0, 256, (height, width, 3), np.uint8)
        found = np.empty((*preprocess.size_hw, 3), np.uint8)
        given = Rgb(width, height, ctypes.c_char_p(image.ctypes.data))
        assert make_input(ctypes.byref(given), found.ctypes.data_as(ctypes.c_void_p)) == 0
        np.testing.assert_array_equal(found, preprocess(image), err_msg=f"{height}x{width}")


@needs_compiler
def test_c_reads_any_label(tmp_path: Path) -> None:
    labels = ('a "b"', "back\\slash", "what??/", "é中", "%d", "7\x018", "*/", "x", "y", "z")
    header("clothing", tmp_path, labels=labels)
    (tmp_path / "main.c").write_text(
        '#include <stdio.h>\n#include "model.h"\n'
        "int main(void) { for (int at = 0; at < MODEL_CLASSES; at++) puts(MODEL_LABELS[at]); return 0; }\n"
    )
    assert COMPILER is not None
    said(COMPILER, "-std=c99", "main.c", "-o", "main", cwd=tmp_path)
    assert said(tmp_path / "main", cwd=tmp_path) == "\n".join(labels) + "\n"


@pytest.mark.skipif(shutil.which("node") is None, reason="needs Node.js")
def test_the_javascript_project_answers_as_the_bundle(images: Path, tmp_path: Path) -> None:
    with users_runtime():
        write_page("blood-cells", tmp_path / "site")
    sample = EXAMPLES / "javascript/predict.mjs"
    same(
        said("node", sample, tmp_path / "site", *(f"{name}.ppm" for name in NAMES), cwd=images).splitlines(),
        cells(images),
    )
