"""What holds for every network of the registry, in every published form."""

import copy
from typing import Any

import pytest
import torch
from torch import nn

from litevision.models import FeaturePyramid, Network, NetworkConfig, build, configure
from litevision.models.blocks import SqueezeExcite
from networks import SHORT_ROWS, every_form, every_network, filled, images, map_hw, short

SIZES = ((97, 97), (64, 96), (33, 65))


def meta(name: str, dialect: str, **arguments: Any) -> Network:
    return build(configure(name, dialect=dialect, **arguments), device="meta")


def num_params(module: nn.Module) -> int:
    return sum(parameter.numel() for parameter in module.parameters())


@every_network
def test_logits_and_features(name: str, dialect: str) -> None:
    network = filled(name, dialect)
    headless = meta(name, dialect, num_classes=0)
    state = {key: tensor for key, tensor in network.state_dict().items() if not key.startswith("head.classifier")}
    headless.load_state_dict(state, assign=True)
    headless.eval()
    for size_hw in SIZES:
        x = images(1, size_hw)
        with torch.inference_mode():
            logits, features = network(x), headless(x)
            expected = network.head.classifier(features)
        assert logits.shape == (1, 10)
        assert features.shape == (1, network.num_features)
        assert logits.isfinite().all()
        assert logits.std() > 1e-3
        torch.testing.assert_close(logits, expected, rtol=0, atol=0)


@every_network
def test_every_parameter_learns(name: str, dialect: str) -> None:
    network = copy.deepcopy(filled(name, dialect)).train()
    network(images(4, (64, 64))).square().mean().backward()
    for key, parameter in network.named_parameters():
        assert parameter.grad is not None, key
        assert parameter.grad.isfinite().all(), key
        assert parameter.dim() == 1 or parameter.grad.any(), key  # BN takes a bias before it out again


@every_network
def test_a_image_does_not_see_its_batch(name: str, dialect: str) -> None:
    network = copy.deepcopy(filled(name, dialect)).double()
    x = images(2, (33, 48), dtype=torch.float64)
    with torch.inference_mode():
        together, alone = network(x), torch.cat([network(image[None]) for image in x])
    torch.testing.assert_close(together, alone, rtol=1e-10, atol=1e-10)


@every_network
def test_its_state_dict_is_all_of_it(name: str, dialect: str) -> None:
    network = filled(name, dialect)
    other = build(network.config, device="meta").to_empty(device="cpu").eval()
    other.load_state_dict(network.state_dict())
    x = images(1, (64, 64))
    with torch.inference_mode():
        assert torch.equal(other(x), network(x))


@every_network
def test_a_copy_is_equal_and_apart(name: str, dialect: str) -> None:
    network, x = filled(name, dialect), images(1, (64, 64))
    twin = copy.deepcopy(network)
    with torch.inference_mode():
        expected = network(x)
        assert torch.equal(twin(x), expected)
        for tensor in twin.state_dict().values():
            tensor.zero_()
        assert torch.equal(network(x), expected)
    assert twin.config == network.config


@every_network
def test_endpoints(name: str, dialect: str) -> None:
    network, x = filled(name, dialect), images(2, (33, 65))
    with torch.inference_mode():
        found, logits = network.forward_endpoints(x), network(x)
    assert list(found) == [*(end.name for end in network.endpoints), "global_pool", "logits", "predictions"]
    for end in network.endpoints:
        assert found[end.name].shape == (2, end.channels, *map_hw(network, (33, 65), end.stride)), end
    assert found["global_pool"].shape == (2, network.num_features)
    assert torch.equal(found["logits"], logits)
    assert torch.equal(found["predictions"], logits.softmax(-1))


