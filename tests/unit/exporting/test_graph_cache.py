"""The graphs that tests share: networks of other weights alone have the same one."""

from pathlib import Path

import numpy as np
import onnx
import onnxruntime
import pytest
import torch

from exports import IMAGENET, probabilities
from graph_cache import GraphCache, structure
from litevision.exporting.graph import FromRaw, fold_batch_norm
from litevision.models import Network, build, configure
from litevision.tasks.classification.export import RawToProbabilities
from networks import SHORT_ROWS, fill

SIZE_HW = (33, 34)


def raw(seed: int = 0, name: str = "mobilenet_v1", activation: str = "softmax", **options: object) -> FromRaw:
    return RawToProbabilities(fold_batch_norm(network(seed, name, **options)), IMAGENET, activation)  # type: ignore[arg-type]


def network(seed: int = 0, name: str = "mobilenet_v1", **options: object) -> Network:
    made = fill(build(configure(name, rows=SHORT_ROWS[name], **{"num_classes": 3, **options})))  # type: ignore[arg-type]
    with torch.no_grad():
        made.head.classifier.weight *= 1 + seed
    return made


def test_a_graph_is_filled_with_the_weights_of_each(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    cache = GraphCache(tmp_path)
    cache(raw(), SIZE_HW)
    monkeypatch.setattr("graph_cache.graph_of", None)  # nothing is traced from here on
    made = cache(raw(1), SIZE_HW)
    onnx.checker.check_model(made, full_check=True)
    batch = np.random.default_rng(0).integers(0, 256, (2, *SIZE_HW, 3), np.uint8)
    [found] = onnxruntime.InferenceSession(made.SerializeToString()).run(None, {"images": batch})
    np.testing.assert_allclose(found, probabilities(network(1), batch), atol=1e-5)
    assert np.abs(found - probabilities(network(), batch)).max() > 1e-3


@pytest.mark.parametrize(
    "other",
    [
        {"name": "mobilenet_v2"},
        {"activation": "sigmoid"},
        {"num_classes": 4},
        {"dialect": "keras"},
        {"in_channels": 1},
    ],
)
def test_all_else_makes_another_graph(other: dict[str, str]) -> None:
    assert structure(raw()) == structure(raw(1))
    assert structure(raw()) != structure(raw(**other))  # type: ignore[arg-type]
