"""Models by name, and classification and detection in one call."""

import os
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

import litevision
from bundles import write_bundle
from detectors import RED, image, write_detector
from images import encoded
from litevision.errors import BundleError, FileMissingError, ImageError, UnknownNameError, UnsafeFileError, UsageError
from litevision.hub import find_bundle
from litevision.zoo import BUNDLES

RED_IMAGE = np.full((9, 9, 3), RED, np.uint8)
BOX = image((64, 64), ((8, 16, 40, 48), RED))


@pytest.fixture
def classifier(tmp_path: Path) -> Path:
    return write_bundle(tmp_path / "names.onnx")


@pytest.fixture
def detector(tmp_path: Path) -> Path:
    return write_detector(tmp_path / "finds.onnx")


def test_where_bundles_are_found(tmp_path: Path) -> None:
    assert find_bundle("clothing") == BUNDLES["clothing"]
    assert find_bundle("any/where.ONNX") == Path("any/where.ONNX")
    (tmp_path / "model.onnx").touch()
    assert find_bundle(tmp_path) == find_bundle(str(tmp_path)) == tmp_path / "model.onnx"


def test_a_run_whose_model_is_a_link_is_refused(classifier: Path, tmp_path: Path) -> None:
    run = tmp_path / "run"
    run.mkdir()
    (run / "model.onnx").symlink_to(classifier)
    with pytest.raises(UnsafeFileError, match=r"model\.onnx: a symbolic link; a run holds plain files alone"):
        litevision.load(run)


def test_a_model_that_is_not_there(tmp_path: Path) -> None:
    with pytest.raises(
        FileMissingError, match=r"a folder without model\.onnx; expected the folder of a finished run\.$"
    ):
        litevision.load(tmp_path)
    with pytest.raises(UnknownNameError, match="no weight set 'mobilenet_v9'"):
        litevision.load("mobilenet_v9")
    with pytest.raises(FileMissingError, match=r"none\.onnx: no such bundle"):
        litevision.load(tmp_path / "none.onnx")


def test_a_model_of_any_kind_is_loaded(classifier: Path, detector: Path) -> None:
    bundle = litevision.Bundle.open(classifier)
    for model in (
        classifier,
        str(classifier),
        bundle,
        SimpleNamespace(bundle=classifier),
        SimpleNamespace(bundle=bundle),
    ):
        assert litevision.load_classifier(model).predict(RED_IMAGE).labels[0] == "red"
        assert isinstance(litevision.load(model), litevision.Classifier)
    assert litevision.load_classifier(bundle).bundle is bundle
    assert isinstance(litevision.load(detector), litevision.Detector)
    assert litevision.load_detector(detector, threads=1, streams=2).bundle.engine.choice.streams == 2


def test_a_model_for_another_task_names_the_other_function(classifier: Path, detector: Path) -> None:
    with pytest.raises(
        BundleError, match=r"for detection; expected one for classification\. Use litevision\.load_detector"
    ):
        litevision.load_classifier(detector)
    with pytest.raises(
        BundleError, match=r"for classification; expected one for detection\. Use litevision\.load_classif"
    ):
        litevision.load_detector(classifier)


@pytest.mark.parametrize("count", [0, 1, 3, 9])
def test_classify_and_detect_take_one_image_or_several(classifier: Path, detector: Path, count: int) -> None:
    one = litevision.classify(RED_IMAGE, classifier, top=2)
    assert one.labels[0] == "red"
    assert len(one) == 2
    assert litevision.classify([RED_IMAGE] * count, classifier, top=2) == [one] * count
    assert litevision.classify(iter([RED_IMAGE] * count), classifier, top=2) == [one] * count
    found = litevision.detect(BOX, detector, score=0.5)
    assert found.xyxy.tolist() == [[8, 16, 40, 48]]
    assert litevision.detect([BOX] * count, detector, score=0.5) == [found] * count


def test_their_errors_are_those_of_predict(classifier: Path) -> None:
    with pytest.raises(FileMissingError, match=r"none\.jpg"):
        litevision.classify("none.jpg", classifier)
    with pytest.raises(ImageError, match="image of 4 bytes"):
        litevision.classify([RED_IMAGE] * 9 + [b"oops"], classifier)


def test_the_images_of_a_folder(classifier: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    folder = tmp_path / "photos"
    for name in ("a", "b", "locked/c", "d", "e"):
        (folder / name).parent.mkdir(exist_ok=True, parents=True)
        (folder / f"{name}.png").write_bytes(encoded(RED_IMAGE))
    (folder / "notes.txt").touch()
    found = litevision.find_images(folder)
    assert [it.labels[0] for it in litevision.classify(found, classifier)] == ["red"] * 4
    assert str(found.passed_over) == "1 file passed over (1 .txt), 1 folder not looked into"
    assert len(litevision.load_classifier(classifier).predict_batch(found)) == 4

    real = os.scandir

    def scandir(path: str) -> Any:
        if Path(path).name == "locked":
            raise PermissionError(13, "Permission denied", path)
        return real(path)

    monkeypatch.setattr("litevision.image.found.os.scandir", scandir)
    found = litevision.find_images(folder, recursive=True)
    results = list(litevision.load_classifier(classifier).stream(found, on_error="keep"))
    assert [(Path(it.name).name, it.error is None) for it in results] == [
        ("a.png", True),
        ("b.png", True),
        ("d.png", True),
        ("e.png", True),
        ("locked", False),
    ]
    with pytest.raises(ImageError, match="locked: the folder cannot be read"):
        litevision.classify(found, classifier)


def test_a_folder_or_a_number_is_no_image(classifier: Path, tmp_path: Path) -> None:
    of_folder = r"a folder.*litevision\.find_images\('.*'\) gives"
    loaded = litevision.load_classifier(classifier)
    with pytest.raises(ImageError, match=of_folder):
        litevision.classify(tmp_path, classifier)
    for call in (loaded.predict_batch, loaded.stream):
        with pytest.raises(UsageError, match=of_folder):
            call(str(tmp_path))
        with pytest.raises(UsageError, match="images of type int; expected an image, or several in a list"):
            call(5)  # type: ignore[arg-type]  # wrong on purpose
    with pytest.raises(UsageError, match="images of type int"):
        litevision.classify(5, classifier)  # type: ignore[call-overload]  # wrong on purpose
    with pytest.raises(FileMissingError, match="an empty path"):
        litevision.classify("", classifier)
