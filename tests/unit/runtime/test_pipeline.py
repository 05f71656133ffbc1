"""The stream of results: order, bounds, bad images, early stops."""

import re
import threading
import time
from collections.abc import Generator, Iterator, Sequence
from contextlib import closing
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest

from litevision.errors import ImageError, UsageError
from litevision.image import Preprocess
from litevision.runtime import Inference, Predictions, PreprocessedImage, Result
from litevision.runtime.pipeline import stream_batches
from litevision.runtime.predictor import preprocess_image

LABELS = tuple(f"grey {value}" for value in range(256))


class GreyClassifier:
    """Names an image after its grey value, and notes how it was called."""

    preprocess: Any = Preprocess((8, 8), 8, "stretch")

    def __init__(self) -> None:
        self.batches: list[int] = []
        self.running = 0
        self.most_running = 0
        self._lock = threading.Lock()

    def infer(self, inputs: Sequence[npt.NDArray[np.uint8]], images: Sequence[Any]) -> list[Predictions]:
        with self._lock:
            self.batches.append(len(inputs))
            self.running += 1
            self.most_running = max(self.most_running, self.running)
        values = [int(image.max()) for image in inputs]
        with self._lock:
            self.running -= 1
        return [Predictions((LABELS[value],), np.ones(1, np.float32), np.array([value])) for value in values]


def grey(value: int) -> npt.NDArray[np.uint8]:
    return np.full((8, 8, 3), value, np.uint8)


def batches(classifier: GreyClassifier, sources: Any, **arguments: Any) -> Generator[list[Result[Predictions]]]:
    inference = Inference(classifier.preprocess, classifier.infer)
    return stream_batches(inference.run, sources, **{"workers": 2, "batch_size": 4, **arguments})


def run(classifier: GreyClassifier, sources: Any, **arguments: Any) -> Iterator[Result[Predictions]]:
    chunks = batches(classifier, sources, **arguments)
    with closing(chunks):
        for chunk in chunks:
            yield from chunk


@pytest.mark.parametrize("count", [0, 1, 3, 7, 8, 100])
@pytest.mark.parametrize("workers", [1, 3])
def test_answers_keep_the_order_of_the_images(count: int, workers: int) -> None:
    values = [value % 256 for value in range(count)]
    answers = list(run(GreyClassifier(), map(grey, values), workers=workers))
    assert [answer.predictions[0].index for answer in answers] == values
    assert all(answer.error is None and answer.ms > 0 for answer in answers)


def test_chunks_grow_to_the_asked_size() -> None:
    classifier = GreyClassifier()
    list(run(classifier, map(grey, range(20)), workers=1))
    assert classifier.batches == [1, 2, 4, 4, 4, 4, 1]


def test_a_bad_image_is_answered_in_its_place_and_stops_nothing() -> None:
    answers = list(run(GreyClassifier(), [grey(1), b"no image", grey(3), b"", grey(5)]))
    assert [bool(answer.error) for answer in answers] == [False, True, False, True, False]
    assert [answer.predictions[0].index for answer in answers if not answer.error] == [1, 3, 5]
    assert isinstance(answers[3].error, ImageError)
    with pytest.raises(ImageError):
        answers[1].predictions  # noqa: B018


def test_a_chunk_of_bad_images_alone_never_reaches_the_network() -> None:
    classifier = GreyClassifier()
    assert all(answer.error for answer in run(classifier, [b"x"] * 9))
    assert classifier.batches == []


def test_sources_are_read_as_they_are_used() -> None:
    read = 0

    def sources() -> Iterator[npt.NDArray[np.uint8]]:
        nonlocal read
        for value in range(200):
            read += 1
            yield grey(value)

    stream = run(GreyClassifier(), sources(), workers=2, batch_size=4)
    for _ in range(40):
        next(stream)
    # 40 results, a chunk that is being given out, and at most 2 chunks a worker under way.
    assert read <= 40 + 4 + 2 * 2 * 4
    stream.close()


def test_a_source_that_waits_gets_its_answers_at_once() -> None:
    """Each image comes only when the one before it is answered."""
    answered = 0

    def sources() -> Iterator[npt.NDArray[np.uint8] | None]:
        for value in range(9):
            for _ in range(2000):
                if answered == value:
                    break
                time.sleep(0.005)
                yield None
            assert answered == value
            yield grey(value)
            yield None

    for answer in run(GreyClassifier(), sources(), workers=2, batch_size=4):
        assert answer.predictions[0].index == answered
        answered += 1
    assert answered == 9


def test_what_is_prepared_keeps_its_name_and_is_not_prepared_again() -> None:
    fault = ImageError("clip.mp4: broken")
    sources = [
        PreprocessedImage("clip.mp4#t=1.000", grey(7), ms=1000.0),
        PreprocessedImage("clip.mp4", fault),
        "none.jpg",
    ]
    good, bad, missing = run(GreyClassifier(), sources)
    assert (good.name, good.predictions[0].index) == ("clip.mp4#t=1.000", 7)
    assert good.ms > 1000
    assert (bad.name, bad.error) == ("clip.mp4", fault)
    assert missing.name == "none.jpg"


def test_chunks_are_what_the_network_saw() -> None:
    chunks = batches(GreyClassifier(), map(grey, range(10)))
    assert [len(chunk) for chunk in chunks] == [1, 2, 4, 3]


def test_stopping_early_leaves_no_thread_behind() -> None:
    before = threading.active_count()
    stream = run(GreyClassifier(), map(grey, range(200)))
    next(stream)
    stream.close()
    assert threading.active_count() == before


def test_stopping_early_waits_for_no_whole_chunk() -> None:
    decoded = 0

    class Slow(GreyClassifier):
        def preprocess(self, source: Any) -> npt.NDArray[np.uint8]:  # type: ignore[override]  # a method for the attribute
            nonlocal decoded
            decoded += 1
            time.sleep(0.01)
            return grey(1)

    stream = run(Slow(), [b""] * 500, workers=1, batch_size=100)
    next(stream)
    stream.close()
    assert decoded < 20


def test_an_error_of_the_program_itself_is_raised() -> None:
    class Broken(GreyClassifier):
        def infer(self, inputs: Sequence[npt.NDArray[np.uint8]], images: Sequence[Any]) -> list[Predictions]:
            raise RuntimeError("the engine died")

    with pytest.raises(RuntimeError, match="the engine died"):
        list(run(Broken(), map(grey, range(9))))


@pytest.mark.parametrize("fault", [{"workers": 0}, {"batch_size": 0}])
def test_a_count_below_one_is_refused_at_once(fault: dict[str, int]) -> None:
    with pytest.raises(UsageError, match="expected at least 1 of each"):
        batches(GreyClassifier(), [], **fault)


def test_paths_are_sources_too(tmp_path: Path) -> None:
    answers = list(run(GreyClassifier(), [tmp_path / "missing.jpg"]))
    assert "no such file" in str(answers[0].error)


@pytest.mark.parametrize(
    ("raised", "said"),
    [
        (IndexError("index out of range"), r"a\.jpg: cannot be read \(unexpected IndexError: index out of range\)"),
        (MemoryError(), r"a\.jpg: not enough memory to read it\."),
        (AssertionError("two\nlines"), r"a\.jpg: cannot be read \(unexpected AssertionError: two lines\)"),
    ],
)
def test_whatever_a_reader_raises_is_its_images_error(raised: Exception, said: str) -> None:
    def read(source: object) -> None:
        raise raised

    prepared = preprocess_image(read, "a.jpg")
    assert re.search(said, str(prepared.error))
