"""Our counts are the originals' over the whole range of widths, not at published ones alone.

``tools/check_widths.py`` compares every hundredth; here are some of each network, and those where rounding is special.
"""

import importlib.util
import sys
from pathlib import Path
from types import ModuleType

import pytest

pytestmark = [pytest.mark.parity, pytest.mark.filterwarnings("ignore")]  # Keras warns of its own deprecations

SAMPLED = [0.1, 0.33, 0.62, 1.17, 2.0]
# Where Keras' V2 cuts off before it rounds, its V1 has fewer than 8 channels, and stems or heads begin to scale.
SPECIAL = {
    "keras": [0.14, 0.2, 0.28, 0.42, 0.56, 0.84, 0.99, 1.12, 1.49, 1.67, 1.68],
    "torchvision": [0.99, 1.01],
    "timm": [0.74, 0.75],
}


@pytest.fixture(scope="module")
def tool() -> ModuleType:
    spec = importlib.util.spec_from_file_location("check_widths", Path(__file__).parents[2] / "tools/check_widths.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules["check_widths"] = module
    spec.loader.exec_module(module)
    return module


@pytest.mark.parametrize(("origin", "networks"), [("keras", 6), ("torchvision", 3), ("timm", 6)])
def test_counts_at_any_width(tool: ModuleType, origin: str, networks: int) -> None:
    found = list(tool.compare(origin, [*SAMPLED, *SPECIAL[origin]]))
    assert [(name, width, ours) for name, width, ours, _ in found] == [
        (name, width, it) for name, width, _, it in found
    ]
    assert len({name for name, *_ in found}) == networks
    assert len(found) == networks * len([*SAMPLED, *SPECIAL[origin]])


def test_keras_counts_are_its_own(tool: ModuleType) -> None:
    """What the counting layers give is what Keras' own networks have."""
    counters = {name: count for name, _, count in tool.keras_forms()}
    assert counters["mobilenet_v1"](1.0) == 4_231_976
    assert counters["mobilenet_v2"](1.4) == 6_108_776
    assert counters["mobilenet_v3_small"](0.75) == 2_041_872
    assert counters["mobilenet_v3_large_minimalistic"](1.0) == 3_924_288
