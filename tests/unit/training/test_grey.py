"""Training networks that see images in grey: ``model.in_channels = 1``."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

import litevision
from litevision.errors import UsageError
from litevision.models.pretrained import normalise
from litevision.runtime import Normalisation
from litevision.training.batches import PixelNormaliser
from litevision.training.plan import make_plan
from shapes import RECIPE, shapes, write_shapes
from trainings import TINY, coloured, tiny_recipe, write_colours

NORMALISATION = Normalisation((0.4, 0.5, 0.6), (0.2, 0.25, 0.3))


def trained(data: Path, base: dict[str, dict[str, Any]], output: Path, **model: Any) -> litevision.Run:
    settings = {**base, "model": {**base["model"], **model}}
    return litevision.train(data, settings=settings, epochs=1, name="grey", output=output, quiet=True)


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> litevision.Run:
    place = tmp_path_factory.mktemp("grey")
    return trained(write_colours(place / "data", 4), TINY, place, in_channels=1)


@pytest.mark.parametrize("in_channels", [1, 3])
def test_training_normalises_as_the_bundle_does(in_channels: int) -> None:
    images = torch.from_numpy(np.random.default_rng(0).integers(0, 256, (2, 3, 5, 7), np.uint8))
    found = PixelNormaliser(NORMALISATION, in_channels)(images)
    assert found.shape == (2, in_channels, 5, 7)
    torch.testing.assert_close(found, normalise(images, NORMALISATION, in_channels), rtol=0, atol=1e-6)


def in_grey(image_u8_hwc: Any) -> Any:
    """Its grey value in all three channels."""
    grey = (image_u8_hwc @ np.array([0.299, 0.587, 0.114])).round().astype(np.uint8)
    return np.repeat(grey[..., None], 3, axis=2)


def test_a_classifier_sees_no_colours(run: litevision.Run) -> None:
    model = litevision.load_classifier(run.folder)
    assert model.bundle.metadata.architecture.arguments["in_channels"] == 1
    image = coloured(0, 0)
    np.testing.assert_allclose(
        model.predict(image).scores, model.predict(in_grey(image)).scores, rtol=0, atol=2e-3
    )  # rounding to whole grey values
    assert run.network.config.in_channels == 1


def planned(data: Path, weights: Path, **model: Any) -> Any:
    """The configuration of a training that goes on with ``weights``."""
    recipe = tiny_recipe({"model": {"weights": str(weights), **model}})
    return make_plan(data, recipe, "grey")[0].config


def test_going_on_keeps_to_grey(run: litevision.Run, tmp_path: Path) -> None:
    data = write_colours(tmp_path / "data", 2)
    assert planned(data, run.folder).in_channels == 1
    with pytest.raises(UsageError, match=r"sees images in grey, got model\.in_channels = 3; leave it out"):
        planned(data, run.folder, in_channels=3)


@pytest.mark.parametrize(("asked", "in_channels"), [(0, 3), (1, 1)])
def test_a_file_of_weights_is_adapted(asked: int, in_channels: int, tmp_path: Path) -> None:
    file = tmp_path / "rgb.safetensors"
    litevision.save_weights(litevision.create("mobilenet_v1", width=0.25, classes=3), file, "timm")
    assert planned(write_colours(tmp_path / "data", 2), file, in_channels=asked).in_channels == in_channels


def test_a_detector_sees_no_colours(tmp_path: Path) -> None:
    made = trained(write_shapes(tmp_path / "data", 4, 2, 2), RECIPE, tmp_path, in_channels=1)
    bundle = litevision.Bundle.open(made.bundle)
    assert bundle.metadata.architecture.arguments["in_channels"] == 1
    _, image = shapes("one", "test", 0)
    found, again = (bundle.run(one[None])["scores"] for one in (image, in_grey(image)))
    np.testing.assert_allclose(found, again, rtol=0, atol=0.05)  # grey values in between are rounded


@pytest.mark.parametrize("in_channels", [2, 4])
def test_other_numbers_of_channels_are_refused(in_channels: int, tmp_path: Path) -> None:
    data = write_colours(tmp_path / "data", 2)
    expected = r"expected model\.in_channels = 3, or 1" if in_channels == 2 else r"in_channels is 4; expected"
    with pytest.raises(UsageError, match=expected):
        trained(data, TINY, tmp_path, in_channels=in_channels)
    assert not (tmp_path / "grey").exists()
