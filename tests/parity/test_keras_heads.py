"""Keras' fine-tuned models, as its transfer-learning guide makes them: pooling and a dense layer on a base."""

import os
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from litevision.weights.load import load_weights

os.environ["KERAS_BACKEND"] = "torch"

pytestmark = [pytest.mark.parity, pytest.mark.filterwarnings("ignore")]  # Keras warns of its own deprecations

CASES = [
    ("MobileNet", {"alpha": 0.25}, "nested", ".keras"),
    ("MobileNetV2", {"alpha": 0.35}, "sequential", ".h5"),
    ("MobileNetV3Small", {"alpha": 0.75, "include_preprocessing": False}, "flat", ".weights.h5"),
    ("MobileNetV2", {"alpha": 0.35}, "two layers", ".keras"),
    ("MobileNet", {"alpha": 0.25}, "normalised", ".keras"),
]


def tuned(keras: Any, class_name: str, options: dict[str, Any], form: str) -> Any:
    layers = keras.layers
    base = getattr(keras.applications, class_name)(include_top=False, weights=None, input_shape=(64, 64, 3), **options)
    if form == "sequential":
        return keras.Sequential([base, layers.GlobalAveragePooling2D(), layers.Dense(5)])
    image = base.input if form == "flat" else keras.Input((64, 64, 3))
    x = base.output if form == "flat" else base(layers.RandomFlip()(image), training=False)
    x = layers.GlobalAveragePooling2D()(x)
    if form == "normalised":
        x = layers.BatchNormalization()(x)
    if form == "two layers":
        x = layers.Dense(32, activation="relu")(x)
    return keras.Model(image, layers.Dense(5)(layers.Dropout(0.2)(x)))


@pytest.mark.parametrize(("class_name", "options", "form", "ending"), CASES)
def test_the_dense_layer_is_the_classifier_and_another_head_is_left_out(
    class_name: str, options: dict[str, Any], form: str, ending: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    keras = pytest.importorskip("keras", reason="needs Keras, which the extra dev brings")
    keras.backend.clear_session()
    model, rng = tuned(keras, class_name, options, form), np.random.default_rng(0)
    for variable in model.weights:
        if "seed" in variable.path:
            continue
        shape = tuple(variable.shape)
        scale = (2 / np.prod(shape[:-1])) ** 0.5 if len(shape) > 1 else 0.3
        positive = variable.name in ("gamma", "moving_variance")
        variable.assign(rng.uniform(0.5, 1.5, shape) if positive else scale * rng.standard_normal(shape))
    file = tmp_path / f"tuned{ending}"
    (model.save_weights if ending == ".weights.h5" else model.save)(file)
    network = load_weights(file).network.eval()
    x = torch.rand(2, 3, 64, 64, generator=torch.Generator().manual_seed(0))
    with torch.inference_mode():
        ours = network(x)
        theirs = torch.as_tensor(keras.ops.convert_to_numpy(model(x.permute(0, 2, 3, 1), training=False)))
    said = capsys.readouterr().err
    if form in ("two layers", "normalised"):
        assert network.config.num_classes == 0
        assert "was left out: the backbone alone is read" in said
        return
    assert "the classifier is 'dense" in said
    assert (ours - theirs).abs().max() <= 2e-6 * theirs.abs().max()
