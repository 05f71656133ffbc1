"""ShuffleNetV2 against torchvision's, against the tutorial's layers in Keras, and against Megvii's network and file."""

import os
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
import torchvision
from PIL import Image
from torch import Tensor, nn
from torch.nn import functional as F
from torchvision.models.shufflenetv2 import ShuffleNetV2

from litevision.errors import WeightsMismatchError
from litevision.models import Network, build, configure
from litevision.models.blocks import ConvNormAct
from litevision.weights.convert.apply import apply, extract
from litevision.weights.convert.keras import LAYOUT as KERAS
from litevision.weights.convert.layout import Tensors
from litevision.weights.convert.megvii import LAYOUT as MEGVII
from litevision.weights.convert.megvii import channel_order
from litevision.weights.convert.native import every_layer
from litevision.weights.convert.torchvision import LAYOUT as TORCHVISION
from originals import SIZES, TOLERANCE_F32, TOLERANCE_F64, assert_same_logits, randomise

pytestmark = pytest.mark.parity

SCALES = ("shufflenet_v2_x0_5", "shufflenet_v2_x1_0", "shufflenet_v2_x1_5", "shufflenet_v2_x2_0")


def of_torchvision(name: str) -> nn.Module:
    made: nn.Module = getattr(torchvision.models, name)(weights=None)
    return made


def filled(theirs: nn.Module, name: str, width_mult: float = 1.0) -> Network:
    ours = build(configure(name, width_mult=width_mult)).to(next(theirs.parameters()).dtype).eval()
    apply(ours, theirs.state_dict(), TORCHVISION)
    return ours


def assert_comes_back(ours: Network, theirs: nn.Module) -> None:
    stored = {name: tensor for name, tensor in theirs.state_dict().items() if "num_batches_tracked" not in name}
    back = extract(ours, TORCHVISION)
    assert list(back) == list(stored)
    assert all(torch.equal(back[name], tensor) for name, tensor in stored.items())


@pytest.mark.parametrize("name", SCALES)
def test_gives_torchvisions_logits(name: str) -> None:
    theirs = randomise(of_torchvision(name))
    ours = filled(theirs, name)
    for size_hw in SIZES:
        assert_same_logits(ours, theirs, size_hw)
    assert_comes_back(ours, theirs)


def test_gives_torchvisions_logits_at_a_width_of_three_quarters() -> None:
    # 87 is as near to 86 as to 88; a tie goes up.
    theirs = randomise(ShuffleNetV2([4, 8, 4], [24, 88, 174, 348, 1024]))
    ours = filled(theirs, "shufflenet_v2_x1_0", 0.75)
    for size_hw in SIZES:
        assert_same_logits(ours, theirs, size_hw)
    assert_comes_back(ours, theirs)


def test_gives_torchvisions_logits_in_float32() -> None:
    theirs = randomise(of_torchvision("shufflenet_v2_x1_0")).float()
    # Sums of up to 1024 products in another order.
    assert_same_logits(filled(theirs, "shufflenet_v2_x1_0"), theirs, (160, 160), TOLERANCE_F32)


# The tutorial's form, from Keras' layers: they decide what SAME padding, a bias and Keras' defaults are.


