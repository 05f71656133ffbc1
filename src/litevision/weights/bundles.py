"""Read weights from bundles: rebuild the network that an exported graph was made from, with the graph's numbers."""

import math
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor, nn

from litevision.errors import WeightsError, reason_of
from litevision.image import shipped_images
from litevision.models.kinds import AnyConfig, AnyNetwork, config_from_architecture
from litevision.models.pretrained import Pretrained, normalise
from litevision.runtime import BundleMetadata
from litevision.runtime.bundle import checked_metadata, read_bundle
from litevision.runtime.metadata import ADOPTED
from litevision.weights.convert.layout import Tensors
from litevision.weights.folded import unfolded

_PREFIX = "network."  # the graph names its weights after the module that was exported
_MOST_NUMBERS = 64  # for each byte of a file, on the way from its stored numbers to weights
_UNPACK: dict[str, Callable[[list[npt.NDArray[Any]], dict[str, Any]], npt.NDArray[Any]]] = {
    "Cast": lambda arrays, given: arrays[0].astype(_type_of(given["to"])),
    "Mul": lambda arrays, given: np.multiply(*arrays),
    "Sub": lambda arrays, given: np.subtract(*arrays),
    "Floor": lambda arrays, given: np.floor(arrays[0]),
    "Concat": lambda arrays, given: np.concatenate(arrays[:2], given["axis"]),
    "Reshape": lambda arrays, given: arrays[0].reshape(arrays[1]),
}
"""The operators that make weights of numbers stored in 8 or 4 bits, as ``tools/pack_imagenet.py`` writes them."""


def read_bundle_weights(path: Path) -> tuple[AnyConfig, Tensors, Pretrained]:
    """Reads the configuration, the state dict and the facts of the bundle at ``path``.

    The graph holds each convolution with batch normalisation folded in. It is put back as the convolution's kernel,
    and a normalisation that passes its input on and adds the bias, so that the network computes what the graph does.

    Raises:
        FileMissingError, BundleError: no such file, or no bundle.
        WeightsError: a bundle whose network this version cannot rebuild, or whose weights cannot be read.
    """
    data = read_bundle(path)
    metadata = checked_metadata(data, path)
    config, network = rebuilt(metadata, path)
    return config, _state(network, _weights_in(data, path), path), pretrained_of(metadata)


def rebuilt(metadata: BundleMetadata, path: Path) -> tuple[AnyConfig, AnyNetwork]:
    """Builds the network that a bundle was made of, on the device ``meta``, and returns its configuration with it.

    Raises:
        WeightsError: this version cannot build it, or it is a graph of another making.
    """
    if metadata.architecture.dialect == ADOPTED:
        raise WeightsError(
            f"{path}: a graph of another making, from 'litevision adopt', which is run and measured; it is no network "
            "of litevision. Take the weights that it was exported from"
        )
    try:
        config = config_from_architecture(metadata.task, metadata.architecture)
        return config, config.build(device="meta")
    except (ValueError, KeyError, TypeError) as error:
        raise WeightsError(
            f"{path}: its network cannot be rebuilt ({reason_of(error)}). Use the version of litevision that wrote it"
        ) from None


def pretrained_of(metadata: BundleMetadata) -> Pretrained:
    """Returns the facts that a bundle's metadata states."""
    weights = metadata.weights
    return Pretrained(
        name=weights.name,
        preprocess=metadata.preprocess,
        normalisation=metadata.normalisation,
        labels=metadata.labels,
        licence=weights.licence,
        source=weights.provenance,
        sha256=weights.sha256,
        training_data=metadata.training_data,
        score=metadata.score,
        score_thresholds=metadata.score_thresholds,
        calibration=metadata.calibration,
        top_k=metadata.top_k,
        task=metadata.task,
        activation=metadata.activation,
    )


