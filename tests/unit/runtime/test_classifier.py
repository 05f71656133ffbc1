from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from bundles import write_bundle
from images import encoded, noise, stored_as
from litevision.errors import BundleError, FileMissingError, ImageError, UsageError
from litevision.runtime import Classifier, Prediction, load

RED = np.full((20, 30, 3), (255, 0, 0), np.uint8)
BLUE = np.full((9, 9, 3), (0, 0, 255), np.uint8)


@pytest.fixture
def classifier(tmp_path: Path) -> Classifier:
    return load(write_bundle(tmp_path / "tiny.onnx"))


def test_scores_are_the_graphs(classifier: Classifier) -> None:
    best, *others = classifier.classify(RED)
    assert (best.label, best.index) == ("red", 0)
    assert best.score == pytest.approx(np.exp(10) / (np.exp(10) + 2))
    assert [other.score for other in others] == pytest.approx([1 / (np.exp(10) + 2)] * 2)


def test_every_kind_of_source(classifier: Classifier, tmp_path: Path) -> None:
    file = tmp_path / "blue.png"
    file.write_bytes(encoded(BLUE))
    answers = [classifier.classify(x) for x in (file, str(file), file.read_bytes(), Image.fromarray(BLUE), BLUE)]
    assert all(answer == answers[0] for answer in answers)
    assert answers[0][0].label == "blue"


@pytest.mark.parametrize(("top", "length"), [(1, 1), (2, 2), (3, 3), (5, 3), (1000, 3)])
def test_top(classifier: Classifier, top: int, length: int) -> None:
    predictions = classifier.classify(noise(10, 10), top=top)
    assert len(predictions) == length
    scores = [prediction.score for prediction in predictions]
    assert scores == sorted(scores, reverse=True)


def test_ties_go_to_the_lower_index(classifier: Classifier) -> None:
    assert [prediction.index for prediction in classifier.classify(np.zeros((5, 5, 3), np.uint8))] == [0, 1, 2]


@pytest.mark.parametrize("top", [0, -1])
def test_top_below_one(classifier: Classifier, top: int) -> None:
    with pytest.raises(UsageError, match=f"top {top} and batch_size 32; expected at least 1"):
        classifier.classify(RED, top=top)


@pytest.mark.parametrize("batch_size", [1, 2, 7, 100])
def test_batches_change_no_answer(classifier: Classifier, batch_size: int) -> None:
    images = [noise(10, 10 + seed, seed) // (1 + seed) for seed in range(7)]
    answers = classifier.classify_batch(images, top=2, batch_size=batch_size)
    assert answers == [classifier.classify(image, top=2) for image in images]
    assert classifier.classify_batch([]) == []


def test_exif_orientation_reaches_the_model(tmp_path: Path) -> None:
    # Blue, red, blue from top to bottom: the upright input shows all of it; on its side, the middle alone.
    upright = np.full((60, 20, 3), (0, 0, 255), np.uint8)
    upright[20:40] = (255, 0, 0)
    classifier = load(write_bundle(tmp_path / "tall.onnx", size_hw=(24, 8)))
    assert classifier.classify(upright)[0].label == "blue"
    assert classifier.classify(upright.transpose(1, 0, 2))[0].label == "red"
    for orientation in range(1, 9):
        assert classifier.classify(stored_as(upright, orientation))[0].label == "blue"


def test_a_bad_image_is_named(classifier: Classifier, tmp_path: Path) -> None:
    with pytest.raises(FileMissingError, match=r"none\.jpg"):
        classifier.classify(tmp_path / "none.jpg")
    with pytest.raises(ImageError, match="image of 4 bytes: not an image"):
        classifier.classify(b"oops")


def test_several_threads_may_ask(classifier: Classifier) -> None:
    images = [noise(30, 30, seed) // (1 + seed % 5) for seed in range(40)]
    alone = [classifier.classify(image) for image in images]
    with ThreadPoolExecutor(4) as pool:
        assert list(pool.map(classifier.classify, images)) == alone


def test_a_prediction_is_a_value() -> None:
    assert Prediction("red", 0.5, 0) == Prediction("red", 0.5, 0)
    assert len({Prediction("red", 0.5, 0), Prediction("red", 0.5, 0)}) == 1


@pytest.mark.parametrize("kinds", [{"output_name": "scores"}, {"num_classes": 4}])
def test_another_output_is_refused(tmp_path: Path, kinds: dict[str, Any]) -> None:
    file = write_bundle(tmp_path / "tiny.onnx", **kinds)
    with pytest.raises(BundleError, match=r"its outputs are .*; expected 'probabilities', tensor\(float\) of \[N, 3\]"):
        load(file)


def test_broken_weights_are_no_answer(tmp_path: Path) -> None:
    classifier = load(write_bundle(tmp_path / "tiny.onnx", gain=float("inf")))
    with pytest.raises(BundleError, match="gives scores that are no numbers"):
        classifier.classify(RED)
