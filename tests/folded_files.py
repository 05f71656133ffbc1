"""NanoDets as others export them: normalisation folded away, BGR input, layers without names."""

from collections.abc import Iterator
from pathlib import Path

import numpy as np
import onnx
from onnx import helper, numpy_helper
from torch import nn

from litevision.exporting.graph import fold_batch_norm
from litevision.models.nanodet import NanoDet
from litevision.weights.folded import convolutions


def layers(network: NanoDet) -> Iterator[tuple[nn.Conv2d, np.ndarray, np.ndarray, bool]]:
    """Each convolution with its kernel and bias as a foreign file has them, and whether a leaky ReLU follows."""
    folded = fold_batch_norm(network)
    parents = {f"{name}.conv": part for name, part in folded.named_modules()}
    for i, (path, conv) in enumerate(convolutions(folded)):
        weight = conv.weight.detach().numpy()
        assert conv.bias is not None
        leaky = isinstance(getattr(parents.get(path), "act", None), nn.LeakyReLU)
        yield conv, weight[:, ::-1].copy() if i == 0 else weight, conv.bias.detach().numpy(), leaky


def write_ncnn(network: NanoDet, path: Path, *, half: bool = False) -> None:
    """Writes the convolutions of ``network`` as an ncnn model: ``path`` and the ``.bin`` beside it."""
    rows, numbers = ["Input data 0 1 data"], b""
    for i, (conv, weight, bias, leaky) in enumerate(layers(network)):
        kind = "Convolution" if conv.groups == 1 else "ConvolutionDepthWise"
        given = f"0={conv.out_channels} 1={conv.kernel_size[0]} 3={conv.stride[0]} 4={int(conv.padding[0])} 5=1"
        given += f" 6={weight.size}" + (f" 7={conv.groups}" if conv.groups > 1 else "")
        rows.append(f"{kind} Conv_{i} 1 1 {i} {i + 1} {given}" + (" 9=2 -23310=1,1.000000e-01" if leaky else ""))
        stored = weight.astype("<f2").tobytes() if half else weight.astype("<f4").tobytes()
        tag = 0x01306B47 if half else 0
        numbers += tag.to_bytes(4, "little") + stored + bytes(-len(stored) % 4) + bias.astype("<f4").tobytes()
    path.write_text(f"7767517\n{len(rows)} {len(rows)}\n" + "\n".join(rows) + "\n")
    path.with_suffix(".bin").write_bytes(numbers)


def write_onnx(network: NanoDet, path: Path) -> None:
    """Writes the convolutions of ``network``, one after another, as an ONNX file that nobody could run."""
    nodes, tensors = [], []
    for i, (conv, weight, bias, leaky) in enumerate(layers(network)):
        tensors += [numpy_helper.from_array(weight, f"{i}.w"), numpy_helper.from_array(bias, f"{i}.b")]
        pads, strides = [int(conv.padding[0])] * 4, list(conv.stride)
        names = [f"{i}.x", f"{i}.w", f"{i}.b"]
        nodes.append(helper.make_node("Conv", names, [f"{i}.y"], pads=pads, strides=strides, group=conv.groups))
        if leaky:
            nodes.append(helper.make_node("LeakyRelu", [f"{i}.y"], [f"{i}.z"], alpha=0.1))
    image = helper.make_tensor_value_info("input.1", onnx.TensorProto.FLOAT, [1, 3, 64, 96])
    answer = helper.make_tensor_value_info("output", onnx.TensorProto.FLOAT, None)
    onnx.save(helper.make_model(helper.make_graph(nodes, "foreign", [image], [answer], tensors)), path)
