"""What a network may be configured as, and its way through JSON."""

import json
import math
from typing import Any

import pytest

from litevision.errors import UnknownNameError, UsageError
from litevision.models import NetworkConfig, build, configure
from litevision.models.centernet import CenterNetConfig
from litevision.models.dla import Level
from litevision.models.mobilenet_v1 import Conv, DepthSepConv
from litevision.models.mobilenet_v2 import Stage
from litevision.models.mobilenet_v3 import Bneck
from litevision.models.shufflenet_v2 import Stage as ShuffleStage
from litevision.registry import ALIASES

FAMILIES = ("mobilenet_v1", "mobilenet_v2", "mobilenet_v3_small", "shufflenet_v2_x0_5", "dla34")
every_family = pytest.mark.parametrize("name", FAMILIES)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"width_mult": 0}, "width_mult must be a number above 0, got 0"),
        ({"width_mult": -0.5}, "width_mult must be a number above 0, got -0.5"),
        ({"width_mult": math.nan}, "width_mult must be a number above 0, got nan"),
        ({"width_mult": math.inf}, "width_mult must be a number above 0, got inf"),
        ({"num_classes": -1}, r"num_classes must be a whole number, 0 \(features\) or more, got -1"),
        ({"num_classes": 10.0}, r"num_classes must be a whole number, 0 \(features\) or more, got 10.0"),
        ({"num_classes": True}, r"num_classes must be a whole number, 0 \(features\) or more, got True"),
        ({"in_channels": 0}, "in_channels must be a whole number, 1 or more, got 0"),
        ({"output_stride": 4}, "output_stride must be 8, 16 or 32, got 4"),
        ({"output_stride": 64}, "output_stride must be 8, 16 or 32, got 64"),
        ({"dropout": 1.5}, "dropout must be a probability from 0 to below 1, got 1.5"),
        ({"dropout": 1.0}, "dropout must be a probability from 0 to below 1, got 1.0"),
        ({"dropout": -0.1}, "dropout must be a probability from 0 to below 1, got -0.1"),
        ({"dropout": math.nan}, "dropout must be a probability from 0 to below 1, got nan"),
        ({"rows": ()}, "rows must hold at least one row, got none"),
    ],
)
@every_family
def test_refuses_a_value_that_cannot_work(name: str, arguments: dict[str, Any], message: str) -> None:
    with pytest.raises(UsageError, match=message):
        configure(name, **arguments)
    if "width_mult" in arguments:
        with pytest.raises(UsageError, match=message):
            NetworkConfig(name, "timm" if name != "shufflenet_v2_x0_5" else "tutorial", **arguments)


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("mobilenetv3_larg", r"no model 'mobilenetv3_larg'\. Did you mean 'mobilenet_v3_large' or .* See 'litevision"),
        ("MobileNet_V5", r"no model 'MobileNet_V5'\. Did you mean 'mobilenet_v[123]' or "),
        ("resnet50", r"no model 'resnet50'\. See 'litevision models'\."),
    ],
)
def test_an_unknown_model(name: str, message: str) -> None:
    with pytest.raises(UnknownNameError, match=message):
        configure(name)


def test_an_unknown_dialect() -> None:
    message = r"no dialect of mobilenet_v1 'kers'\. Did you mean 'keras'\? Known: timm, keras, slim\."
    with pytest.raises(UnknownNameError, match=message):
        configure("mobilenet_v1", dialect="kers")
    with pytest.raises(UnknownNameError, match=message):
        NetworkConfig("mobilenet_v1", "kers")
    with pytest.raises(UnknownNameError, match=r"no model 'mobilenet'\. Did you mean 'mobilenet_v"):
        NetworkConfig("mobilenet", "keras")  # aliases are resolved before


@pytest.mark.parametrize(
    ("name", "known"),
    [
        ("mobilenet_v1", "spatial_squeeze, min_channels, depthwise_multiplier, extra_conv"),
        ("mobilenet_v2", "depth_mult, fixed_ends"),
        ("mobilenet_v3_small", "hidden_channels, depth_mult, reduced_tail, dilated"),
        ("shufflenet_v2_x0_5", "bottleneck_ratio"),
        ("dla34", "none"),
    ],
)
def test_an_unknown_option(name: str, known: str) -> None:
    with pytest.raises(UnknownNameError, match=rf"no option of {name} 'alpha'\. Known: {known}\."):
        build(configure(name, alpha=0.5), device="meta")


@pytest.mark.parametrize(
    ("name", "kinds"),
    [
        ("mobilenet_v1", "Conv or DepthSepConv"),
        ("mobilenet_v2", "Stage"),
        ("mobilenet_v3_small", "Bneck"),
        ("shufflenet_v2_x0_5", "Stage"),
        ("dla34", "Level"),
    ],
)
def test_rows_of_another_kind(name: str, kinds: str) -> None:
    with pytest.raises(UsageError, match=f"rows of {name} must be {kinds} records, got int"):
        build(configure(name, rows=(32,)), device="meta")


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: Conv(2, 1, 8), "a row's kernel_size must be odd and above 0, got 2"),
        (lambda: DepthSepConv(-3, 1, 8), "a row's kernel_size must be odd and above 0, got -3"),
        (lambda: DepthSepConv(3, 1, 0), "a row's out_channels must be 1 or more, got 0"),
        (lambda: Stage(0, 8, 1, 1), "expand_ratio, out_channels and repeats must be 1 or more, got 0, 8, 1"),
        (lambda: Stage(6, 8, 0, 1), "must be 1 or more, got 6, 8, 0"),
        (lambda: Stage(6, -8, 1, 1), "must be 1 or more, got 6, -8, 1"),
    ],
)
def test_rows_that_cannot_work(make: object, message: str) -> None:
    with pytest.raises(UsageError, match=message):
        make()