def _weights_in(data: bytes, path: Path) -> Tensors:
    """Reads the weights in a graph, by their module's path; those that are stored smaller are computed first.

    Raises:
        WeightsError: numbers that cannot be read, or that would become far larger than the file.
    """
    import onnx
    from onnx import numpy_helper

    arrays: dict[str, npt.NDArray[Any]] = {}
    try:
        graph = onnx.load_model_from_string(data).graph
    except Exception as error:  # protobuf's DecodeError is no public name
        raise WeightsError(f"{path}: its graph is damaged ({reason_of(error)}). Copy or download it again") from None
    numbers, name = 0, ""
    try:
        for one in graph.initializer:
            name = one.name
            arrays[name] = numpy_helper.to_array(one)
        for node in graph.node:  # they stand in an order in which what a node takes comes first
            unpack = _UNPACK.get(node.op_type)
            if unpack is None or not node.input or not all(each in arrays for each in node.input):
                continue
            name, taken = node.output[0], [arrays[each] for each in node.input]
            is_broadcast = node.op_type in ("Mul", "Sub")
            shape = np.broadcast_shapes(*(it.shape for it in taken)) if is_broadcast else taken[0].shape
            numbers += math.prod(shape)
            if numbers > _MOST_NUMBERS * len(data):
                raise ValueError("it would become far larger than the file")
            arrays[name] = unpack(taken, {each.name: onnx.helper.get_attribute_value(each) for each in node.attribute})
        return {
            name.removeprefix(_PREFIX): torch.from_numpy(array.copy())
            for name, array in arrays.items()
            if name.startswith(_PREFIX)
        }
    except Exception as error:  # numpy, torch and onnx each raise their own for a kind or size that is none
        raise WeightsError(
            f"{path}: the weight {name[:100]!r} in its graph cannot be read ({reason_of(error)}). Export it again"
        ) from None


def _type_of(code: int) -> np.dtype[Any]:
    from onnx.helper import tensor_dtype_to_np_dtype

    return tensor_dtype_to_np_dtype(code)


def _state(network: nn.Module, stored: Mapping[str, Tensor], path: Path) -> Tensors:
    """Unfolds a graph's weights into the state dict of ``network``."""
    wanted = unfolded(network, dict(stored))
    expected = network.state_dict()
    state = {name: tensor for name, tensor in wanted.items() if name in expected}
    strange = [name for name in wanted if name not in expected]
    wrong = [name for name, tensor in expected.items() if name not in state or state[name].shape != tensor.shape]
    if strange or wrong:
        raise WeightsError(
            f"{path}: its graph does not hold the weights of the network that its metadata names "
            f"({len(wrong)} missing or of another shape, {len(strange)} unknown; the first: {(wrong or strange)[0]}). "
            "A quantised or rewritten bundle has none: use the one that litevision exported"
        )
    return state


def restore_folded(network: nn.Module, pretrained: Pretrained) -> None:
    """Gives batch normalisation that was folded away statistics again, those of the images that come along."""
    images = torch.from_numpy(pretrained.preprocess.batch(shipped_images())).permute(0, 3, 1, 2)
    config: Any = network.config
    restore_statistics(network, normalise(images, pretrained.normalisation, config.in_channels))


def restore_statistics(network: nn.Module, batch_f32_nchw: Tensor) -> None:
    """Gives each ``BatchNorm2d`` the statistics of its input for ``batch_f32_nchw``; what the network computes stays.

    Weights out of an exported graph have batch normalisation folded into the convolutions, and its layers pass their
    input on. In evaluation mode that is exact. In training mode such a layer would normalise what was never meant to
    be: with measured statistics, and scale and shift to undo them, training starts where the weights ended.

    Args:
        network: changed in place; in evaluation mode it computes the same as before, up to rounding.
        batch_f32_nchw: normalised images, [N, C, H, W].
    """
    was_training = [(module, module.training) for module in network.modules()]
    hooks = [
        module.register_forward_pre_hook(_restore) for module in network.modules() if isinstance(module, nn.BatchNorm2d)
    ]
    try:
        with torch.no_grad():
            network.eval()(batch_f32_nchw)
    finally:
        for hook in hooks:
            hook.remove()
        for module, mode in was_training:
            module.training = mode


def _restore(module: nn.Module, inputs: tuple[Tensor, ...]) -> None:
    """Replaces mean and variance, and sets scale and shift so that the layer computes the same."""
    assert isinstance(module, nn.BatchNorm2d)
    mean, variance = module.running_mean, module.running_var
    assert mean is not None
    assert variance is not None
    scale = module.weight.double() / (variance.double() + module.eps).sqrt()
    shift = module.bias.double() - mean.double() * scale
    new_variance, new_mean = torch.var_mean(inputs[0].double(), dim=(0, 2, 3), correction=0)
    mean.copy_(new_mean)
    variance.copy_(new_variance)
    module.weight.copy_(scale * (new_variance + module.eps).sqrt())
    module.bias.copy_(shift + new_mean * scale)
