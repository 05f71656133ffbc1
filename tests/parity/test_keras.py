"""Ours against Keras' own networks, through the files that Keras writes, both ways."""

import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from litevision.weights.create import create
from litevision.weights.load import load_weights
from litevision.weights.save import save_weights
from originals import SIZES, TOLERANCE_F64

os.environ["KERAS_BACKEND"] = "torch"

pytestmark = [
    pytest.mark.parity,
    pytest.mark.slow,
    pytest.mark.filterwarnings("ignore"),
]  # Keras warns of its own deprecations

NETWORKS = [
    # Keras' class, alpha, minimalistic, our name
    ("MobileNet", 1.0, False, "mobilenet_v1"),
    ("MobileNet", 0.75, False, "mobilenet_v1"),
    ("MobileNet", 0.5, False, "mobilenet_v1"),
    ("MobileNet", 0.25, False, "mobilenet_v1"),
    ("MobileNet", 0.2, False, "mobilenet_v1"),  # of 6 channels
    ("MobileNetV2", 1.0, False, "mobilenet_v2"),
    ("MobileNetV2", 0.35, False, "mobilenet_v2"),
    ("MobileNetV2", 0.5, False, "mobilenet_v2"),
    ("MobileNetV2", 0.56, False, "mobilenet_v2"),  # of another width if nothing were cut off
    ("MobileNetV2", 0.75, False, "mobilenet_v2"),
    ("MobileNetV2", 1.3, False, "mobilenet_v2"),
    ("MobileNetV2", 1.4, False, "mobilenet_v2"),
    ("MobileNetV3Large", 1.0, False, "mobilenet_v3_large"),
    ("MobileNetV3Large", 0.75, False, "mobilenet_v3_large"),
    ("MobileNetV3Small", 1.0, False, "mobilenet_v3_small"),
    ("MobileNetV3Small", 0.75, False, "mobilenet_v3_small"),
    ("MobileNetV3Large", 1.0, True, "mobilenet_v3_large_minimalistic"),
    ("MobileNetV3Small", 1.0, True, "mobilenet_v3_small_minimalistic"),
]


@pytest.fixture(scope="module")
def keras() -> Iterator[Any]:
    """Keras, made to compute in float64.

    Its promotion rule says that float64 and float32 make float32, so that batch normalisation and means drop to
    float32 whatever ``floatx`` is. The rule alone is replaced here; the networks and formulas stay Keras' own.
    """
    import keras
    from keras.src import backend
    from keras.src.backend.common import dtypes

    promote = dtypes.result_type

    def keep_float64(*types: Any) -> str:
        names = [backend.standardize_dtype(kind) if kind is not None else None for kind in types]
        return "float64" if "float64" in names else promote(*types)

    before = keras.config.floatx(), keras.config.dtype_policy()
    keras.config.set_floatx("float64")
    keras.config.set_dtype_policy("float64")  # layers follow it; Keras takes it from floatx once alone
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(dtypes, "result_type", keep_float64)
        patch.setattr(backend, "result_type", keep_float64)
        yield keras
    keras.config.set_floatx(before[0])
    keras.config.set_dtype_policy(before[1])


def original(keras: Any, class_name: str, alpha: float, minimalistic: bool, size_hw: tuple[int, int]) -> Any:
    keras.utils.set_random_seed(0)
    arguments: dict[str, Any] = {"alpha": alpha, "weights": None, "classifier_activation": None, "classes": 1000}
    if class_name.startswith("MobileNetV3"):
        arguments |= {"minimalistic": minimalistic, "include_preprocessing": False}
    model = getattr(keras.applications, class_name)(input_shape=(*size_hw, 3), **arguments)
    randomise(model)
    return model


def randomise(model: Any) -> None:
    """Random weights that keep activations near unit size, and random BN statistics."""
    rng = np.random.default_rng(0)
    for variable in model.weights:
        shape = tuple(variable.shape)
        if variable.name in ("gamma", "moving_variance"):
            values = rng.uniform(0.5, 1.5, shape)
        elif len(shape) == 1:
            values = 0.3 * rng.standard_normal(shape)
        else:
            fan_in = shape[0] * shape[1] if "depthwise" in variable.path or "conv_dw" in variable.path else None
            values = rng.standard_normal(shape) * np.sqrt(2 / (fan_in or np.prod(shape[:-1])))
        variable.assign(values)


