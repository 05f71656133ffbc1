"""The candidates: published scores, and what their networks cost with other classes."""

import pytest

from litevision.errors import UsageError
from litevision.lab.choose.candidates import Candidate, published_candidates
from litevision.lab.latency.model import FEATURES, LatencyModel, Rate
from litevision.lab.profile import Peaks
from litevision.registry.weight_sets import find_weight_set, weight_sets

# Nothing but multiply-adds takes time: 10^9 of them 10 ms.
RATES = tuple(Rate(kind, name, float(name == "macs")) for kind, names in FEATURES.items() for name in names)
MODEL = LatencyModel(Peaks(100.0, ((1_000_000, 10.0),)), RATES, 0.05, 0.2, 9)


@pytest.fixture(scope="module")
def found() -> dict[str, Candidate]:
    """Every candidate for 10 classes by its weights."""
    seen: list[tuple[int, int]] = []
    candidates = published_candidates(MODEL, 10, on_network=lambda *at: seen.append(at))
    assert seen == [(number, len(candidates)) for number in range(len(candidates))]
    return {it.weights: it for it in candidates}


def test_every_set_with_a_classifier_and_a_score(found: dict[str, Candidate]) -> None:
    assert set(found) == {row.name for row in weight_sets() if row.top1 is not None and "notop" not in row.tags}
    for name, it in found.items():
        row = find_weight_set(name)
        assert (it.top1, it.size_hw, it.dialect) == (row.top1, row.input.size_hw, row.dialect)


def test_costs_are_those_of_ten_classes(found: dict[str, Candidate]) -> None:
    it = found["mobilenet_v2.tv_in1k_v2"]
    assert it.macs == 300_774_272 - 1280 * 990
    # 3,504,872 numbers at 1000 classes; folding leaves one of the two numbers a channel of 17,056 normalised ones.
    assert it.num_bytes == 4 * (3_504_872 - 1281 * 990 - 17_056)
    # No channels are filled up but those of 24, 144 is a multiple of 16: a little more than the multiply-adds alone.
    assert 1.0 < it.ms / (it.macs / 100e6) < 1.1


def test_smaller_images_take_less(found: dict[str, Candidate]) -> None:
    times = [found[f"mobilenet_v1.keras_in1k_a100_r{side}"].ms for side in (128, 160, 192, 224)]
    assert times == sorted(times)


def test_a_deeper_network_goes_by_the_name_that_brings_its_options(found: dict[str, Candidate]) -> None:
    assert found["mobilenet_v2.timm_ra_in1k_w110d"].name == "mobilenetv2_110d"
    assert found["mobilenet_v2.timm_lamb_in1k_w050"].name == "mobilenet_v2"


def test_no_classes() -> None:
    with pytest.raises(UsageError, match="0 classes; expected at least 1"):
        published_candidates(MODEL, 0)
