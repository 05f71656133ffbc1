"""``list_models``: rows of the registry by their names, ours and other libraries'."""

import subprocess
import sys

import pytest

import litevision
from litevision.registry import ARCHITECTURES, DETECTORS
from litevision.registry.weight_sets import weight_sets


def test_everything_without_a_pattern() -> None:
    assert litevision.list_models() == [*ARCHITECTURES.values(), *DETECTORS.values()]
    assert litevision.list_models(weights=True) == list(weight_sets())


@pytest.mark.parametrize(
    ("pattern", "expected"),
    [
        ("minimalistic", ["mobilenet_v3_large_minimalistic", "mobilenet_v3_small_minimalistic"]),
        ("shufflenet_v2_x?_5", ["shufflenet_v2_x0_5", "shufflenet_v2_x1_5"]),
        ("MobileNetV2", ["mobilenet_v2"]),  # Keras' name
        ("tf_*small_100", ["mobilenet_v3_small"]),  # timm's
        ("centernet", ["centernet"]),
        ("resnet", []),
    ],
)
def test_networks_by_pattern(pattern: str, expected: list[str]) -> None:
    assert [row.name for row in litevision.list_models(pattern)] == expected


def test_weight_sets_by_pattern() -> None:
    found = litevision.list_models("mobilenet_v2.tv_*", weights=True)
    assert [row.name for row in found] == ["mobilenet_v2.tv_in1k_v2", "mobilenet_v2.tv_in1k_v1"]
    [theirs] = litevision.list_models("ShuffleNet_V2_X0_5_Weights.IMAGENET1K_V1", weights=True)
    assert (theirs.name, theirs.top1) == ("shufflenet_v2_x0_5.tv_in1k_v1", 60.552)


def test_it_needs_no_torch() -> None:
    program = "import sys; sys.modules['torch'] = None; import litevision; print(len(litevision.list_models()))"
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert int(done.stdout) == len(ARCHITECTURES) + len(DETECTORS)
