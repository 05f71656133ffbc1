import multiprocessing
import pickle
from concurrent.futures import ProcessPoolExecutor, ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from bundles import write_bundle
from images import encoded, noise, stored_as
from litevision.errors import BundleError, FileMissingError, ImageError, UsageError
from litevision.hub import load
from litevision.runtime import Bundle, Classifier, Prediction

RED = np.full((20, 30, 3), (255, 0, 0), np.uint8)
BLUE = np.full((9, 9, 3), (0, 0, 255), np.uint8)


@pytest.fixture
def classifier(tmp_path: Path) -> Classifier:
    return load(write_bundle(tmp_path / "tiny.onnx"))


def test_scores_are_the_graphs(classifier: Classifier) -> None:
    best, *others = classifier.predict(RED)
    assert (best.label, best.index) == ("red", 0)
    assert best.score == pytest.approx(np.exp(10) / (np.exp(10) + 2))
    assert [other.score for other in others] == pytest.approx([1 / (np.exp(10) + 2)] * 2)


def test_every_kind_of_source(classifier: Classifier, tmp_path: Path) -> None:
    file = tmp_path / "blue.png"
    file.write_bytes(encoded(BLUE))
    answers = [classifier.predict(x) for x in (file, str(file), file.read_bytes(), Image.fromarray(BLUE), BLUE)]
    assert all(answer == answers[0] for answer in answers)
    assert answers[0][0].label == "blue"


@pytest.mark.parametrize(("top", "length"), [(1, 1), (2, 2), (3, 3), (5, 3), (1000, 3)])
def test_top(classifier: Classifier, top: int, length: int) -> None:
    predictions = classifier.predict(noise(10, 10), top=top)
    assert len(predictions) == length
    scores = [prediction.score for prediction in predictions]
    assert scores == sorted(scores, reverse=True)


def test_ties_go_to_the_lower_index(classifier: Classifier) -> None:
    assert [prediction.index for prediction in classifier.predict(np.zeros((5, 5, 3), np.uint8))] == [0, 1, 2]


@pytest.mark.parametrize("top", [0, -1])
def test_top_below_one(classifier: Classifier, top: int) -> None:
    with pytest.raises(UsageError, match=rf"^top {top}; expected at least 1\.$"):
        classifier.predict(RED, top=top)


