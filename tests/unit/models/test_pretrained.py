"""Pretrained facts: the transform for one's own loader sees what the exported model sees."""

import pickle
from dataclasses import replace

import numpy as np
import pytest
import torch
from PIL import Image
from torch import Tensor

import litevision
from images import noise
from litevision.errors import UsageError
from litevision.image import Preprocess
from litevision.models.pretrained import Pretrained, normalise
from litevision.runtime import Normalisation, Weights

IMAGENET = Normalisation((0.485, 0.456, 0.406), (0.229, 0.224, 0.225))
FACTS = Pretrained("it", Preprocess((48, 64), 72), IMAGENET, ("a", "b"), "MIT", "https://example.org", "0" * 64)
UPSIDE_DOWN = 3  # the EXIF orientation


def formula(image_u8_hwc: np.ndarray) -> Tensor:
    mean, std = torch.tensor(IMAGENET.mean).double(), torch.tensor(IMAGENET.std).double()
    plain = (torch.from_numpy(image_u8_hwc).double() / 255 - mean) / std
    return plain.permute(2, 0, 1).float()


@pytest.mark.parametrize(
    "preprocess",
    [Preprocess((48, 64), 72), Preprocess((48, 64), 48, "letterbox"), Preprocess((64, 48), 64, "stretch", "bicubic")],
)
def test_it_is_the_preprocessing_of_the_model(preprocess: Preprocess) -> None:
    image = Image.fromarray(noise(90, 131))
    got = replace(FACTS, preprocess=preprocess).transform()(image)
    assert (got.dtype, got.shape) == (torch.float32, (3, *preprocess.size_hw))
    torch.testing.assert_close(got, formula(preprocess(image)), rtol=0, atol=1e-5)
    assert torch.equal(got, normalise(torch.from_numpy(preprocess(image)).permute(2, 0, 1), IMAGENET))


def test_tensors_pillow_images_and_labels_beside_them() -> None:
    pixels = noise(90, 131)
    expected = FACTS.transform()(Image.fromarray(pixels))
    tensor = torch.from_numpy(pixels).permute(2, 0, 1)
    image, label = FACTS.transform()(tensor, 7)
    assert label == 7
    assert torch.equal(image, expected)
    torch.testing.assert_close(FACTS.transform()(tensor / 255), expected, rtol=0, atol=1e-5)


@pytest.mark.parametrize("train", [False, True])
def test_an_image_is_turned_upright(train: bool) -> None:
    """The lower half of what a camera held upside down stores is the sky."""
    pixels = np.zeros((96, 96, 3), np.uint8)
    pixels[48:] = 255
    image = Image.fromarray(pixels)
    image.getexif()[0x0112] = UPSIDE_DOWN
    torch.manual_seed(0)
    got = FACTS.transform(train=train)(image)
    assert got[:, 0].mean() > got[:, -1].mean()


def test_training_crops_have_the_same_size_and_normalisation() -> None:
    torch.manual_seed(0)
    transform = pickle.loads(pickle.dumps(FACTS.transform(train=True)))  # a loader's workers get it so
    grey = transform(Image.new("RGB", (131, 90), (124, 116, 104)))
    assert (grey.dtype, grey.shape) == (torch.float32, (3, 48, 64))
    torch.testing.assert_close(grey[:, 0, 0], formula(np.array([[[124, 116, 104]]], np.uint8))[:, 0, 0])
    image = Image.fromarray(noise(90, 131))
    first, second = transform(image), transform(image)
    assert not torch.equal(first, second)


def test_a_detector_has_no_training_crops() -> None:
    with pytest.raises(UsageError, match="crops images without their boxes"):
        replace(FACTS, task="detection").transform(train=True)


@pytest.mark.parametrize("train", [False, True])
def test_a_network_for_grey_values_gets_them(train: bool) -> None:
    network = litevision.create("mobilenet_v2", weights="clothing", in_channels=1)
    assert network.pretrained is not None
    transform = network.pretrained.transform(train=train)
    image = transform(Image.new("RGB", (131, 90), (200, 100, 50)))
    value = (0.299 * 200 + 0.587 * 100 + 0.114 * 50) / 255
    mean, std = (np.mean(it) for it in (network.pretrained.normalisation.mean, network.pretrained.normalisation.std))
    assert torch.allclose(image, torch.full((1, 224, 224), (value - mean) / std), atol=1e-4)
    assert network.eval()(image[None]).shape == (1, 10)


def test_channels_of_unknown_meaning_have_no_transform() -> None:
    with pytest.raises(UsageError, match=r"takes 4 channels.*expected 3 \(RGB\) or 1 \(grey\)"):
        replace(FACTS, in_channels=4).transform()


def test_what_a_bundle_says_of_it() -> None:
    assert FACTS.weights == Weights("it", "https://example.org", "MIT", "0" * 64)
    other = FACTS.without_classes()
    assert (other.labels, other.score, other.normalisation) == (None, None, IMAGENET)
