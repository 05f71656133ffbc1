"""Models to learn from."""

from pathlib import Path

import numpy as np
import pytest
import torch
from torch.nn import functional as F

from bundles import write_bundle
from litevision.errors import LitevisionError, UsageError
from litevision.hub import load
from litevision.tasks.classification.teacher import open_teacher
from litevision.weights.create import create
from litevision.weights.save import save_weights

LABELS = ("red", "green", "blue")


@pytest.fixture
def bundle(tmp_path: Path) -> str:
    write_bundle(tmp_path / "tiny.onnx")
    return str(tmp_path / "tiny.onnx")


def images(side: int) -> torch.Tensor:
    return torch.randint(0, 256, (2, 3, side, side), generator=torch.Generator().manual_seed(0)).float()


def test_a_bundle_says_what_it_answers(bundle: str) -> None:
    batch = images(8)
    told = open_teacher(bundle, LABELS).logits(batch).softmax(-1)
    nhwc = batch.byte().permute(0, 2, 3, 1).contiguous().numpy()
    np.testing.assert_allclose(told.numpy(), load(bundle).probabilities(nhwc), atol=1e-6)


def test_images_of_another_size_are_resized(bundle: str) -> None:
    batch = torch.zeros(1, 3, 24, 24)
    batch[:, 0] = 255
    assert int(open_teacher(bundle, LABELS).logits(batch).argmax()) == 0


def test_a_bundle_with_other_labels(bundle: str) -> None:
    message = r"loss\.teacher .*tiny\.onnx names 3 classes \(red, green, blue, .*\); expected the data's 2 \(cat, dog, "
    with pytest.raises(UsageError, match=message):
        open_teacher(bundle, ("cat", "dog"))


def test_the_order_of_the_labels_counts(bundle: str) -> None:
    with pytest.raises(UsageError, match="expected the data's 3"):
        open_teacher(bundle, ("blue", "green", "red"))


def test_weights_answer_as_their_network_does(tmp_path: Path) -> None:
    network = create("mobilenet_v1", width_mult=0.25, num_classes=3)
    save_weights(network, tmp_path / "teacher.safetensors")
    teacher = open_teacher(str(tmp_path / "teacher.safetensors"), LABELS)
    batch = images(224)
    told = teacher.logits(batch.requires_grad_())
    assert not told.requires_grad
    mean, std = 0.5, 0.5  # of timm's MobileNetV1
    with torch.no_grad():
        expected = network.eval()((batch / 255 - mean) / std)
        torch.testing.assert_close(told, expected, rtol=1e-4, atol=1e-5)
        small = teacher.logits(batch[:, :, ::2, ::2])
        whole = teacher.logits(F.interpolate(batch[:, :, ::2, ::2], (224, 224), mode="bilinear", antialias=True))
        torch.testing.assert_close(small, whole)


def test_weights_of_another_number_of_classes(tmp_path: Path) -> None:
    save_weights(create("mobilenet_v1", width_mult=0.25, num_classes=5), tmp_path / "teacher.safetensors")
    with pytest.raises(UsageError, match=r"teacher\.safetensors has 5 classes; expected the data's 3$"):
        open_teacher(str(tmp_path / "teacher.safetensors"), LABELS)


@pytest.mark.parametrize("source", ["no.onnx", "no.safetensors", "mobilnet_v2"])
def test_a_teacher_that_is_not_there(source: str) -> None:
    with pytest.raises(LitevisionError, match=r"no\.|mobilnet_v2") as caught:
        open_teacher(source, LABELS)
    assert "\n" not in str(caught.value)