@pytest.mark.parametrize("batch_size", [1, 2, 7, 100])
def test_batches_change_no_answer(classifier: Classifier, batch_size: int) -> None:
    images = [noise(10, 10 + seed, seed) // (1 + seed) for seed in range(7)]
    answers = classifier.predict_batch(images, top=2, batch_size=batch_size)
    assert answers == [classifier.predict(image, top=2) for image in images]
    assert classifier.predict_batch(iter(images), top=2, batch_size=batch_size) == answers
    assert classifier.predict_batch([]) == []


def test_exif_orientation_reaches_the_model(tmp_path: Path) -> None:
    # Blue, red, blue from top to bottom: the upright input shows all of it; on its side, the middle alone.
    upright = np.full((60, 20, 3), (0, 0, 255), np.uint8)
    upright[20:40] = (255, 0, 0)
    classifier = load(write_bundle(tmp_path / "tall.onnx", size_hw=(24, 8)))
    assert classifier.predict(upright)[0].label == "blue"
    assert classifier.predict(upright.transpose(1, 0, 2))[0].label == "red"
    for orientation in range(1, 9):
        assert classifier.predict(stored_as(upright, orientation))[0].label == "blue"


def test_a_bad_image_is_named(classifier: Classifier, tmp_path: Path) -> None:
    with pytest.raises(FileMissingError, match=r"none\.jpg"):
        classifier.predict(tmp_path / "none.jpg")
    with pytest.raises(ImageError, match="image of 4 bytes: not an image"):
        classifier.predict(b"oops")


def test_several_threads_may_ask(classifier: Classifier) -> None:
    images = [noise(30, 30, seed) // (1 + seed % 5) for seed in range(40)]
    alone = [classifier.predict(image) for image in images]
    with ThreadPoolExecutor(4) as pool:
        assert list(pool.map(classifier.predict, images)) == alone


def test_a_prediction_is_a_value() -> None:
    assert Prediction("red", 0.5, 0) == Prediction("red", 0.5, 0)
    assert len({Prediction("red", 0.5, 0), Prediction("red", 0.5, 0)}) == 1


@pytest.mark.parametrize("kinds", [{"output_name": "scores"}, {"num_classes": 4}])
def test_another_output_is_refused(tmp_path: Path, kinds: dict[str, Any]) -> None:
    file = write_bundle(tmp_path / "tiny.onnx", **kinds)
    with pytest.raises(BundleError, match=r"its outputs are .*; expected 'probabilities', tensor\(float\) of \[N, 3\]"):
        load(file)


def test_a_stream_keeps_the_order_and_ends_at_the_first_bad_image(classifier: Classifier, tmp_path: Path) -> None:
    images = [RED, BLUE, b"oops", RED]
    stream = classifier.stream(images, top=1)
    assert [next(stream).predictions.labels for _ in range(2)] == [("red",), ("blue",)]
    with pytest.raises(ImageError, match="image of 4 bytes: not an image"):
        next(stream)


@pytest.mark.parametrize("workers", [None, 1, 3])
def test_a_stream_may_keep_errors(classifier: Classifier, workers: int | None) -> None:
    results = list(classifier.stream(iter([RED, "none.jpg", BLUE]), on_error="keep", workers=workers))
    assert [it.name for it in results] == ["ndarray", "none.jpg", "ndarray"]
    assert [bool(it.error) for it in results] == [False, True, False]
    assert results[2].predictions == classifier.predict(BLUE)
    with pytest.raises(FileMissingError, match=r"none\.jpg: no such file"):
        results[1].predictions  # noqa: B018


def test_workers_get_an_engine_of_one_thread_each(classifier: Classifier) -> None:
    assert [it.error for it in classifier.stream([RED] * 9, workers=3)] == [None] * 9
    predictor, workers = classifier._with_workers(3)
    assert workers == predictor.bundle.engine.choice.streams == 3
    assert classifier._with_workers(3)[0] is predictor
    assert classifier._with_workers(1) == (classifier, 1)


@pytest.mark.parametrize("one", ["photo.jpg", b"bytes", Path("photo.jpg"), RED])
def test_one_image_where_several_are_expected_is_refused(classifier: Classifier, one: Any) -> None:
    for call in (classifier.predict_batch, classifier.stream):
        with pytest.raises(
            UsageError, match=rf"^one image of type {type(one).__name__}; expected several\. Use predict"
        ):
            call(one)


def test_what_streams_refuse(classifier: Classifier) -> None:
    with pytest.raises(UsageError, match=r"^on_error 'skip'; expected 'raise' or 'keep'\.$"):
        classifier.stream([], on_error="skip")  # type: ignore[arg-type]  # wrong on purpose
    with pytest.raises(UsageError, match=r"^batch_size 0; expected at least 1\.$"):
        classifier.predict_batch([], batch_size=0)


def test_another_process_may_be_given_a_classifier(
    classifier: Classifier, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    relative = Classifier(Bundle.open("tiny.onnx", threads=2, streams=3))
    data = pickle.dumps(relative)
    monkeypatch.chdir("/")
    again = pickle.loads(data)  # our own
    assert again.bundle.engine.choice == relative.bundle.engine.choice
    with ProcessPoolExecutor(1, multiprocessing.get_context("spawn")) as pool:
        assert pool.submit(again.predict, RED).result() == classifier.predict(RED)
    (tmp_path / "tiny.onnx").unlink()
    with pytest.raises(FileMissingError, match=r"tiny\.onnx: no such bundle\. Check the path"):
        pickle.loads(data)


def test_broken_weights_are_no_answer(tmp_path: Path) -> None:
    classifier = load(write_bundle(tmp_path / "tiny.onnx", gain=float("inf")))
    with pytest.raises(BundleError, match="outputs NaN or inf; its weights are corrupted"):
        classifier.predict(RED)
