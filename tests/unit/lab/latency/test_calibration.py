"""Calibration: the networks that are made up for it, and the rates that are fitted to what they take."""

from dataclasses import replace
from typing import Any, ClassVar

import numpy as np
import pytest

from litevision.cost.graph import graph_ledger
from litevision.lab.latency import calibrate, graph_workload
from litevision.lab.latency.calibration import NETWORKS, Observation, fit, percentile_ms
from litevision.lab.latency.model import FEATURES, LatencyModel, Rate, features
from litevision.lab.latency.synthetic import synthetic_networks
from litevision.lab.latency.workload import Op
from litevision.lab.profile import Peaks
from litevision.runtime.engines import EngineChoice, open_engine

PEAKS = Peaks(100.0, ((1_000_000, 50.0), (64_000_000, 10.0)))
CHOICE = EngineChoice("onnxruntime", "fp32", 1)


@pytest.fixture(scope="module")
def workload() -> list[tuple[Op, ...]]:
    """Of as many networks as a calibration makes."""
    return [tuple(graph_workload(graph_ledger(model))) for model in synthetic_networks(NETWORKS)]


def known_model() -> LatencyModel:
    """Rates as an engine may have them; some are 0."""
    random = np.random.default_rng(0)
    rates = []
    for kind, names in FEATURES.items():
        for name in names:
            rate = 0.002 if name == "once" else float(random.choice((0.0, random.uniform(0.5, 8.0))))
            rates.append(Rate(kind, name, rate))
    return LatencyModel(PEAKS, tuple(rates), 0.0, 0.0, 0)


def test_the_networks_have_every_kind_of_work(workload: list[tuple[Op, ...]]) -> None:
    counts = {kind: sum(any(op.kind == kind for op in each) for each in workload) for kind in FEATURES}
    assert min(counts.values()) >= 6, counts
    ragged = {op.kind for each in workload for op in each if op.ragged_bytes}
    assert ragged >= {kind for kind, names in FEATURES.items() if "ragged" in names}


def test_the_networks_differ_and_are_the_same_each_time(workload: list[tuple[Op, ...]]) -> None:
    assert len(set(workload)) == NETWORKS
    again = [tuple(graph_workload(graph_ledger(model))) for model in synthetic_networks(3)]
    assert again == workload[:3]


def test_engines_run_the_networks() -> None:
    for model in synthetic_networks(9):  # one of each family at least
        side = model.graph.input[0].type.tensor_type.shape.dim[1].dim_value
        engine = open_engine(model.SerializeToString(), CHOICE)
        (answer,) = engine.run(np.full((1, side, side, 3), 128, np.uint8)).values()
        assert answer.sum() == pytest.approx(1, abs=1e-4)


def test_rates_that_are_known_are_found_again(workload: list[tuple[Op, ...]]) -> None:
    truth = known_model()
    found = fit([Observation(each, truth.predict(each)) for each in workload], PEAKS)
    errors = [abs(found.predict(each) / truth.predict(each) - 1) for each in workload]
    assert np.median(errors) < 0.02  # what few networks tell of stays near the peaks
    assert max(errors) < 0.15
    assert found.num_networks == NETWORKS
    assert found.typical_error < 0.05
    assert found.typical_error < found.worst_error
    assert all(rate.rate >= 0 for rate in found.rates)


def test_networks_of_other_makers_are_predicted(workload: list[tuple[Op, ...]]) -> None:
    truth = known_model()
    found = fit([Observation(each, truth.predict(each)) for each in workload[:-20]], PEAKS)
    errors = [abs(found.predict(each) / truth.predict(each) - 1) for each in workload[-20:]]
    assert np.median(errors) < 0.03


def test_what_no_network_has_goes_at_the_peaks(workload: list[tuple[Op, ...]]) -> None:
    plain = [tuple(op for op in each if op.kind != "conv") for each in workload]
    found = fit([Observation(each, 1.0) for each in plain], PEAKS)
    assert found.by_kind([Op("conv", macs=10**9)])["conv"] == pytest.approx(10, rel=0.001)


def test_noise_is_told_in_the_errors(workload: list[tuple[Op, ...]]) -> None:
    truth, random = known_model(), np.random.default_rng(1)
    noise = random.choice((0.7, 1.3), len(workload))
    found = fit([Observation(each, truth.predict(each) * by) for each, by in zip(workload, noise, strict=True)], PEAKS)
    assert 0.1 < found.typical_error < found.worst_error


def test_a_slower_machine_predicts_more() -> None:
    work, model = Op("conv", macs=10**9, map_bytes=10**6, out_bytes=10**6), known_model()
    slow = replace(model, peaks=Peaks(50.0, PEAKS.bandwidths))
    assert features([work], PEAKS)["conv", "macs"] == pytest.approx(10)  # 10^9 at 100 x 10^9 a second
    assert features([work], slow.peaks)["conv", "macs"] == pytest.approx(20)
    assert features([work], PEAKS)["conv", "maps"] == pytest.approx(0.02)  # 1 MB at 50 GB/s
    assert slow.predict([work]) >= model.predict([work])


def test_a_calls_time_is_what_a_fifth_of_them_stays_below() -> None:
    assert percentile_ms([0.002] * 3 + [0.009] * 7) == pytest.approx(2)


class Steady:
    """An engine that takes no time, and notes what it is given."""

    shapes: ClassVar[list[tuple[int, ...]]] = []

    def __init__(self, data: bytes, choice: EngineChoice, *, name: str) -> None:
        assert choice is CHOICE

    def run(self, batch: Any) -> dict[str, Any]:
        assert batch.dtype == np.uint8
        self.shapes.append(batch.shape)
        return {}


def test_calibrate_runs_each_network_on_an_image_of_its_size(monkeypatch: pytest.MonkeyPatch) -> None:
    seen: list[tuple[int, int]] = []
    Steady.shapes.clear()
    monkeypatch.setattr("litevision.lab.latency.calibration.measure_peaks", lambda choice: PEAKS)
    found = calibrate(CHOICE, networks=9, seconds=0.001, opened_by=Steady, on_network=lambda *at: seen.append(at))
    assert seen == [(number, 9) for number in range(9)]
    sides = [model.graph.input[0].type.tensor_type.shape.dim[1].dim_value for model in synthetic_networks(9)]
    assert set(Steady.shapes) == {(1, side, side, 3) for side in sides}
    assert found.num_networks == 9
    assert found.peaks == PEAKS
