"""The words of slim, Keras, torchvision, timm and the tutorials in ``create``: taken where they mean the same."""

import inspect
from collections import namedtuple
from pathlib import Path
from typing import Any

import pytest
import torch
from torchvision.models.mobilenetv3 import _mobilenet_v3_conf

from litevision.errors import UnknownNameError, UsageError
from litevision.models.centernet import CenterNet
from litevision.models.mobilenet_v4 import Conv as V4Conv
from litevision.models.mobilenet_v4 import UniversalBottleneck
from litevision.models.network import Network
from litevision.weights.create import Create, create
from litevision.weights.foreign_words import FOREIGN_WORDS
from litevision.weights.save import save_weights
from networks import SHORT_ROWS

Conv = namedtuple("Conv", ["kernel", "stride", "depth"])  # as slim writes them
DepthSepConv = namedtuple("DepthSepConv", ["kernel", "stride", "depth"])
CONV_DEFS = [
    Conv(kernel=[3, 3], stride=2, depth=32),
    DepthSepConv(kernel=[3, 3], stride=1, depth=64),
    DepthSepConv(kernel=[5, 5], stride=2, depth=24),
]
V2_ROWS = [[1, 16, 1, 1], [6, 24, 2, 2], [6, 32, 3, 2], [6, 64, 4, 2], [6, 96, 3, 1], [6, 160, 3, 2], [6, 320, 1, 1]]
HEADS = {"hm": 10, "wh": 2, "reg": 2}


@pytest.mark.parametrize(
    ("name", "theirs", "ours"),
    [
        # slim
        ("mobilenet_v1_050", {"min_depth": 24}, {"min_channels": 24}),
        (
            "mobilenet_v1",
            {"depth_multiplier": 0.75, "dialect": "slim", "dropout_keep_prob": 0.9, "prediction_fn": None},
            {"width_mult": 0.75, "dialect": "slim", "dropout": 0.1},
        ),
        ("mobilenet_v1", {"depth_multiplier": 1, "is_training": True, "scope": "MobilenetV1", "reuse": None}, {}),
        (
            "mobilenet_v1",
            {"conv_defs": CONV_DEFS},
            {"rows": "Conv(3, 2, 32), DepthSepConv(3, 1, 64) DepthSepConv(5, 2, 24)"},
        ),
        # Keras
        (
            "MobileNetV2",
            {"alpha": 0.35, "classes": 7, "input_shape": (96, 96, 1)},
            {"width_mult": 0.35, "num_classes": 7, "in_channels": 1},
        ),
        ("MobileNetV2", {"include_top": False, "pooling": "avg", "weights": None}, {"num_classes": 0}),
        ("MobileNetV3Large", {"include_top": False, "pooling": "avg"}, {"num_classes": 0, "hidden_channels": 0}),
        ("MobileNetV2", {"include_top": False, "input_tensor": None}, {"final_endpoint": "conv_last"}),
        ("MobileNet", {"include_top": False}, {"final_endpoint": "Conv2d_13_pointwise"}),
        ("MobileNetV3Small", {"minimalistic": False, "dropout_rate": 0.3}, {"dropout": 0.3}),
        ("MobileNetV2", {"classifier_activation": None, "include_top": True, "pooling": "max"}, {}),
        # torchvision, timm
        (
            "mobilenet_v2",
            {"inverted_residual_setting": V2_ROWS, "round_nearest": 8, "progress": True},
            {"rows": [tuple(row) for row in V2_ROWS]},
        ),
        (
            "mobilenet_v3_large",
            {"inverted_residual_setting": _mobilenet_v3_conf("mobilenet_v3_large")[0], "last_channel": 1280},
            {"hidden_channels": 1280},
        ),
        ("shufflenet_v2_x1_0", {"stages_repeats": [4, 8, 4], "stages_out_channels": [24, 116, 232, 464, 1024]}, {}),
        (
            "mobilenetv2_050",
            {"pretrained": False, "in_chans": 4, "drop_rate": 0.1, "drop_path_rate": 0.0, "global_pool": "avg"},
            {"in_channels": 4, "dropout": 0.1},
        ),
        (
            "mobilenet_v4_conv_small",
            {"rows": "Conv(3, 32, 2) UniversalBottleneck(start=0, middle=3, expand_ratio=4, out_channels=48)"},
            {"rows": [V4Conv(3, 32, 2), UniversalBottleneck(0, 3, 4, 48)]},
        ),
        # the tutorials
        (
            "shufflenet_v2_x1_0",
            {"num_shuffle_units": [1, 2, 3], "dialect": "tutorial"},
            {"rows": [(116, 2), (232, 3), (464, 4)], "dialect": "tutorial"},
        ),
        (
            "mobilenet_v2",
            {"t": 3, "n_class": 5},
            {"rows": [[min(t, 3), c, n, s] for t, c, n, s in V2_ROWS], "num_classes": 5},
        ),
    ],
)
def test_words_that_mean_the_same(name: str, theirs: dict[str, Any], ours: dict[str, Any]) -> None:
    made, expected = create(name, **theirs), create(name, **ours)
    assert isinstance(made, Network)
    assert isinstance(expected, Network)
    shapes = {key: it.shape for key, it in made.state_dict().items()}
    assert shapes == {key: it.shape for key, it in expected.state_dict().items()}
    record, wanted = made.config.to_dict(), expected.config.to_dict()
    if expected.config.rows is None:
        record["rows"] = wanted["rows"]  # the table's own, spelt out
    assert record == wanted