def tutorial_in_keras(size_hw: tuple[int, int], ratio: float) -> Any:
    """The 0.5x network; each layer has our name for it, with a dash for each dot, which Keras refuses."""
    os.environ["KERAS_BACKEND"] = "torch"
    import keras
    from keras import layers

    def normed(x: Any, layer: Any, name: str, act: bool) -> Any:
        x = layers.BatchNormalization(name=f"{name}-norm")(layer(x))
        return layers.ReLU()(x) if act else x

    def pointwise(x: Any, channels: int, name: str) -> Any:
        return normed(x, layers.Conv2D(channels, 1, name=f"{name}-conv"), name, act=True)

    def depthwise(x: Any, strides: int, name: str) -> Any:
        layer = layers.DepthwiseConv2D(3, strides=strides, padding="same", name=f"{name}-conv")
        return normed(x, layer, name, act=False)

    def unit(x: Any, channels: int, strides: int, name: str) -> Any:
        if strides == 1:
            half = x.shape[-1] // 2
            other, x = x[..., :half], x[..., half:]
        else:
            other = pointwise(depthwise(x, strides, f"{name}-side-depthwise"), channels, f"{name}-side-pointwise")
        x = pointwise(x, channels, f"{name}-main-pointwise_1")
        x = depthwise(x, strides, f"{name}-main-depthwise")
        x = pointwise(x, channels, f"{name}-main-pointwise_2")
        x = layers.Concatenate()([x, other])
        height, width, total = x.shape[1:]
        x = layers.Reshape((height, width, 2, total // 2))(x)
        return layers.Reshape((height, width, total))(layers.Permute((1, 2, 4, 3))(x))

    image = x = layers.Input((*size_hw, 3))
    x = layers.Conv2D(24, 3, strides=2, padding="same", use_bias=False, activation="relu", name="features-stem-conv")(x)
    x = layers.MaxPooling2D(3, strides=2, padding="same")(x)
    for stage, channels, units in ((2, 48, 4), (3, 96, 8), (4, 192, 4)):
        for i in range(1, units + 1):
            x = unit(x, int(channels * ratio / 2), 2 if i == 1 else 1, f"features-stage{stage}_unit{i}")
    x = layers.Conv2D(1024, 1, activation="relu", name="features-conv5-conv")(x)
    return keras.Model(image, layers.Dense(1000, name="head-classifier")(layers.GlobalAveragePooling2D()(x)))


@pytest.mark.filterwarnings("ignore")  # Keras warns of its own deprecations
@pytest.mark.parametrize(("size_hw", "ratio"), [((96, 128), 1.0), ((97, 65), 1.0), ((64, 64), 0.7)])
def test_the_tutorials_form_is_what_keras_layers_compute(size_hw: tuple[int, int], ratio: float) -> None:
    theirs = tutorial_in_keras(size_hw, ratio)
    config = configure("shufflenet_v2_x0_5", dialect="tutorial", bottleneck_ratio=ratio)
    ours = randomise(build(config)).float()
    as_keras = replace(KERAS, mappings={"shufflenet_v2": every_layer}, depthwise_leaf=("kernel",))
    arrays = extract(ours, as_keras)
    for layer in theirs.layers:
        for variable in layer.weights:
            variable.assign(arrays.pop(f"{layer.name.replace('-', '.')}/{variable.name}").numpy())
    assert not arrays

    x = torch.randn(2, 3, *size_hw, generator=torch.Generator().manual_seed(1))
    with torch.inference_mode():
        got = ours(x)
    expected = torch.from_numpy(theirs.predict(x.permute(0, 2, 3, 1).numpy(), verbose=0))
    # Both compute in float32, and the ends have no BN to keep the logits near 1; so relative to their size.
    torch.testing.assert_close(got / expected.std(), expected / expected.std(), rtol=0, atol=1e-5)


# Megvii's network, written down from what it does: the even channels pass, the odd ones are processed.


def megvii_layer(t: Tensors, conv: str, norm: str, x: Tensor, *, stride: int = 1, act: bool = True) -> Tensor:
    weight = t[f"{conv}.weight"]
    groups = x.shape[1] if weight.shape[1] == 1 else 1
    x = F.conv2d(x, weight, stride=stride, padding=weight.shape[-1] // 2, groups=groups)
    mean, var = t[f"{norm}.running_mean"], t[f"{norm}.running_var"]
    x = F.batch_norm(x, mean, var, t[f"{norm}.weight"], t[f"{norm}.bias"], eps=1e-5)
    return x.relu() if act else x


def megvii_unit(t: Tensors, name: str, x: Tensor) -> Tensor:
    side, main = f"{name}.branch_proj", f"{name}.branch_main"
    strides = f"{side}.0.weight" in t
    if strides:
        passed = megvii_layer(t, f"{side}.0", f"{side}.1", x, stride=2, act=False)
        passed = megvii_layer(t, f"{side}.2", f"{side}.3", passed)
    else:
        passed, x = x[:, 0::2], x[:, 1::2]
    x = megvii_layer(t, f"{main}.0", f"{main}.1", x)
    x = megvii_layer(t, f"{main}.3", f"{main}.4", x, stride=2 if strides else 1, act=False)
    return torch.cat((passed, megvii_layer(t, f"{main}.5", f"{main}.6", x)), dim=1)


def megvii_forward(t: Tensors, rgb: Tensor, units: tuple[int, ...] = (4, 8, 4)) -> dict[str, Tensor]:
    """Every unit's output under our name for it, and the logits where the file has a classifier; fed with BGR."""
    t = {name: tensor.double() for name, tensor in t.items()}
    x = megvii_layer(t, "first_conv.0", "first_conv.1", rgb.flip(1), stride=2)
    found = {"stem": x}
    x = F.max_pool2d(x, 3, stride=2, padding=1)
    for stage, count in enumerate(units, start=2):
        for i in range(count):
            found[f"stage{stage}_unit{i + 1}"] = x = megvii_unit(t, f"stage{stage}.{i}", x)
    if "classifier.0.weight" in t:
        x = megvii_layer(t, "conv_last.0", "conv_last.1", x)
        found["logits"] = F.linear(x.mean((2, 3)), t["classifier.0.weight"], t.get("classifier.0.bias"))
    return found


def assert_same_maps(ours: Network, file: Tensors, rgb: Tensor) -> float:
    """Every unit gives Megvii's map, its channels in ``channel_order``; gives the largest difference."""
    with torch.inference_mode():
        expected, got = megvii_forward(file, rgb), ours.forward_endpoints(rgb)
    largest = 0.0
    for name, theirs in expected.items():
        if "_unit" in name:
            theirs = theirs[:, channel_order(theirs.shape[1])]
        assert theirs.std() > 1e-3
        largest = max(largest, (got[name] - theirs).abs().max().item())
    assert largest <= TOLERANCE_F64
    return largest


def random_image() -> Tensor:
    return torch.rand(1, 3, 97, 128, generator=torch.Generator().manual_seed(3), dtype=torch.float64)


def test_megviis_real_file_computes_the_same_maps(shared: Path) -> None:
    path = shared / "weights" / "shufflenet_v2_x0_5_body_megvii_order.pth"
    file: Tensors = torch.load(path, map_location="cpu", weights_only=True)
    assert len(file) == 330
    ours = build(configure("shufflenet_v2_x0_5", final_endpoint="stage4_unit4"))
    apply(ours, file, MEGVII)
    ours.double().eval()
    elephant = np.asarray(Image.open(shared / "weights" / "reference" / "elephant_224.png").convert("RGB"))
    assert_same_maps(ours, file, random_image())
    assert_same_maps(ours, file, torch.tensor(elephant).permute(2, 0, 1)[None].double() / 255)

    back = extract(ours.float(), MEGVII)
    stored = {name: tensor for name, tensor in file.items() if "num_batches_tracked" not in name}
    assert back.keys() == stored.keys()
    assert all(torch.equal(back[name], tensor) for name, tensor in stored.items())


@pytest.mark.parametrize("name", SCALES)
def test_random_tensors_in_megviis_order_compute_the_same_maps(name: str) -> None:
    theirs = randomise(build(configure(name, num_classes=10)))
    file = extract(theirs, MEGVII)
    assert_same_maps(theirs, file, random_image())
    ours = build(theirs.config).double().eval()
    apply(ours, file, MEGVII)
    assert_same_maps(ours, file, random_image())


def test_megviis_flat_names_and_its_classifier_without_bias_load() -> None:
    file = extract(randomise(build(configure("shufflenet_v2_x0_5", num_classes=10))), MEGVII)
    del file["classifier.0.bias"]
    firsts = {"stage2": 0, "stage3": 4, "stage4": 12}
    flat = {}
    for name, tensor in file.items():
        stage, *rest = name.split(".")
        flat[".".join(["features", str(firsts[stage] + int(rest[0])), *rest[1:]]) if stage in firsts else name] = tensor
    ours = build(configure("shufflenet_v2_x0_5", num_classes=10)).double().eval()
    apply(ours, flat, MEGVII)
    assert_same_maps(ours, file, random_image())


def test_megviis_larger_scales_are_refused_with_the_reason() -> None:
    network = build(configure("shufflenet_v2_x1_0", num_classes=10))
    file = extract(network, MEGVII)
    # The official 1x divides the first unit's 116 channels into 24 and 92.
    file["stage2.0.branch_proj.2.weight"] = torch.zeros(24, 24, 1, 1)
    with pytest.raises(WeightsMismatchError, match=r"side branch of stage2 gives 24 of 116 channels, .* form 58"):
        apply(network, file, MEGVII)


def test_a_file_of_another_scale_is_refused_for_its_shapes() -> None:
    file = extract(build(configure("shufflenet_v2_x1_5", num_classes=10)), MEGVII)
    with pytest.raises(WeightsMismatchError, match=r"weights of shufflenet_v2_x0_5 .* 266 of another shape: "):
        apply(build(configure("shufflenet_v2_x0_5", num_classes=10)), file, MEGVII)


def test_the_order_reverses_doubling_chains() -> None:
    assert channel_order(8) == [0, 4, 2, 6, 1, 5, 3, 7]  # the bits of each index reversed, as 8 is a power of 2
    assert channel_order(12) == [0, 8, 4, 6, 2, 10, 3, 7, 1, 9, 5, 11]
    for channels in (48, 116, 704, 974):
        order = channel_order(channels)
        assert [order[channel] for channel in order] == list(range(channels))
        assert {channel % 2 for channel in order[: channels // 2]} == {0}


def test_every_convolution_of_the_backbone_is_in_the_map() -> None:
    network = build(configure("shufflenet_v2_x0_5"), device="meta")
    convs = {f"{name}.conv" for name, part in network.named_modules() if isinstance(part, ConvNormAct)}
    for layout in (TORCHVISION, MEGVII):
        assert convs <= {pair.ours for pair in layout.mappings["shufflenet_v2"](network)}
