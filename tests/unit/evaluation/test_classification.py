"""A bundle over labelled images: who is matched with whom, what is left out, and that it is the runtime's answer."""

import threading
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest

from bundles import LABELS, write_bundle
from images import encoded, noise
from litevision.data import DetectionSample, LabelledBoxes
from litevision.data.dataset import LabelledImages, Sample, Split
from litevision.errors import BundleError, UnknownNameError, UsageError
from litevision.evaluation import Skipped, evaluate_bundle, scores, select_split
from litevision.evaluation.samples import label_indices
from litevision.hub import load
from litevision.registry.labels import imagenet_labels
from litevision.runtime import Classifier
from litevision.runtime.results import Result

COLOURS = {"red": (255, 0, 0), "green": (0, 255, 0), "blue": (0, 0, 255)}


@pytest.fixture
def classifier(tmp_path: Path) -> Classifier:
    return load(write_bundle(tmp_path / "tiny.onnx"), threads=1, streams=2)


def image(folder: Path, name: str, colour: str) -> Path:
    path = folder / name
    path.write_bytes(encoded(np.full((9, 12, 3), COLOURS[colour], np.uint8)))
    return path


def samples(paths: Sequence[Path], labels: Sequence[int], split: Split = "test") -> list[Sample]:
    return [Sample(path, label, split) for path, label in zip(paths, labels, strict=True)]


def test_classes_are_matched_by_name_not_by_order(classifier: Classifier, tmp_path: Path) -> None:
    paths = [image(tmp_path, f"{name}.png", name) for name in COLOURS]
    found = evaluate_bundle(classifier, samples(paths, [2, 1, 0]), ("blue", "green", "red"), split="test")
    assert found.classes == LABELS
    assert found.labels.tolist() == [0, 1, 2]
    assert found.labels.dtype == np.int64
    assert scores(found).top1 == 100


def test_labels_that_the_data_lacks_are_answers_all_the_same(classifier: Classifier, tmp_path: Path) -> None:
    paths = [image(tmp_path, "a.png", "green"), image(tmp_path, "b.png", "blue")]
    found = evaluate_bundle(classifier, samples(paths, [0, 1]), ("green", "red"), split="validation")
    assert (found.split, found.classes, found.labels.tolist()) == ("validation", LABELS, [1, 0])
    assert scores(found).confusion == ((0, 0, 1), (0, 1, 0), (0, 0, 0))


