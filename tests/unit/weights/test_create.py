"""``create``: what it says of wrong arguments, what a type checker says of them, and networks back from runs."""

import inspect

import pytest
from torchvision.models import MobileNet_V2_Weights

import litevision
from litevision.errors import UnknownNameError, UsageError, WeightsMismatchError
from litevision.models.nanodet import NanoDet
from litevision.models.network import Network
from litevision.registry.weight_sets import find_weight_set
from litevision.weights.create import Create, CreateArguments, DetectorArguments, create
from litevision.weights.trained import path_of


def test_types_and_signature_name_the_same_arguments() -> None:
    parameters = inspect.signature(Create.__call__).parameters
    named = {name for name, kind in parameters.items() if kind.kind == kind.KEYWORD_ONLY}
    assert named == {*CreateArguments.__annotations__, *DetectorArguments.__annotations__, "features_only"}


@pytest.mark.parametrize(
    ("argument", "message"),
    [
        ("widht_mult", r"no argument of create for mobilenet_v2: 'widht_mult'\. Did you mean 'width_mult' or"),
        ("depth_mul", r"Did you mean 'depth_mult'"),
        ("weight", r"Did you mean 'weights'"),
    ],
)
def test_a_mistyped_argument_gets_the_nearest_of_all(argument: str, message: str) -> None:
    with pytest.raises(UnknownNameError, match=message):
        create("mobilenet_v2", **{argument: 1})  # type: ignore[call-overload]  # wrong on purpose


def test_an_option_of_another_family() -> None:
    with pytest.raises(UnknownNameError, match=r"no option of shufflenet_v2_x0_5 'depth_mult'. Known: bottleneck"):
        create("shufflenet_v2_x0_5", depth_mult=1.2)
    with pytest.raises(UsageError, match="depth_mult is of mobilenet_v3_small in the dialect timm or timm_tf, got"):
        create("mobilenet_v3_small", depth_mult=1.2)


def test_a_torchvision_enum_is_a_name_and_a_bool_is_none() -> None:
    assert path_of(MobileNet_V2_Weights.IMAGENET1K_V2) == "MobileNet_V2_Weights.IMAGENET1K_V2"
    with pytest.raises(UsageError, match=r"weights are read from .*, got bool True; weights=\"default\" takes"):
        create("mobilenet_v2", weights=True)  # type: ignore[call-overload]  # wrong on purpose


def test_networks_back_from_what_litevision_made() -> None:
    classifier = litevision.create.from_run("clothing", task="classification")
    assert isinstance(classifier, Network)
    assert classifier.pretrained is not None
    assert (classifier.pretrained.labels or ())[0] == "dress"
    assert classifier.training
    assert isinstance(litevision.create.from_run("blood-cells"), NanoDet)


def test_what_is_not_from_a_run() -> None:
    with pytest.raises(WeightsMismatchError, match="clothing was trained for classification, expected detection"):
        create.from_run("clothing", task="detection")
    with pytest.raises(UsageError, match=r"mobilenet_v2 is no run, checkpoint of a run, or bundle; .*create\(name"):
        create.from_run("mobilenet_v2")


@pytest.mark.parametrize(
    "name",
    [
        "mobilenet_v3_small.timm_lamb_in1k",
        "mobilenetv3_small_100.lamb_in1k",
        "timm/mobilenetv3_small_100.lamb_in1k",
        "hf-hub:timm/mobilenetv3_small_100.lamb_in1k",
    ],
)
def test_a_weight_sets_name_leads_to_the_right_call(name: str) -> None:
    expected = r'is a weight set.*create\("mobilenet_v3_small", weights="mobilenet_v3_small\.timm_lamb_in1k"\)'
    with pytest.raises(UnknownNameError, match=expected):
        create(name)
    assert find_weight_set(name).name == "mobilenet_v3_small.timm_lamb_in1k"


@pytest.mark.parametrize("name", ["timm/mobilenetv2_100.ra_in1kx", "mobilenet_v2.timm_ra_in2k"])
def test_a_mistyped_weight_set_gets_the_nearest(name: str) -> None:
    with pytest.raises(UnknownNameError, match=r"no weight set .* Did you mean '.*ra_in1k'"):
        create(name)
    with pytest.raises(UnknownNameError, match=r"no weight set .* Did you mean '.*ra_in1k'"):
        create("mobilenet_v2", weights=name)