def test_words_that_are_a_name_here() -> None:
    assert create("shufflenet_v2_x1_0", scale_factor=0.5).config.architecture == "shufflenet_v2_x0_5"
    assert create("MobileNetV3Small", minimalistic=True).config.architecture == "mobilenet_v3_small_minimalistic"


def test_a_headless_network_of_keras_takes_what_it_has_of_a_whole_file(tmp_path: Path) -> None:
    whole = create("MobileNetV3Small", num_classes=10).eval()
    save_weights(whole, tmp_path / "whole.safetensors")
    image = torch.rand(1, 3, 64, 64)
    maps = whole.forward_features(image)
    for pooling, expected in ((None, maps), ("avg", maps.mean((2, 3)))):
        theirs = {"include_top": False, "pooling": pooling}
        made = create("MobileNetV3Small", weights=tmp_path / "whole.safetensors", **theirs).eval()  # type: ignore[call-overload]  # theirs
        torch.testing.assert_close(made(image), expected)


def test_a_detector_in_the_tutorials_words() -> None:
    theirs = {"heads": HEADS, "head_conv": 0, "down_ratio": 4}
    detector: object = create("centernet", dialect="tutorial", neck="reshape", **theirs)  # type: ignore[call-overload]  # theirs
    assert isinstance(detector, CenterNet)
    assert sum(it.numel() for it in detector.parameters()) == 4_314_190
    assert create("CenterNet").config.num_classes == 80  # type: ignore[attr-defined]  # in another case
    filled = create("centernet", weights="clothing", num_classes=2)
    assert filled.backbone.state_dict()["features.stem.conv.weight"].std() > 0


@pytest.mark.parametrize(
    ("name", "theirs", "message"),
    [
        ("MobileNetV2", {"include_top": False, "pooling": "max"}, r"pooling='max', a word of Keras; here it is num_c"),
        ("MobileNetV2", {"classifier_activation": "softmax"}, r"activation='softmax', a word of Keras; .*gives logits"),
        ("mobilenet_v1", {"depth_multiplier": 2}, r"depth_multiplier=2, a word of slim; here it is width_mult="),
        ("mobilenet_v2", {"heads": HEADS}, r'heads=.*create\("centernet", backbone=\.\.\., num_classes=\.\.\.\)'),
        ("mobilenet_v2", {"norm_layer": int}, r"norm_layer=.*dialect=, which brings its batch norm"),
        ("mobilenet_v2", {"alpha": 0.5, "width_mult": 0.35}, r"alpha=0\.5 is width_mult=0\.5 here, got width_m"),
        ("mobilenet_v2", {"alpha": 0.5, "width": 0.35}, r"got width_mult=0\.5 by alpha as well; give one"),
        ("shufflenet_v2_x1_0", {"scale_factor": 0.7}, r"here it is the name shufflenet_v2_x0_5, _x1_0"),
        ("mobilenet_v2", {"min_depth": 8}, r"here it is min_channels= of mobilenet_v1"),
        ("mobilenet_v1", {"rows": "Cone(3, 2, 8)"}, r"no kind of row 'Cone'.* Known: Conv, DepthSepConv"),
        ("mobilenet_v1", {"rows": "__import__('os')"}, r"cannot be read|no kind of row"),
        ("mobilenet_v1", {"conv_defs": [Conv([3, 5], 2, 8)]}, r"kernel must be square, got \[3, 5\]"),
        ("mobilenet_v2", {"rows": [(6, 24, 2)]}, r"a row is Stage\(expand_ratio, out_channels, repeats, stride\), g"),
        ("mobilenet_v2", {"rows": [{"t": 6, "c": 24, "s": 2}]}, r"a Stage record lacks repeats"),
        ("mobilenet_v2", {"neck": "light"}, r'neck belongs to a detector: create\("centernet", backbone="mobilenet_v'),
        ("centernet", {"features_only": True}, r"features_only belongs to a classifier, and centernet is a detector"),
        ("centernet", {"bogus": 1}, r"Known: .*backbone, neck, neck_channels, head_channels"),
        ("mobilenet_v2", {"bogus": 1}, r"Known: features_only, width_mult, .*weights.*depth_mult, fixed_ends"),
    ],
)
def test_words_that_mean_something_else(name: str, theirs: dict[str, Any], message: str) -> None:
    with pytest.raises(UsageError, match=message):
        create(name, **theirs)


def test_every_foreign_word_names_an_argument_that_exists() -> None:
    parameters = inspect.signature(Create.__call__).parameters
    for word, row in FOREIGN_WORDS.items():
        assert word not in parameters, word
        for part in row.ours.replace(",", " ").replace("(", " ").split():
            if "=" in part:
                assert part.partition("=")[0] in parameters, (word, row.ours)
        if all(value is not None for value in row.neutral):
            with torch.device("meta"):
                create("mobilenet_v2", rows=SHORT_ROWS["mobilenet_v2"], **{word: None})  # not given: nothing changes


def test_a_word_that_nobody_knows_is_an_unknown_name() -> None:
    with pytest.raises(UnknownNameError):
        create("mobilenet_v2", alhpa=1)  # type: ignore[call-overload]  # wrong on purpose
