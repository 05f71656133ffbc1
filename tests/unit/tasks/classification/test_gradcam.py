import copy
import math

import pytest
import torch
from torch import Tensor, nn

from litevision.errors import InputShapeError, UsageError
from litevision.models import Network, configure
from litevision.models.blocks import ClassifierHead
from litevision.models.dialect import Dialect
from litevision.models.network import Backbone
from litevision.tasks.classification.gradcam import grad_cam
from networks import every_form, images, short


def network(*parts: nn.Module, channels: int, num_classes: int = 3, hidden: int = 0) -> Network:
    """A network of these parts, which strides by 4 in all."""
    backbone = Backbone(32)
    for at, part in enumerate(parts):
        backbone.add(f"part_{at}", part, channels)
    head = ClassifierHead(channels, num_classes, hidden_channels=hidden, act="hardswish", dropout=0.5)
    config = configure("mobilenet_v2", num_classes=num_classes)
    return Network(config, Dialect("test"), backbone, head)


def tiny(hidden: int = 0) -> Network:
    torch.manual_seed(3)
    made = network(
        nn.Conv2d(3, 5, 4, stride=4), nn.BatchNorm2d(5), nn.ReLU(inplace=True), channels=5, hidden=hidden
    ).double()
    nn.init.normal_(made.head.classifier.weight)
    return made


def slow_reference(net: Network, image: Tensor, label: int) -> Tensor:
    """Grad-CAM of one image with differences for gradients and loops for everything else."""
    net = copy.deepcopy(net).eval()
    with torch.no_grad():
        features = net.forward_features(image[None])[0]
        channels, height, width = features.shape
        heat = [[0.0] * width for _ in range(height)]
        for channel in range(channels):
            slopes = []
            for y in range(height):
                for x in range(width):
                    step = torch.zeros_like(features)
                    step[channel, y, x] = 1e-4
                    up, down = (float(net.head((features + sign * step)[None])[0, label]) for sign in (1, -1))
                    slopes.append((up - down) / 2e-4)
            weight = sum(slopes) / len(slopes)
            for y in range(height):
                for x in range(width):
                    heat[y][x] += weight * float(features[channel, y, x])
    heat = [[max(0.0, value) for value in row] for row in heat]
    out_height, out_width = image.shape[1:]
    big = torch.empty(out_height, out_width, dtype=torch.float64)
    for y in range(out_height):
        for x in range(out_width):
            big[y, x] = between(heat, (y + 0.5) * height / out_height - 0.5, (x + 0.5) * width / out_width - 0.5)
    return big / big.max() if big.max() > 0 else big


def between(grid: list[list[float]], y: float, x: float) -> float:
    """The bilinear value at (y, x), where the edge goes on outside."""
    y, x = (min(max(at, 0.0), size - 1) for at, size in ((y, len(grid)), (x, len(grid[0]))))
    top, left = math.floor(y), math.floor(x)
    bottom, right = min(top + 1, len(grid) - 1), min(left + 1, len(grid[0]) - 1)
    upper = grid[top][left] * (1 - x + left) + grid[top][right] * (x - left)
    lower = grid[bottom][left] * (1 - x + left) + grid[bottom][right] * (x - left)
    return upper * (1 - y + top) + lower * (y - top)


@pytest.mark.parametrize("hidden", [0, 4])
def test_it_equals_a_slow_plain_reference(hidden: int) -> None:
    net = tiny(hidden)
    batch = images(3, (12, 20), dtype=torch.float64).repeat(3, 1, 1, 1)
    labels = torch.arange(3).repeat_interleave(3)
    heat = grad_cam(net, batch, labels)
    assert heat.shape == (9, 12, 20)
    expected = torch.stack([slow_reference(net, image, int(label)) for image, label in zip(batch, labels, strict=True)])
    assert expected.amax((1, 2)).sum() >= 6  # of the nine; a class that nothing speaks for has no heat
    torch.testing.assert_close(heat.double(), expected, atol=1e-5, rtol=0)


def test_without_classes_it_explains_the_answer() -> None:
    net = tiny().eval()
    nn.init.eye_(net.head.classifier.weight)
    batch = images(6, (12, 20), dtype=torch.float64)
    with torch.no_grad():
        answers = net(batch).argmax(1)
    assert len(set(answers.tolist())) > 1
    assert torch.equal(grad_cam(net, batch), grad_cam(net, batch, answers))