def test_the_answers_are_the_runtime_s(classifier: Classifier, tmp_path: Path) -> None:
    paths = [tmp_path / f"{number}.png" for number in range(33)]
    for number, path in enumerate(paths):
        path.write_bytes(encoded(noise(20, 30, number) // (1 + number % 3)))
    found = evaluate_bundle(classifier, samples(paths, [0] * 33), LABELS, split="all")
    assert found.paths == tuple(paths)
    expected = classifier.probabilities(classifier.preprocess.batch(paths))
    assert found.probabilities.dtype == np.float32
    np.testing.assert_allclose(found.probabilities, expected, rtol=1e-5)
    assert len({row.tobytes() for row in found.probabilities}) > 20


def test_a_image_that_cannot_be_read_is_left_out_and_named(classifier: Classifier, tmp_path: Path) -> None:
    bad, missing = tmp_path / "bad.jpg", tmp_path / "missing.jpg"
    bad.write_bytes(b"oops")
    paths = [bad, image(tmp_path, "a.png", "red"), missing, image(tmp_path, "b.png", "blue")]
    heard: list[Result] = []
    found = evaluate_bundle(classifier, samples(paths, [1, 0, 1, 2]), LABELS, split="all", on_results=heard.extend)
    assert found.paths == (paths[1], paths[3])
    assert found.labels.tolist() == [0, 2]
    assert found.probabilities.argmax(axis=1).tolist() == [0, 2]
    assert [it.path for it in found.skipped] == [bad, missing]
    assert found.skipped[0] == Skipped(
        bad, f"{bad}: not an image that can be read; expected JPEG, PNG, WebP, TIFF, AVIF or another image format."
    )
    assert [answer.source for answer in heard] == paths
    assert [answer.error is None for answer in heard] == [False, True, False, True]


def test_no_images_give_an_empty_evaluation(classifier: Classifier) -> None:
    found = evaluate_bundle(classifier, [], LABELS, split="test")
    assert (found.paths, found.probabilities.shape, found.labels.shape) == ((), (0, 3), (0,))


def test_as_many_images_at_once_as_the_bundle_has_streams(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    classifier = load(write_bundle(tmp_path / "tiny.onnx"), threads=1, streams=3)
    names = set()
    probabilities = Classifier.probabilities

    def noting(self: Classifier, batch: np.ndarray) -> object:
        names.add(threading.current_thread().name)
        return probabilities(self, batch)

    monkeypatch.setattr(Classifier, "probabilities", noting)
    paths = [image(tmp_path, "a.png", "red")] * 60
    evaluate_bundle(classifier, samples(paths, [0] * 60), LABELS, split="test")
    assert names <= {f"litevision_{number}" for number in range(3)}
    assert len(names) > 1


def test_an_early_end_leaves_no_worker_behind(classifier: Classifier, tmp_path: Path) -> None:
    def stop(_: Sequence[Result]) -> None:
        raise KeyboardInterrupt

    paths = [image(tmp_path, "a.png", "red")] * 100
    with pytest.raises(KeyboardInterrupt):
        evaluate_bundle(classifier, samples(paths, [0] * 100), LABELS, split="test", on_results=stop)
    assert [it.name for it in threading.enumerate() if it.name.startswith("litevision")] == []


def test_broken_weights_are_an_error_not_a_score(tmp_path: Path) -> None:
    classifier = load(write_bundle(tmp_path / "tiny.onnx", gain=float("nan")), threads=1, streams=2)
    given = samples([image(tmp_path, "a.png", "red")], [0])
    with pytest.raises(BundleError, match="outputs NaN or inf; its weights are corrupted"):
        evaluate_bundle(classifier, given, LABELS, split="test")


def test_unknown_classes_are_all_named_with_the_nearest_labels() -> None:
    with pytest.raises(UnknownNameError) as raised:
        label_indices(("Red", "blue", "tree"), LABELS)
    assert str(raised.value) == (
        "the bundle does not know 2 of the data's 3 classes: 'Red' (nearest: 'red'), 'tree'. It has 3 labels: red, "
        "green, blue. Rename the classes to its labels, or take a bundle made for them."
    )


@pytest.mark.parametrize(
    ("name", "nearest"), [("hat", "cowboy_hat"), ("Shirt", "sweatshirt"), ("tensh", "tench"), ("TENCH", "tench")]
)
def test_the_nearest_label(name: str, nearest: str) -> None:
    with pytest.raises(UnknownNameError, match=rf"'{name}' \(nearest: '{nearest}'\)\. It has"):
        label_indices([name], imagenet_labels())


def test_of_many_unknown_classes_ten_are_named() -> None:
    with pytest.raises(UnknownNameError) as raised:
        label_indices([f"{number:04}" for number in range(1200)], imagenet_labels())
    message = str(raised.value)
    assert "does not know 1,200 of the data's 1,200 classes: '0000', '0001', " in message
    assert "'0009' and 1,190 more. It has 1,000 labels: tench, goldfish, " in message
    assert "ostrich and 990 more. Rename" in message
    assert "\n" not in message
    assert len(message) < 500


def test_a_name_that_two_labels_have_is_refused() -> None:
    with pytest.raises(UsageError, match="the bundle has 2 labels 'crane', so which of them is meant is unknown"):
        label_indices(("tench", "crane"), imagenet_labels())
    assert label_indices(("goldfish", "tench"), imagenet_labels()).tolist() == [1, 0]


def images(**counts: int) -> LabelledImages:
    found = [
        Sample(Path(f"{split}/{number}.jpg"), 0, split) for split, count in counts.items() for number in range(count)
    ]
    return LabelledImages(Path("data"), ("a", "b"), tuple(found), made_splits=False)


@pytest.mark.parametrize(
    ("counts", "split", "expected", "number"),
    [
        ({"train": 5, "validation": 3, "test": 2}, None, "test", 2),
        ({"train": 5, "validation": 3}, None, "validation", 3),
        ({"train": 5}, None, "all", 5),
        ({"train": 5, "validation": 3, "test": 2}, "all", "all", 10),
        ({"train": 5, "validation": 3, "test": 2}, "train", "train", 5),
    ],
)
def test_the_split_that_is_taken(counts: dict[str, int], split: str | None, expected: str, number: int) -> None:
    name, found = select_split(images(**counts), split)
    assert (name, len(found)) == (expected, number)


@pytest.mark.parametrize(("labels", "expected"), [({"test"}, "test"), ({"validation"}, "validation"), (set(), "all")])
def test_of_images_with_boxes_the_split_that_has_some(labels: set[str], expected: str) -> None:
    splits: tuple[Split, ...] = ("test", "validation")
    found = [
        DetectionSample(
            Path(f"{split}.jpg"),
            np.zeros((count, 4), np.float32),
            np.zeros(count, np.int64),
            np.zeros(count, np.bool_),
            split,
            (8, 8),
        )
        for split in splits
        for count in [int(split in labels)]
    ]
    assert select_split(LabelledBoxes(Path("data"), ("a",), tuple(found), made_splits=False))[0] == expected


def test_a_split_without_images_is_refused() -> None:
    with pytest.raises(
        UsageError,
        match=r"^data: the split 'test' has no images; expected one that has some \(train 1,500, validation 2\)\.$",
    ):
        select_split(images(train=1500, validation=2), "test")
    with pytest.raises(UsageError, match=r"the split 'all' has no images; .* \(none at all\)"):
        select_split(images(), None)


def test_an_unknown_split_is_refused() -> None:
    with pytest.raises(UnknownNameError, match=r"no split 'val'\. Did you mean 'all' or 'validation'"):
        select_split(images(train=1), "val")
