import copy
import json
from contextlib import suppress
from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bundles import plain_metadata
from litevision.errors import BundleError
from litevision.image import Preprocess
from litevision.runtime import (
    Architecture,
    BundleMetadata,
    Calibration,
    Check,
    DetectionScore,
    Normalisation,
    Score,
    Weights,
)
from litevision.runtime.suppression import Suppression

FULL = BundleMetadata(
    task="classification",
    labels=("tench", "čau"),
    preprocess=Preprocess((192, 160), 200, "letterbox", "bicubic"),
    normalisation=Normalisation((0.485, 0.456, 0.406), (0.229, 0.224, 0.225)),
    architecture=Architecture("mobilenet_v3_large", "torchvision", 0.75, 2, {"minimalistic": True, "head": [1, None]}),
    weights=Weights("mobilenet_v3_large.tv", "converted", "BSD-3-Clause", "ab" * 32),
    training_data="ImageNet-1k",
    score=Score(72.1, 90.8, "ImageNet-1k val", 50_000, (192, 160), "litevision evaluate"),
    check=Check("onnxruntime 1.31.1", 8, 1e-6, 1.0),
)

DETECTOR = replace(
    FULL,
    task="detection",
    score=DetectionScore(0.62, 0.92, 0.7, "cells, test split", 72, (192, 160), "litevision evaluate"),
    score_thresholds=(0.25, 0.4),
    top_k=20,
    suppression=Suppression(0.6, 0.05, 100),
)


def changed(path: str, value: Any = ..., *, of: BundleMetadata = FULL) -> str:
    """The metadata as JSON with the value at a dotted path replaced, or taken out."""
    plain = copy.deepcopy(json.loads(of.to_json()))
    *parents, last = path.split(".")
    place = plain
    for parent in parents:
        place = place[parent]
    if value is ...:
        del place[last]
    else:
        place[last] = value
    return json.dumps(plain)


def test_round_trip() -> None:
    assert BundleMetadata.from_json(FULL.to_json()) == FULL
    assert BundleMetadata.from_json(replace(FULL, score=None).to_json()).score is None


def test_a_calibration_is_read_checked_and_left_out() -> None:
    calibrated = replace(FULL, calibration=Calibration(0.75, 0.5, "90 images"))
    assert BundleMetadata.from_json(calibrated.to_json()) == calibrated
    assert "calibration" not in FULL.to_json()
    for wrong in (Calibration(0.0, 0.5, ""), Calibration(1.0, 1.5, ""), Calibration(-1.0, 0.5, "")):
        with pytest.raises(BundleError, match="expected a number above 0 and one from 0 to 1"):
            replace(FULL, calibration=wrong)
    with pytest.raises(BundleError, match="expected one of a classifier alone"):
        replace(DETECTOR, calibration=Calibration(1.0, 0.5, ""))


def test_round_trip_of_a_detector() -> None:
    assert BundleMetadata.from_json(DETECTOR.to_json()) == DETECTOR
    assert BundleMetadata.from_json(replace(DETECTOR, score=None).to_json()).score is None
    plain = json.loads(DETECTOR.to_json())
    assert (plain["score_thresholds"], plain["top_k"]) == ([0.25, 0.4], 20)
    assert BundleMetadata.from_json(changed("top_k", of=DETECTOR)).top_k is None
    assert set(plain["score"]) == {"ap", "ap50", "ap75", "dataset", "count", "size_hw", "measured_by"}


def test_thresholds_may_be_absent_and_are_not_written_for_a_classifier() -> None:
    """So that what a classifier says of itself is, byte for byte, what it always said."""
    assert list(json.loads(FULL.to_json()))[1:] == list(plain_metadata())[1:]
    assert BundleMetadata.from_json(changed("score_thresholds", of=DETECTOR)).score_thresholds is None
    assert BundleMetadata.from_json(changed("score_thresholds", None, of=DETECTOR)).score_thresholds is None


@pytest.mark.parametrize(
    ("key", "value", "message"),
    [
        ("score.ap50", ..., r"score\.ap50 is missing"),
        ("score.ap", "0.6", r"score\.ap is '0\.6', expected a number"),
        ("score", {"count": 3}, r"score\.top1 is missing; .*score\.size_hw is missing"),
        ("score", json.loads(FULL.to_json())["score"], "a Score for detection; expected DetectionScore"),
        ("task", "classification", "a DetectionScore for classification; expected Score"),
        ("score_thresholds", [0.3], "1 score_thresholds for 2 classes of detection; expected one for each class of a"),
        ("score_thresholds", [0.3, 1.5], r"score_thresholds are \(0\.3, 1\.5\); expected numbers from 0 to 1"),
        ("score_thresholds", 0.3, r"score_thresholds is 0\.3, expected a list"),
        (
            "suppression",
            {"iou_threshold": 1.5, "score_threshold": 0.05, "max_detections": 100},
            r"suppression has the thresholds \(1\.5, 0\.05\) and 100 detections; expected numbers from 0 to 1",
        ),
        (
            "suppression",
            {"iou_threshold": 0.6, "score_threshold": 0.05, "max_detections": 0},
            "and 0 detections; expected numbers from 0 to 1, and 1 or more detections",
        ),
        ("suppression", {"iou_threshold": 0.6}, "suppression.score_threshold is missing"),
        ("top_k", 0, "top_k is 0 for detection; expected 1 or more, of a detector"),
        ("top_k", "20", "top_k is '20', expected a whole number"),
    ],
)
def test_what_a_detector_cannot_say(key: str, value: Any, message: str) -> None:
    with pytest.raises(BundleError, match=message):
        BundleMetadata.from_json(changed(key, value, of=DETECTOR))


