"""The Keras tutorials' networks, saved in each of Keras' formats, are matched by structure and give its logits."""

from pathlib import Path
from typing import Any

import pytest
import torch

from litevision.weights.load import load_weights
from reimplementations import keras_mobilenet_v3, keras_shufflenet, save_keras

SIZE_HW = (64, 96)
ENDINGS = (".keras", ".weights.h5", ".h5")


def assert_gives_its_logits(model: Any, path: Path, architecture: str) -> None:
    network = load_weights(save_keras(model, path)).network.eval()
    assert (network.config.architecture, network.config.dialect) == (architecture, "tutorial")
    assert network.config.num_classes == 7
    x = torch.randn(2, 3, *SIZE_HW, generator=torch.Generator().manual_seed(1))
    with torch.inference_mode():
        got = network(x)
    expected = torch.from_numpy(model.predict(x.permute(0, 2, 3, 1).numpy(), verbose=0))
    assert expected.std() > 1e-3
    torch.testing.assert_close(got / expected.std(), expected / expected.std(), rtol=0, atol=1e-5)


@pytest.mark.filterwarnings("ignore")  # Keras warns of its own deprecations
@pytest.mark.parametrize(("named", "side_first", "endings"), [(True, False, ENDINGS[1:2]), (False, True, ENDINGS)])
def test_the_shufflenet_tutorials_files_load(
    named: bool, side_first: bool, endings: tuple[str, ...], tmp_path: Path
) -> None:
    model = keras_shufflenet(SIZE_HW, named=named, side_first=side_first)
    for ending in endings:
        assert_gives_its_logits(model, tmp_path / f"shufflenet{ending}", "shufflenet_v2_x0_5")


@pytest.mark.filterwarnings("ignore")  # Keras warns of its own deprecations
def test_the_mobilenet_v3_tutorials_files_load(tmp_path: Path) -> None:
    model = keras_mobilenet_v3(SIZE_HW)
    assert_gives_its_logits(model, tmp_path / "mobilenet_v3.keras", "mobilenet_v3_large")
