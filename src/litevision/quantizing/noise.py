"""What rounding does to each layer: the signal-to-noise ratio of its output, and the noise that it adds itself."""

import math
from typing import NamedTuple

import numpy as np
import numpy.typing as npt
import onnx

from litevision.exporting.graph_parts import run_graph, with_outputs
from litevision.quantizing.graph import last_layers, layers_of

_CHUNK = 4


class LayerNoise(NamedTuple):
    """The noise of one layer.

    Attributes:
        name: of its node in the graph.
        weight: the name of its weights, which says where in the network it is.
        snr_db: 10 log10 of the power of its output in float over that of the difference; all layers before it have
            their part in that.
        added: the noise over the signal of its output, less that of its input: what the layer itself adds; 0 or more.
    """

    name: str
    weight: str
    snr_db: float
    added: float


def output_noise(original: onnx.ModelProto, quantised: onnx.ModelProto, images_u8_nhwc: npt.NDArray[np.uint8]) -> float:
    """The power of the noise over that of the signal in the outputs of the last layers, on average."""
    last = {node.name for node in last_layers(original)}
    found = [each for each in layer_noise(original, quantised, images_u8_nhwc) if each.name in last]
    return sum(10 ** (-each.snr_db / 10) for each in found) / max(1, len(found))


def layer_noise(
    original: onnx.ModelProto, quantised: onnx.ModelProto, images_u8_nhwc: npt.NDArray[np.uint8]
) -> list[LayerNoise]:
    """Compares each layer's input and output in both graphs; gives the layers that add most noise first."""
    layers = layers_of(original)
    shared = {name for node in quantised.graph.node for name in node.output}
    layers = [node for node in layers if node.input[0] in shared and node.output[0] in shared]
    names = list(dict.fromkeys(name for node in layers for name in (node.input[0], node.output[0])))
    models = [with_outputs(each, names) for each in (original, quantised)]
    signal, noise = dict.fromkeys(names, 0.0), dict.fromkeys(names, 0.0)
    for start in range(0, len(images_u8_nhwc), _CHUNK):
        batch = {"images": images_u8_nhwc[start : start + _CHUNK]}
        exact, rounded = (run_graph(each, names, batch) for each in models)
        for name in names:
            value = exact[name].astype(np.float64)
            signal[name] += float(np.square(value).sum())
            noise[name] += float(np.square(rounded[name] - value).sum())
    ratio = {name: noise[name] / max(signal[name], 1e-12) for name in names}
    found = [
        LayerNoise(
            node.name,
            node.input[1],
            -10 * math.log10(max(ratio[node.output[0]], 1e-12)),
            max(ratio[node.output[0]] - ratio[node.input[0]], 0.0),
        )
        for node in layers
    ]
    return sorted(found, key=lambda each: -each.added)


def layer_title(layer: LayerNoise) -> str:
    """Where the layer is in the network, by the name of its weights."""
    return layer.weight.removeprefix("network.").removesuffix(".weight").removesuffix(".conv")
