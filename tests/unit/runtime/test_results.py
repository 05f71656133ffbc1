"""Predictions: rows, arrays, plain values and pictures of them."""

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from litevision.errors import ImageError, UsageError
from litevision.registry.labels import imagenet_labels
from litevision.runtime import Prediction, Predictions, Result

FOUND = Predictions(("dog", "cat", "cow"), np.array([0.5, 0.375, 0.125], np.float32), np.array([7, 0, 3]))


def test_rows_and_arrays_say_the_same() -> None:
    rows = [Prediction("dog", 0.5, 7), Prediction("cat", 0.375, 0), Prediction("cow", 0.125, 3)]
    assert list(FOUND) == [FOUND[0], FOUND[1], FOUND[-1]] == rows
    assert (len(FOUND), list(FOUND[1:]), list(FOUND.top(2)), list(FOUND.top(9))) == (3, rows[1:], rows[:2], rows)
    with pytest.raises(IndexError):
        FOUND[3]
    with pytest.raises(UsageError, match=r"^top 0; expected at least 1\.$"):
        FOUND.top(0)


def test_plain_values() -> None:
    assert FOUND.top(1).to_dict() == {"predictions": [{"label": "dog", "score": 0.5, "index": 7}]}
    assert json.loads(FOUND.to_json()) == FOUND.to_dict()
    sized = replace(FOUND, image_hw=(48, 64))
    assert sized.top(1).to_dict() == {**FOUND.top(1).to_dict(), "image_hw": [48, 64]}


def test_what_a_calibrated_model_is_unsure_of_says_so() -> None:
    found = Predictions(FOUND.labels, FOUND.scores, FOUND.index, confidence=0.4, unsure=True)
    assert found.top(1).to_dict() == {**FOUND.top(1).to_dict(), "confidence": 0.4, "unsure": True}
    assert (FOUND.confidence, FOUND.unsure) == (None, False)


def test_classes_of_imagenet_have_wordnet_ids() -> None:
    found = Predictions(
        ("African_elephant", "tusker"), np.array([0.75, 0.25], np.float32), np.array([386, 101]), is_imagenet=True
    )
    assert found.decode() == [("n02504458", "African_elephant", 0.75), ("n01871265", "tusker", 0.25)]
    assert found[1:].wordnet_ids == ("n01871265",)
    assert [row["wordnet_id"] for row in found.to_dict()["predictions"]] == ["n02504458", "n01871265"]
    with pytest.raises(UsageError, match="WordNet ids are of ImageNet's 1000 classes, and this model has others"):
        FOUND.decode()


def test_ids_stand_in_the_order_of_the_labels() -> None:
    """ImageNet's classes are sorted by their ids; two pairs of classes share a name."""
    ids = Predictions(imagenet_labels(), np.zeros(1000, np.float32), np.arange(1000), is_imagenet=True).wordnet_ids
    assert list(ids) == sorted(set(ids))
    by_id = dict(zip(ids, imagenet_labels(), strict=True))
    assert (by_id["n01440764"], by_id["n15075141"], by_id["n02012849"]) == ("tench", "toilet_tissue", "crane")


def test_equal_predictions_are_equal_whatever_their_image() -> None:
    again = Predictions(FOUND.labels, FOUND.scores.copy(), FOUND.index.copy(), b"image")
    assert again == FOUND
    assert FOUND.top(2) != FOUND
    assert Predictions(FOUND.labels, FOUND.scores / 2, FOUND.index) != FOUND
    assert FOUND != "text"
    with pytest.raises(TypeError, match="unhashable"):
        hash(FOUND)


def test_arrays_of_other_lengths_are_refused() -> None:
    with pytest.raises(UsageError, match=r"^1 labels, scores of shape \(2,\) and index of shape \(1,\); expected as"):
        Predictions(("a",), np.ones(2, np.float32), np.zeros(1, np.int64))


def test_a_plot_shows_the_image_and_a_bar_for_each_class(tmp_path: Path) -> None:
    file = tmp_path / "blue.png"
    Image.new("RGB", (960, 480), (0, 0, 255)).save(file)
    drawn = Predictions(FOUND.labels, FOUND.scores, FOUND.index, file).plot()
    bars = np.asarray(FOUND.plot())
    assert (drawn.mode, drawn.width) == ("RGB", bars.shape[1])
    assert np.array_equal(np.asarray(drawn)[-len(bars) :], bars)
    assert drawn.getpixel((9, 9)) == (0, 0, 255)
    inked = (bars != 255).any(axis=2).reshape(3, -1, bars.shape[1])[:, 3].sum(axis=1)  # above the texts
    assert (inked / bars.shape[1]).tolist() == pytest.approx([0.5, 0.375, 0.125], abs=0.02)


def test_a_result_has_predictions_or_an_error() -> None:
    good, bad = Result("a.jpg", FOUND, 2.0), Result(Path("b.jpg"), ImageError("b.jpg: damaged"), 1.0)
    assert (good.name, good.error, good.predictions) == ("a.jpg", None, FOUND)
    assert (bad.name, str(bad.error)) == ("b.jpg", "b.jpg: damaged")
    with pytest.raises(ImageError, match=r"b\.jpg: damaged"):
        bad.predictions  # noqa: B018