@every_network
def test_a_final_endpoint_ends_the_network(name: str, dialect: str) -> None:
    network, x = filled(name, dialect), images(1, (64, 64))
    state = network.state_dict()
    with torch.inference_mode():
        everything = network.forward_endpoints(x)
    for index in (0, len(network.endpoints) // 2, -1):
        end = network.endpoints[index]
        cut = meta(name, dialect, num_classes=10, final_endpoint=end.name)
        assert cut.endpoints == network.endpoints[: network.endpoints.index(end) + 1]
        assert cut.num_features == end.channels
        cut.load_state_dict({key: state[key] for key in cut.state_dict()}, assign=True)
        with torch.inference_mode():
            # Equal also means that no later layer has written into an earlier one's map.
            assert torch.equal(cut.eval()(x), everything[end.name])
            stopped = network.forward_endpoints(x, end.name)
            assert list(cut.forward_endpoints(x)) == list(stopped) == [end.name for end in cut.endpoints]
            assert torch.equal(stopped[end.name], everything[end.name])


@every_network
def test_a_pyramid_gives_what_it_declares(name: str, dialect: str) -> None:
    network, x = filled(name, dialect), images(1, (33, 65))
    pyramid = FeaturePyramid(network)
    assert pyramid.strides == (2, 4, 8, 16, 32)
    with torch.inference_mode():
        maps, endpoints = pyramid(x), network.forward_endpoints(x)
    for end, found in zip(pyramid.feature_info, maps, strict=True):
        assert found.shape == (1, end.channels, *map_hw(network, (33, 65), end.stride))
        assert torch.equal(found, endpoints[end.name])
    assert FeaturePyramid(network, (-1, 1)).channels == (pyramid.channels[1], pyramid.channels[-1])


@pytest.mark.parametrize(("output_stride", "strides"), [(8, (2, 4, 8, 8, 8)), (16, (2, 4, 8, 16, 16))])
@every_network
def test_an_output_stride_dilates_with_the_same_weights(
    name: str, dialect: str, output_stride: int, strides: tuple[int, ...]
) -> None:
    strided = filled(name, dialect)
    dilated = meta(name, dialect, num_classes=10, output_stride=output_stride)
    dilated.load_state_dict(strided.state_dict(), assign=True)
    pyramid = FeaturePyramid(dilated.eval())
    assert pyramid.strides == strides
    x = images(1, (64, 96))
    with torch.inference_mode():
        expected, maps = FeaturePyramid(strided)(x), pyramid(x)
    for end, found in zip(pyramid.feature_info, maps, strict=True):
        assert found.shape == (1, end.channels, 64 // end.stride, 96 // end.stride)
    if any(isinstance(part, SqueezeExcite) for part in strided.modules()) or name == "dla34":
        return  # squeeze-and-excite sees the whole map, and DLA's pools go with their strides
    # Everywhere else the strided map is the dilated one at every n-th place.
    n = 32 // output_stride
    first = 0 if strided.dialect.padding == "symmetric" else n - 1  # SAME looks one place further at each stride
    torch.testing.assert_close(maps[-1][..., first::n, first::n], expected[-1], rtol=1e-3, atol=1e-3)
    assert expected[-1].std() > 0.1


@pytest.mark.parametrize("width_mult", [0.35, 0.75, 1.4])
@every_form
def test_widths(name: str, dialect: str, width_mult: float) -> None:
    network = build(configure(name, dialect=dialect, width_mult=width_mult)).eval()
    assert (num_params(network) > num_params(meta(name, dialect))) == (width_mult > 1)
    with torch.inference_mode():
        found = network.forward_endpoints(images(1, (32, 32)))
    assert [found[end.name].shape[1] for end in network.endpoints] == [end.channels for end in network.endpoints]
    assert found["logits"].shape == (1, 1000)


@every_form
def test_dropout_and_input_channels_reach_their_layers(name: str, dialect: str) -> None:
    network = build(configure(name, dialect=dialect, rows=SHORT_ROWS[name], dropout=0.37, in_channels=1))
    assert [part.p for part in network.modules() if isinstance(part, nn.Dropout)] == [0.37]
    assert next(part for part in network.modules() if isinstance(part, nn.Conv2d)).in_channels == 1
    with torch.inference_mode():
        assert network.eval()(images(2, (32, 32), channels=1)).shape == (2, 1000)


@every_form
def test_custom_rows(name: str, dialect: str) -> None:
    network = short(name, dialect)
    assert network.config.rows == SHORT_ROWS[name]
    assert NetworkConfig.from_json(network.config.to_json()) == network.config
    assert num_params(network.features) < num_params(filled(name, dialect).features) / 3
    pyramid = FeaturePyramid(network)
    with torch.inference_mode():
        assert network(images(2, (33, 65))).shape == (2, 10)
        for end, found in zip(pyramid.feature_info, pyramid(images(1, (40, 72))), strict=True):
            assert found.shape == (1, end.channels, *map_hw(network, (40, 72), end.stride))


@every_network
def test_fx_traces_it(name: str, dialect: str) -> None:
    network, x = filled(name, dialect), images(1, (64, 64))
    traced = torch.fx.symbolic_trace(network)
    with torch.inference_mode():
        assert torch.equal(traced(x), network(x))


@every_form
def test_torch_export_keeps_the_batch_open(name: str, dialect: str) -> None:
    network = short(name, dialect)
    program = torch.export.export(network, (images(2, (33, 64)),), dynamic_shapes=({0: torch.export.Dim("batch")},))
    for count in (1, 3):
        x = images(count, (33, 64))
        with torch.inference_mode():
            torch.testing.assert_close(program.module()(x), network(x), rtol=1e-5, atol=1e-5)


@every_form
def test_torch_compile_takes_it_whole(name: str, dialect: str) -> None:
    network, x = short(name, dialect), images(2, (33, 64))
    torch.compiler.reset()  # all networks share a forward, of which it keeps a few versions alone
    compiled = torch.compile(network, backend="eager", fullgraph=True)
    with torch.inference_mode():
        torch.testing.assert_close(compiled(x), network(x), rtol=1e-5, atol=1e-5)


@every_network
def test_channels_last(name: str, dialect: str) -> None:
    # In float64 for the comparison: in float32 the order of sums alone moves the tutorials' features by up to 1e-3.
    network, x = copy.deepcopy(filled(name, dialect)).double(), images(2, (33, 48), dtype=torch.float64)
    turned = copy.deepcopy(network).to(memory_format=torch.channels_last)
    with torch.inference_mode():
        found = turned.forward_features(x.to(memory_format=torch.channels_last))
        expected = network.forward_features(x)
        in_float32 = turned.float().forward_features(x.float().to(memory_format=torch.channels_last))
    assert (found - expected).norm() < 1e-10 * expected.norm()
    assert in_float32.is_contiguous(memory_format=torch.channels_last)


def in_bfloat16(network: Network, x: torch.Tensor) -> torch.Tensor:
    with torch.inference_mode(), torch.autocast("cpu", torch.bfloat16):
        logits: torch.Tensor = network(x)
    return logits


@every_network
def test_autocast_to_bfloat16(name: str, dialect: str) -> None:
    logits = in_bfloat16(filled(name, dialect), images(1, (64, 64)))
    assert logits.dtype == torch.bfloat16
    assert logits.isfinite().all()


@every_form
def test_bfloat16_stays_near(name: str, dialect: str) -> None:
    network, x = short(name, dialect), images(2, (64, 64))  # random weights amplify what a whole one rounds
    with torch.inference_mode():
        expected = network(x)
    assert (in_bfloat16(network, x) - expected).norm() < 0.1 * expected.norm()