@pytest.mark.parametrize(
    ("name", "row"),
    [
        ("mobilenet_v1", Conv(3, 3, 8)),
        ("mobilenet_v2", Stage(6, 8, 1, 0)),
        ("mobilenet_v3_small", Bneck(3, 16, 16, False, "relu", 4)),
        ("dla34", Level(1, 8, -2)),
    ],
)
def test_rows_of_another_stride(name: str, row: object) -> None:
    with pytest.raises(UsageError, match=r"a row's stride must be 1 or 2, got (3|0|4|-2)"):
        build(configure(name, rows=(row,)), device="meta")


@pytest.mark.parametrize(
    "config",
    [
        configure("mobilenet_v1", dialect="slim", width_mult=0.25, rows=(Conv(3, 2, 8), DepthSepConv(5, 1, 16))),
        configure("mobilenet_v2", depth_mult=1.2, fixed_ends=True, output_stride=16, rows=(Stage(6, 24, 2, 2),)),
        configure("mobilenetv2_120d"),
        configure("mobilenet_v3_large", rows=(Bneck(5, 40, 24, True, "hardswish", 2),), hidden_channels=0),
        configure("shufflenet_v2_x1_5", dialect="tutorial", bottleneck_ratio=0.5, rows=(ShuffleStage(32, 2),)),
        configure("dla34", rows=(Level(0, 8, 1), Level(1, 16, 2)), dropout=0.5, in_channels=1, num_classes=0),
        configure("mobilenet_v3_small", final_endpoint="block_3"),
    ],
)
def test_survives_json(config: NetworkConfig) -> None:
    again = NetworkConfig.from_json(config.to_json())
    assert again == config
    assert hash(again) == hash(config)
    assert again.to_json() == config.to_json()
    shapes = [tensor.shape for tensor in build(config, device="meta").state_dict().values()]
    assert [tensor.shape for tensor in build(again, device="meta").state_dict().values()] == shapes


def changed(**changes: Any) -> str:
    return json.dumps({**json.loads(configure("mobilenet_v1", rows=(Conv(3, 2, 8),)).to_json()), **changes})


@pytest.mark.parametrize(
    "text",
    [
        "",
        "[]",
        "null",
        '{"architecture": "mobilenet_v2"}',
        changed(architecture="resnet50"),
        changed(dialect="torchvision"),
        changed(width_mult="1.0"),
        changed(width_mult=0),
        changed(num_classes=None),
        changed(rows=[["Conv", {"kernel_size": 3}]]),
        changed(rows=[["Bneck", {}]]),
        changed(rows=[["Any", {}]]),
        changed(rows=["Conv"]),
        changed(options=[1]),
        changed(surprise=1),
    ],
)
def test_json_that_is_no_configuration(text: str) -> None:
    with pytest.raises(UsageError, match="this is no network configuration of this version of litevision"):
        NetworkConfig.from_json(text)


def test_an_alias_brings_its_width_dialect_and_options() -> None:
    assert configure("mobilenetv2_110d") == configure(
        "mobilenet_v2", dialect="timm", width_mult=1.1, depth_mult=1.2, fixed_ends=True
    )
    assert configure("MobileNetV3Small", width_mult=0.75) == configure(
        "mobilenet_v3_small", dialect="keras", width_mult=0.75
    )


@pytest.mark.parametrize("alias", ALIASES)
def test_every_alias_builds(alias: str) -> None:
    variant, config = ALIASES[alias], configure(alias.upper())
    found = (config.architecture, config.dialect, config.width_mult, config.options)
    assert found == (variant.architecture, variant.dialect, variant.width_mult, variant.options)
    assert build(config, device="meta").num_features > 0


@pytest.mark.parametrize(
    ("architecture", "rows", "options"),
    [
        ("mobilenet_v2", [["Stage", {"expand_ratio": 1, "out_channels": 16, "repeats": 10**7, "stride": 1}]], {}),
        ("mobilenet_v2", None, {"depth_mult": 1e6}),
        ("mobilenet_v2", [["Stage", {"expand_ratio": 1, "out_channels": 10**9, "repeats": 1, "stride": 1}]], {}),
        ("mobilenet_v1", [["DepthSepConv", {"kernel_size": 3, "stride": 1, "out_channels": 8}]] * 2000, {}),
    ],
)
def test_networks_larger_than_anybody_trains_are_refused_before_they_are_built(
    architecture: str, rows: Any, options: dict[str, Any]
) -> None:
    record = NetworkConfig(architecture, "torchvision" if architecture == "mobilenet_v2" else "timm").to_dict()
    config = NetworkConfig.from_dict({**record, "rows": rows, "options": options})
    with pytest.raises(UsageError, match="a network of more than 1,000 parts or 65,536 channels"):
        build(config, device="meta")


def test_more_classes_or_channels_than_anybody_has_are_refused() -> None:
    with pytest.raises(UsageError, match="num_classes must be 1,000,000 at most, got 1000000000"):
        NetworkConfig("mobilenet_v2", "torchvision", num_classes=10**9)
    with pytest.raises(UsageError, match="in_channels must be 65,536 at most, got 1000000000"):
        NetworkConfig("mobilenet_v2", "torchvision", in_channels=10**9)
    with pytest.raises(UsageError, match="num_classes must be 1,000,000 at most, got 1000000000"):
        CenterNetConfig(NetworkConfig("mobilenet_v2", "torchvision"), 10**9)
