"""Calibrate the latency model: run synthetic networks, and fit rates to what they took; or load it from the cache."""

import os
from collections.abc import Callable, Iterable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from statistics import median

import numpy as np
import numpy.typing as npt
import onnx
from scipy.optimize import nnls

from litevision import __version__
from litevision.cost.graph import graph_ledger
from litevision.files import JsonCache
from litevision.lab.latency.model import FEATURES, LatencyModel, Rate, features
from litevision.lab.latency.synthetic import synthetic_networks
from litevision.lab.latency.workload import Op, graph_workload
from litevision.lab.profile import Peaks, measure_peaks
from litevision.runtime.engines import Engine, EngineChoice, open_engine
from litevision.runtime.engines.timing import interleaved
from litevision.runtime.machine import cpu_instructions, cpu_name, engine_versions
from litevision.runtime.schema import from_dict, to_dict

NETWORKS = 108
SECONDS = 0.2

_UNDISTURBED = 20  # percentile: what else a machine does adds to a time, and never takes away from it
_FOLDS = 9
# Rates that the networks tell little of stay near the peaks, or near what a kernel takes to begin.
_PRIOR_WEIGHT = 0.1
_PRIOR_ONCE_MS = 0.003

_Table = npt.NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class Observation:
    """What a network took."""

    workload: tuple[Op, ...]
    ms: float


def calibrate(
    choice: EngineChoice,
    *,
    networks: int = NETWORKS,
    seconds: float = SECONDS,
    opened_by: Callable[..., Engine] = open_engine,
    on_network: Callable[[int, int], object] = lambda done, total: None,
) -> LatencyModel:
    """Measure a latency model of this machine and engine, for one image at a time; takes most of a minute.

    Args:
        choice: the engine and how it computes.
        networks: how many are run, nine or more; none of them is one that somebody published.
        seconds: measured time for each.
        opened_by: opens the engines.
        on_network: told how many are made and opened, of how many.

    Raises:
        UsageError: a precision that this engine or CPU does not have.
        MissingExtraError: the engine is not installed.
    """
    workload, calls = synthetic_calls(choice, networks, opened_by=opened_by, on_network=on_network)
    peaks = measure_peaks(choice)
    return fit(observations(workload, interleaved(calls, seconds)), peaks)


def latency_model(
    choice: EngineChoice, *, anew: bool = False, made_by: Callable[[EngineChoice], LatencyModel] = calibrate
) -> LatencyModel:
    """Load the latency model of this machine from the cache, calibrating on first use.

    Args:
        choice: the engine and how it computes.
        anew: calibrate even where a model is cached.
        made_by: calibrates.

    Raises:
        LitevisionError: as for `calibrate`.
    """
    key = {
        "litevision": __version__,
        "cpu": cpu_name(),
        "instructions": cpu_instructions(),
        "cores": os.cpu_count(),
        "engine": engine_versions().get(choice.name),
        "choice": to_dict(choice),
    }
    cache, issues = JsonCache("latency", key), list[str]()
    stored = None if anew else cache.load()
    model: LatencyModel | None = None if stored is None else from_dict(LatencyModel, stored, "", issues)
    if model is None:
        model = made_by(choice)
        with suppress(OSError):  # a folder that cannot be written costs a minute the next time, and is no error
            cache.store(to_dict(model))
    return model


def synthetic_calls(
    choice: EngineChoice,
    networks: int = NETWORKS,
    *,
    opened_by: Callable[..., Engine] = open_engine,
    on_network: Callable[[int, int], object] = lambda done, total: None,
) -> tuple[list[tuple[Op, ...]], list[Callable[[], object]]]:
    """Build the synthetic networks: the workload of each, and a call that runs it."""
    workload, calls = [], []
    for number, model in enumerate(synthetic_networks(networks)):
        on_network(number, networks)
        workload.append(tuple(graph_workload(graph_ledger(model))))
        calls.append(image_call(model, choice, opened_by))
    return workload, calls


def observations(workload: Iterable[Iterable[Op]], seconds: Iterable[Sequence[float]]) -> list[Observation]:
    """Pair each workload with the time of its calls, in seconds."""
    return [Observation(tuple(each), percentile_ms(taken)) for each, taken in zip(workload, seconds, strict=True)]


def image_call(
    model: onnx.ModelProto, choice: EngineChoice, opened_by: Callable[..., Engine] = open_engine
) -> Callable[[], object]:
    """Return a call that runs ``model``, which takes uint8 images [N, H, W, 3] of a fixed size, on noise."""
    engine = opened_by(model.SerializeToString(), choice, name="the graph")
    height, width = (dim.dim_value for dim in model.graph.input[0].type.tensor_type.shape.dim[1:3])
    image = np.random.default_rng(0).integers(0, 256, (1, height, width, 3), np.uint8)
    return lambda: engine.run(image)


def percentile_ms(seconds: Sequence[float]) -> float:
    """Return the 20th percentile in milliseconds: a call's time while the machine does nothing else."""
    return 1e3 * float(np.percentile(seconds, _UNDISTURBED))


def fit(observed: Sequence[Observation], peaks: Peaks) -> LatencyModel:
    """Fit rates to observations by non-negative least squares on relative errors."""
    amounts = [features(each.workload, peaks) for each in observed]
    names = [(kind, grows_with) for kind, features_of in FEATURES.items() for grows_with in features_of]
    prior = np.array([_PRIOR_ONCE_MS if grows_with == "once" else 1.0 for _, grows_with in names])
    table = np.array([[each.get(name, 0.0) for name in names] for each in amounts])
    table /= np.array([[each.ms] for each in observed])
    errors = _errors_of_others(table, prior)
    rates = [Rate(*name, rate) for name, rate in zip(names, _rates(table, prior), strict=True)]
    return LatencyModel(peaks, tuple(rates), median(errors), max(errors), len(observed))


def _rates(table: _Table, prior: _Table) -> list[float]:
    """Solve for the rates whose times are nearest to 1, in a table of each network's features over its time."""
    # Relative errors: in absolute ones, the few large networks would drown all others. Non-negative: no work takes
    # less than no time, and rates of correlated features would else cancel each other out and extrapolate badly.
    sizes = np.linalg.norm(table, axis=0)
    weights = _PRIOR_WEIGHT * np.where(sizes > 0, sizes, 1.0)
    found, _ = nnls(np.vstack([table, np.diag(weights)]), np.concatenate([np.ones(len(table)), weights * prior]))
    return [float(rate) for rate in found]


def _errors_of_others(table: _Table, prior: _Table) -> list[float]:
    """Cross-validate: how far each network is off when the rates come from the other folds."""
    folds = np.arange(len(table)) % _FOLDS
    return [
        abs(float(row @ rates) - 1)
        for fold in range(_FOLDS)
        for rates in [_rates(table[folds != fold], prior)]
        for row in table[folds == fold]
    ]
