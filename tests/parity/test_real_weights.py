"""Real ImageNet weights from files alone, against the logits that torchvision and Keras computed from them."""

from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image
from torch import Tensor

from litevision.weights.load import Loaded, load_weights

pytestmark = pytest.mark.parity

MEAN = torch.tensor([0.485, 0.456, 0.406])[:, None, None]
STD = torch.tensor([0.229, 0.224, 0.225])[:, None, None]
CLASSES = [0, 100, 386, 500, 999]
TOLERANCE = 1e-3  # the reference has six decimals; kernels differ between machines

TORCHVISION_V2 = ([2.124273, 0.477686, 31.038534, 3.064466, 0.621106], [386, 101, 385, 347, 346])
KERAS_V2 = ([1.309075, 0.159887, 8.757917, -0.457796, 0.555640], [386, 101, 385, 879, 347])
KERAS_V1 = ([5.039858, 2.986637, 25.389757, 4.870552, -0.332049], [386, 101, 385, 343, 51])
CLASSIFIERS = [
    # file, architecture, dialect, width, layout, reference
    ("mobilenet_v2_in1k_torchvision.safetensors", "mobilenet_v2", "torchvision", 1.0, "torchvision", TORCHVISION_V2),
    ("mobilenet_v2_in1k_torchvision.pth", "mobilenet_v2", "torchvision", 1.0, "torchvision", TORCHVISION_V2),
    ("mobilenet_v2_in1k_keras_legacy.h5", "mobilenet_v2", "keras", 1.0, "keras", KERAS_V2),
    ("mobilenet_v2_in1k.weights.h5", "mobilenet_v2", "keras", 1.0, "keras", KERAS_V2),
    ("mobilenet_v1_025_in1k_keras_legacy.h5", "mobilenet_v1", "keras", 0.25, "keras", KERAS_V1),
    ("mobilenet_v1_025_in1k.weights.h5", "mobilenet_v1", "keras", 0.25, "keras", KERAS_V1),
]


def elephant(shared: Path) -> Tensor:
    """The reference image, [3, 224, 224], in 0..1."""
    pixels = np.asarray(Image.open(shared / "weights/reference/elephant_224.png").convert("RGB"))
    return torch.from_numpy(pixels.copy()).permute(2, 0, 1) / 255


def load(shared: Path, file: str) -> Loaded:
    loaded = load_weights(shared / "weights" / file)
    loaded.network.eval()
    return loaded


@pytest.mark.parametrize(("file", "architecture", "dialect", "width_mult", "layout", "reference"), CLASSIFIERS)
def test_classifiers_give_the_reference_logits(
    shared: Path,
    file: str,
    architecture: str,
    dialect: str,
    width_mult: float,
    layout: str,
    reference: tuple[list[float], list[int]],
) -> None:
    loaded = load(shared, file)
    config = loaded.network.config
    assert (config.architecture, config.dialect, config.width_mult) == (architecture, dialect, width_mult)
    assert (config.num_classes, config.final_endpoint, loaded.layout.name) == (1000, None, layout)
    assert set(loaded.applied.dropped.values()) <= {"counts batches; nothing reads it"}

    image = elephant(shared)
    x = (image - MEAN) / STD if dialect == "torchvision" else image * 2 - 1
    with torch.inference_mode():
        logits = loaded.network(x[None])[0]
    expected, top_5 = reference
    assert (logits[CLASSES] - torch.tensor(expected)).abs().max().item() <= TOLERANCE
    assert logits.topk(5).indices.tolist() == top_5


def test_body_of_keras_v1(shared: Path) -> None:
    loaded = load(shared, "mobilenet_v1_025_notop_keras_legacy.h5")
    config = loaded.network.config
    assert (config.architecture, config.dialect, config.width_mult) == ("mobilenet_v1", "keras", 0.25)
    assert (config.num_classes, config.final_endpoint) == (0, None)
    with torch.inference_mode():
        features = loaded.network.forward_features((elephant(shared) * 2 - 1)[None])
    assert features.shape == (1, 256, 7, 7)
    assert features.mean().item() == pytest.approx(1.019404, abs=TOLERANCE)
    assert features[0, :5, 3, 3].tolist() == pytest.approx([0, 0, 0.498641, 0, 0], abs=TOLERANCE)


def test_body_of_megviis_shufflenet(shared: Path) -> None:
    loaded = load(shared, "shufflenet_v2_x0_5_body_megvii_order.pth")
    config = loaded.network.config
    assert (config.architecture, config.dialect, config.width_mult) == ("shufflenet_v2_x0_5", "torchvision", 1.0)
    assert (config.num_classes, config.final_endpoint, loaded.layout.name) == (0, "stage4_unit4", "megvii")
    with torch.inference_mode():
        features = loaded.network(elephant(shared)[None])
    assert features.shape == (1, 192, 7, 7)
    assert features.isfinite().all()
    # No reference: 0.0590 with the channels in torchvision's order, 0.133 in the file's own, 3e-6 untrained.
    assert features.abs().mean().item() == pytest.approx(0.0590, abs=1e-3)
    assert 0.3 < (features > 0).float().mean().item() < 0.6