def test_a_classifier_has_no_thresholds() -> None:
    with pytest.raises(BundleError, match="2 score_thresholds for 2 classes of classification; expected one for each"):
        replace(FULL, score_thresholds=(0.1, 0.2))
    with pytest.raises(BundleError, match="a suppression for classification; expected one of a detector alone"):
        replace(FULL, suppression=Suppression(0.6, 0.05, 100))
    with pytest.raises(BundleError, match="top_k is 5 for classification"):
        replace(FULL, top_k=5)


def test_the_json_is_the_documented_one() -> None:
    plain = json.loads(FULL.to_json())
    assert plain["format_version"] == 1
    assert plain["labels"] == ["tench", "čau"]
    assert plain["preprocess"] == {
        "size_hw": [192, 160],
        "resize_px": 200,
        "crop": "letterbox",
        "interpolation": "bicubic",
    }
    assert plain["architecture"] == {
        "name": "mobilenet_v3_large",
        "dialect": "torchvision",
        "width_mult": 0.75,
        "num_classes": 2,
        "minimalistic": True,
        "head": [1, None],
    }


def test_unknown_keys_are_passed_over() -> None:
    assert BundleMetadata.from_json(changed("weights.colour", "blue")) == FULL
    assert BundleMetadata.from_json(changed("added_in_2030", {"x": 1})) == FULL


def test_whole_numbers_do_for_fractions() -> None:
    width_mult = BundleMetadata.from_json(changed("architecture.width_mult", 1)).architecture.width_mult
    assert (width_mult, type(width_mult)) == (1.0, float)


KEYS = [
    *(f"{key}" for key in plain_metadata()),
    *(f"{key}.{inner}" for key, value in plain_metadata().items() if isinstance(value, dict) for inner in value),
    *(f"score.{key}" for key in ("top1", "top5", "dataset", "count", "size_hw", "measured_by")),
]


@pytest.mark.parametrize("key", KEYS)
def test_a_missing_key_is_named(key: str) -> None:
    with pytest.raises(BundleError, match=f"^v2.onnx: its metadata is not usable: {key} is missing. Make the bundle"):
        BundleMetadata.from_json(changed(key), name="v2.onnx")


@pytest.mark.parametrize(
    ("key", "value", "message"),
    [
        ("task", "poetry", "task is 'poetry', expected 'classification' or 'detection'"),
        ("labels", "tench", "labels is 'tench', expected a list"),
        ("labels", ["tench", 3], r"labels\[1\] is 3, expected text"),
        ("labels", ["tench"], "1 labels for 2 classes"),
        ("preprocess", [], r"preprocess is \[\], expected an object"),
        ("preprocess.size_hw", [224], r"preprocess.size_hw is \[224\], expected a list of 2"),
        ("preprocess.size_hw", [224, 224.5], r"preprocess.size_hw\[1\] is 224.5, expected a whole number"),
        ("preprocess.size_hw", [0, 224], r"preprocess: size_hw is \(0, 224\); expected"),
        ("preprocess.crop", "middle", "preprocess.crop is 'middle', expected 'center' or 'stretch' or 'letterbox'"),
        ("preprocess.crop", ["center"], r"preprocess.crop is \['center'\], expected"),
        ("preprocess.resize_px", True, "preprocess.resize_px is True, expected a whole number"),
        ("normalisation.mean", [0.1, 0.2, "x"], r"normalisation.mean\[2\] is 'x', expected a number"),
        ("weights.sha256", None, "weights.sha256 is None, expected text"),
        ("check", None, "check is None, expected an object"),
        ("score.top1", "72", "score.top1 is '72', expected a number"),
        ("score.top1", 10**400, r"score.top1 is 10+\.\.\., expected a number"),
    ],
)
def test_a_wrong_value_is_named(key: str, value: Any, message: str) -> None:
    with pytest.raises(BundleError, match=message):
        BundleMetadata.from_json(changed(key, value))


def test_all_faults_are_named_at_once() -> None:
    plain = json.loads(changed("weights.licence"))
    plain["check"]["images"] = "eight"
    with pytest.raises(BundleError, match=r"weights\.licence is missing; check\.images is 'eight', expected a whole"):
        BundleMetadata.from_json(json.dumps(plain))


@pytest.mark.parametrize("version", [2, 0, "1", None])
def test_another_format_version(version: object) -> None:
    with pytest.raises(BundleError, match=f"format_version {version!r}; this litevision reads 1. Update litevision"):
        BundleMetadata.from_json(changed("format_version", version))


def test_infinity_is_no_number() -> None:
    with pytest.raises(BundleError, match=r"score\.top1 is inf, expected a number"):
        BundleMetadata.from_json(FULL.to_json().replace("72.1", "1e999"))


@pytest.mark.parametrize("text", ["", "{", "nonsense", '{"format_version": NaN}', "[" * 100_000])
def test_no_json(text: str) -> None:
    with pytest.raises(BundleError, match=r"^it: its metadata is not valid JSON \("):
        BundleMetadata.from_json(text, name="it")


@pytest.mark.parametrize("text", ["[]", "3", "null"])
def test_no_json_object(text: str) -> None:
    with pytest.raises(BundleError, match="not an object"):
        BundleMetadata.from_json(text)


def test_labels_must_fit_when_a_bundle_is_made() -> None:
    with pytest.raises(BundleError, match="3 labels for 2 classes"):
        replace(FULL, labels=("a", "b", "c"))


json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(),
    lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
    max_leaves=8,
)


@given(key=st.sampled_from(KEYS), value=json_values)
def test_no_json_value_raises_anything_else(key: str, value: Any) -> None:
    with suppress(BundleError):
        BundleMetadata.from_json(changed(key, value))