def logits(keras: Any, model: Any, x: torch.Tensor) -> torch.Tensor:
    with torch.inference_mode():
        out = model(x.permute(0, 2, 3, 1), training=False)
    return torch.as_tensor(keras.ops.convert_to_numpy(out))


@pytest.mark.parametrize(("class_name", "alpha", "minimalistic", "name"), NETWORKS)
def test_equals_keras_and_survives_the_round_trip(
    keras: Any, tmp_path: Path, class_name: str, alpha: float, minimalistic: bool, name: str
) -> None:
    theirs = original(keras, class_name, alpha, minimalistic, (97, 97))
    file = tmp_path / "theirs.weights.h5"
    theirs.save_weights(file)
    torch.set_default_dtype(torch.float64)  # the file's own: in float32 its weights would be rounded
    try:
        ours = create(name, width_mult=alpha, dialect="keras", weights=file).eval()
    finally:
        torch.set_default_dtype(torch.float32)
    for size_hw in SIZES if alpha == 1.0 else ((97, 97),):
        # Keras fixes the size of V1 and V2 when it builds them; the seed makes the same weights each time.
        sized = theirs if size_hw == (97, 97) else original(keras, class_name, alpha, minimalistic, size_hw)
        x = torch.randn(1, 3, *size_hw, generator=torch.Generator().manual_seed(1), dtype=torch.float64)
        with torch.inference_mode():
            got = ours(x)
        expected = logits(keras, sized, x)
        assert expected.std() > 1e-3
        assert (got - expected).abs().max().item() <= TOLERANCE_F64, size_hw

    recognised = load_weights(file)
    assert (recognised.network.config.architecture, recognised.network.config.width_mult) == (name, alpha)

    for back in (tmp_path / "ours.weights.h5", tmp_path / "ours.h5"):
        save_weights(ours, back, "keras")
        before = [np.asarray(keras.ops.convert_to_numpy(w)) for w in theirs.weights]
        for variable in theirs.weights:
            variable.assign(np.zeros(variable.shape))
        theirs.load_weights(back)
        for variable, value in zip(theirs.weights, before, strict=True):
            assert np.array_equal(keras.ops.convert_to_numpy(variable), value), (back.name, variable.path)


@pytest.mark.parametrize(("alpha", "depth_multiplier"), [(0.25, 2), (0.2, 3)])
def test_the_depth_multiplier_is_keras(keras: Any, tmp_path: Path, alpha: float, depth_multiplier: int) -> None:
    theirs = keras.applications.MobileNet(
        input_shape=(97, 75, 3), alpha=alpha, depth_multiplier=depth_multiplier, weights=None, classes=10,
        classifier_activation=None,
    )  # fmt: skip
    randomise(theirs)
    file = tmp_path / "theirs.weights.h5"
    theirs.save_weights(file)
    torch.set_default_dtype(torch.float64)
    try:
        ours = load_weights(file).network.eval()
    finally:
        torch.set_default_dtype(torch.float32)
    assert (ours.config.width_mult, ours.config.options) == (alpha, {"depthwise_multiplier": depth_multiplier})
    x = torch.randn(1, 3, 97, 75, generator=torch.Generator().manual_seed(1), dtype=torch.float64)
    expected = logits(keras, theirs, x)
    with torch.inference_mode():
        assert (ours(x) - expected).abs().max().item() <= TOLERANCE_F64
    assert sum(parameter.numel() for parameter in ours.parameters()) == sum(
        int(np.prod(weight.shape)) for weight in theirs.trainable_weights
    )
    save_weights(ours, tmp_path / "ours.weights.h5", "keras")
    before = [np.asarray(keras.ops.convert_to_numpy(weight)) for weight in theirs.weights]
    theirs.load_weights(tmp_path / "ours.weights.h5")
    for variable, value in zip(theirs.weights, before, strict=True):
        assert np.array_equal(keras.ops.convert_to_numpy(variable), value), variable.path