class Corner(nn.Module):
    """Keeps the top left quarter of a map and sets the rest to 0."""

    def forward(self, x: Tensor) -> Tensor:
        kept = torch.zeros_like(x)
        kept[..., : x.shape[-2] // 2, : x.shape[-1] // 2] = 1
        return x * kept


def test_heat_lies_only_where_the_answer_comes_from() -> None:
    net = network(nn.Conv2d(3, 4, 4, stride=4), Corner(), channels=4).eval()
    for part in (net.features[0], net.head.classifier):
        nn.init.uniform_(part.weight, 0.1, 1)
    batch = images(2, (32, 32)).abs()
    elsewhere = batch.clone()
    elsewhere[:, :, 16:] = elsewhere[:, :, :, 16:] = 0
    with torch.no_grad():
        assert torch.equal(net(batch), net(elsewhere))
    heat = grad_cam(net, batch)
    assert heat[:, :14, :14].min() > 0
    assert heat[:, 18:].max() == 0  # bilinear resizing carries it half a cell of 4 px over the edge
    assert heat[:, :, 18:].max() == 0


def test_each_class_has_its_own_places() -> None:
    net = network(nn.Conv2d(3, 3, 4, stride=4, bias=False), channels=3).eval()
    with torch.no_grad():  # channel i sees colour i, class i counts channel i
        net.features[0].weight.copy_(torch.eye(3)[:, :, None, None].expand(3, 3, 4, 4))
        net.head.classifier.weight.copy_(torch.eye(3))
    image = torch.zeros(1, 3, 16, 16)
    image[:, 0, :, :8] = image[:, 1, :, 8:] = 1
    red, green, blue = (grad_cam(net, image, torch.tensor([label]))[0] for label in range(3))
    assert red[:, :6].min() == 1 == green[:, 10:].min()
    assert red[:, 10:].max() == 0 == green[:, :6].max()
    assert blue.max() == 0  # nothing speaks for it, which is no reason for NaN


@every_form
def test_every_family_gives_heat_in_0_to_1(name: str, dialect: str) -> None:
    batch = images(2, (64, 48))
    heat = grad_cam(copy.deepcopy(short(name, dialect)), batch)
    assert (heat.shape, heat.dtype) == ((2, 64, 48), torch.float32)
    assert heat.min() >= 0
    assert [float(top) in (0.0, 1.0) for top in heat.amax((1, 2))] == [True, True]


def test_images_do_not_depend_on_their_batch() -> None:
    net = tiny()
    batch = images(4, (12, 20), dtype=torch.float64)
    labels = torch.tensor([0, 1, 2, 0])
    singly = torch.cat([grad_cam(net, batch[at : at + 1], labels[at : at + 1]) for at in range(4)])
    torch.testing.assert_close(grad_cam(net, batch, labels), singly)


def test_modes_gradients_and_statistics_are_left_as_found() -> None:
    net = tiny().train()
    net.features[1].eval()  # as frozen batch normalisation is
    net.features[0].weight.requires_grad_(False)
    net(images(2, (8, 8), dtype=torch.float64)).sum().backward()
    before = copy.deepcopy(net)  # which leaves the gradients behind
    gradients = [None if found.grad is None else found.grad.clone() for found in net.parameters()]
    rng = torch.get_rng_state()
    batch = images(2, (8, 8), dtype=torch.float64)
    grad_cam(net, batch)
    assert [part.training for part in net.modules()] == [part.training for part in before.modules()]
    assert not net.features[1].training
    assert gradients[0] is None
    for now, was, gradient in zip(net.parameters(), before.parameters(), gradients, strict=True):
        assert (now.requires_grad, torch.equal(now, was)) == (was.requires_grad, True)
        assert (now.grad is None) == (gradient is None)
        assert gradient is None or torch.equal(now.grad, gradient)
    assert all(map(torch.equal, net.buffers(), before.buffers()))
    assert torch.equal(torch.get_rng_state(), rng)
    assert not batch.requires_grad


def test_modes_are_left_as_found_after_an_error() -> None:
    net = tiny().train()
    with pytest.raises(InputShapeError, match="rank 4"):
        grad_cam(net, torch.zeros(3, 8, 8))
    assert all(part.training for part in net.modules())


@pytest.mark.parametrize("mode", [torch.no_grad, torch.inference_mode])
def test_it_works_where_gradients_are_switched_off(mode: type) -> None:
    net = tiny()
    batch = images(2, (8, 8), dtype=torch.float64)
    expected = grad_cam(net, batch)
    with mode():
        assert torch.equal(grad_cam(net, batch.clone()), expected)


def test_what_cannot_be_explained_is_refused() -> None:
    batch = images(2, (32, 32))
    with pytest.raises(UsageError, match="needs a classifier"):
        grad_cam(network(nn.Conv2d(3, 4, 4, stride=4), channels=4, num_classes=0), batch)
    net = tiny().float()
    with pytest.raises(InputShapeError, match=r"shape \[2\], one for each image, got \[3\]"):
        grad_cam(net, batch, torch.tensor([0, 1, 2]))
    for label in (-1, 3):
        with pytest.raises(UsageError, match=r"must lie in 0\.\.2"):
            grad_cam(net, batch, torch.tensor([0, label]))
