"""RGB weights for another number of input channels: timm's way, in create, load_weights, convert and export."""

from pathlib import Path

import numpy as np
import pytest
import timm
import torch

import litevision
from litevision.image import shipped_images
from litevision.models import build, configure
from litevision.models.pretrained import as_grey, normalise
from litevision.runtime import Bundle, Classifier
from litevision.runtime.metadata import NORMALISATIONS
from litevision.weights.conversion import convert
from litevision.weights.convert.apply import for_channels
from litevision.weights.load import load_weights
from litevision.weights.save import save_weights
from networks import SHORT_ROWS, fill


@pytest.mark.parametrize("channels", [1, 2, 4, 6, 7])
def test_kernels_are_timms(channels: int) -> None:
    kernel = torch.randn(8, 3, 3, 3, dtype=torch.float64)
    expected = timm.models.adapt_input_conv(channels, kernel.clone())
    torch.testing.assert_close(for_channels(kernel, channels).float(), expected.float())
    assert for_channels(kernel, 3) is kernel


def test_a_file_keeps_its_channels_and_takes_others(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    rgb = save_weights(build(configure("mobilenet_v2", num_classes=5)), tmp_path / "rgb.pth", "torchvision")
    whole = load_weights(rgb).network.eval()
    grey = load_weights(rgb, in_channels=1).network.eval()
    assert "the first layer was adapted from 3 input channels to 1" in capsys.readouterr().err
    x = torch.randn(2, 1, 64, 75)
    torch.testing.assert_close(grey(x), whole(x.expand(-1, 3, -1, -1)), atol=1e-5, rtol=1e-4)
    four = litevision.create("mobilenet_v2", weights=rgb, num_classes=5, in_channels=4)
    assert four.features.stem.conv.weight.shape == (32, 4, 3, 3)
    # A grey file is recognised as one, in its origin's layout.
    done = convert(rgb, tmp_path / "grey.pth", to="torchvision", in_channels=1)
    assert done.in_channels == 1
    assert load_weights(tmp_path / "grey.pth").network.config.in_channels == 1


def test_a_grey_bundle_takes_rgb_images(tmp_path: Path) -> None:
    half = NORMALISATIONS["imagenet"]
    config = configure("mobilenet_v2", num_classes=3, in_channels=1, rows=SHORT_ROWS["mobilenet_v2"][:2])
    network = fill(build(config))
    metadata = litevision.export(network, tmp_path / "g.onnx", labels=list("abc"), size=64, normalisation=half)
    assert metadata.architecture.arguments["in_channels"] == 1
    classifier = Classifier(Bundle.open(tmp_path / "g.onnx"))
    batch = classifier.preprocess.batch(shipped_images())
    grey = torch.from_numpy(batch).float() @ torch.tensor([0.299, 0.587, 0.114])
    mean, std = as_grey(half).mean[0], as_grey(half).std[0]
    with torch.inference_mode():
        expected = network.eval()(((grey / 255 - mean) / std)[:, None]).softmax(-1)
    np.testing.assert_allclose(classifier.probabilities(batch), expected, atol=1e-5)
    assert load_weights(tmp_path / "g.onnx").network.config.in_channels == 1
    assert normalise(torch.from_numpy(batch).permute(0, 3, 1, 2), half, 1).shape == (len(batch), 1, 64, 64)
