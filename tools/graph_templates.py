"""Make the graph templates: a graph without weights for each network that a published model fits.

    python tools/graph_templates.py            make those that are missing or belong to no network any more
    python tools/graph_templates.py --anew     make all anew, for example after a change of the exporter

A template holds the nodes of an exported graph, and for each weight in it the published tensors that it is made of, as
`litevision.weights.convert` maps them; of a detector, which convolution of the published graph has it.
`litevision.exporting.templates` fills it without torch.
"""

import argparse
import sys
from collections.abc import Iterator
from typing import Any

import onnx
import torch
from torch import nn

from litevision.console import note
from litevision.exporting.graph import to_onnx
from litevision.exporting.templates import FILE, Network, network_of, pack, templates
from litevision.models import NetworkConfig, build
from litevision.models.blocks import LEAK, ConvNormAct
from litevision.models.nanodet import NMS_IOU, NMS_SCORE, NanoDetConfig
from litevision.registry import DETECTORS
from litevision.registry.weight_sets import weight_sets
from litevision.runtime import Normalisation
from litevision.runtime.schema import to_dict
from litevision.weights.convert.layout import Layout, TensorMapping, tensor_mappings
from litevision.weights.folded import forms, rectifiers
from litevision.weights.layouts import layout_named
from litevision.weights.published import labels_of

_PREFIX = "network."
_LEAVES = ("weight", "bias")
_SIZE_HW = (224, 224)


def wanted() -> list[Network]:
    """The network of each published model whose classes have names."""
    return list(dict.fromkeys(network_of(row) for row in weight_sets() if labels_of(row)))


def template(network: Network) -> dict[str, Any]:
    """The template of one network."""
    return _detector(network) if network.architecture in DETECTORS else _classifier(network)


def _classifier(network: Network) -> dict[str, Any]:
    config = NetworkConfig(network.architecture, network.dialect, network.width_mult, options=dict(network.options))
    module = build(config).eval()
    _vary(module)
    layout = layout_named(network.dialect.partition("_")[0])  # timm has several dialects
    model = to_onnx(module, Normalisation((0.5,) * 3, (0.5,) * 3), _SIZE_HW)
    mappings = {mapping.ours: mapping for mapping in tensor_mappings(module, layout)}
    weights = list(_weights(model.graph, module, mappings, layout))
    return {
        "task": config.task,
        "architecture": to_dict(config.to_architecture()),
        "container": "hdf5" if layout.separator == "/" else "torch",
        "dropped": sorted(layout.dropped or {}),
        "layers": b"".join(_field(1, node) for node in _with_norms(model.graph.node, weights)),
        **_of_graph(model, weights),
    }


def _detector(network: Network) -> dict[str, Any]:
    """The template of a NanoDet, whose published files have no names: each weight is that of the n-th convolution."""
    config = NanoDetConfig(network.architecture)
    module = config.build().eval()
    _vary(module)
    [(_, size_px)] = network.options
    model = to_onnx(module, Normalisation((0.5,) * 3, (0.5,) * 3), (size_px, size_px))
    convs = forms(module)
    names = {f"{_PREFIX}{path}.{leaf}": (f"{i}.{leaf}", leaf) for i, (path, _) in enumerate(convs) for leaf in _LEAVES}
    weights: list[dict[str, Any]] = []
    for one in model.graph.initializer:
        row: dict[str, Any] = {"name": one.name, "shape": tuple(one.dims)}
        if one.name in ("scale", "shift"):
            weights.append({**row, "kind": one.name})
        elif one.name in names:
            theirs, leaf = names[one.name]
            weights.append({**row, "kind": leaf, leaf: {"names": [theirs], "order": None, "flat": False}})
    assert len(weights) == 2 + 2 * len(convs), "a weight of the network is none of the graph's"
    return {
        "task": config.task,
        "architecture": to_dict(config.to_architecture()),
        "container": "onnx",
        "dropped": [],
        "convs": convs,
        "rectifiers": rectifiers(module),
        "slope": LEAK,
        "strides": config.form.strides,
        "is_centred": config.form.is_centred,
        "nms": [NMS_IOU, NMS_SCORE],
        "layers": b"",
        **_of_graph(model, weights),
    }


def _vary(module: nn.Module) -> None:
    """Fills biases with numbers: the exporter leaves out those that are all 0, and merges those that are alike."""
    torch.manual_seed(0)
    for parameter in module.parameters():
        if parameter.dim() == 1:
            nn.init.normal_(parameter)


def _of_graph(model: onnx.ModelProto, weights: list[dict[str, Any]]) -> dict[str, Any]:
    """What a template has of a graph, but for the ``weights``."""
    filled = {row["name"] for row in weights}
    constants = [one for one in model.graph.initializer if one.name not in filled]
    outputs = [(one.name, one.type.tensor_type) for one in model.graph.output]
    return {
        "ir_version": model.ir_version,
        "opset": {one.domain: one.version for one in model.opset_import},
        "producer": [model.producer_name, model.producer_version],
        "outputs": [
            [name, kind.elem_type, [axis.dim_param or axis.dim_value for axis in kind.shape.dim]]
            for name, kind in outputs
        ],
        "weights": weights,
        "nodes": b"".join(_field(1, node) for node in model.graph.node),
        "constants": b"".join(_field(5, one) for one in constants),
    }


def _weights(
    graph: onnx.GraphProto, module: nn.Module, mappings: dict[str, TensorMapping], layout: Layout
) -> Iterator[dict[str, Any]]:
    """How each weight in the graph is made: of which tensors of a file, in what order, and with what folded into it."""
    norms = {f"{name}.conv": part for name, part in module.named_modules() if isinstance(part, ConvNormAct)}
    shapes = {one.name: tuple(one.dims) for one in graph.initializer}
    for name in shapes:
        if name in ("scale", "shift"):
            yield {"name": name, "kind": name, "shape": shapes[name]}
        if not name.startswith(_PREFIX):
            continue
        path, leaf = name.removeprefix(_PREFIX).rsplit(".", 1)
        row: dict[str, Any] = {"name": name, "kind": leaf, "shape": shapes[name]}
        for part in ("weight", "bias"):
            if (mapping := mappings.get(f"{path}.{part}")) is not None:
                order = (layout.permute or {}).get(mapping.kind)
                row[part] = {"names": mapping.theirs, "order": order, "flat": mapping.kind == "linear_as_conv"}
        if path in norms and isinstance(norms[path].norm, nn.BatchNorm2d):
            norm = path.removesuffix(".conv") + ".norm"
            parts = ("weight", "bias", "running_mean", "running_var")
            row["norm"] = [mappings[f"{norm}.{part}"].theirs for part in parts]
            row["eps"] = norms[path].norm.eps
        yield row


def _with_norms(nodes: Any, weights: list[dict[str, Any]]) -> Iterator[onnx.NodeProto]:
    """The nodes with batch normalisation after the convolutions, in place of folded into them."""
    folded = {row["name"] for row in weights if "norm" in row}
    for node in nodes:
        if node.op_type != "Conv" or node.input[1] not in folded:
            yield node
            continue
        weight = node.input[1]
        own = next(row for row in weights if row["name"] == weight)
        conv = onnx.NodeProto()
        conv.CopyFrom(node)
        [result] = node.output
        del conv.input[:], conv.output[:]
        conv.input.extend([node.input[0], weight, *([f"{weight}/bias"] if "bias" in own else [])])
        conv.output.append(f"{result}/conv")
        yield conv
        inputs = [f"{result}/conv", *(f"{weight}/norm{i}" for i in range(4))]
        yield onnx.helper.make_node("BatchNormalization", inputs, [result], epsilon=own["eps"])


def _field(number: int, message: Any) -> bytes:
    """A protobuf field that holds ``message``."""
    from litevision.exporting.templates import field

    return field(number, message.SerializeToString(deterministic=True))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n", 1)[0])
    parser.add_argument("--anew", action="store_true")
    anew = parser.parse_args().anew
    have = {} if anew or not FILE.is_file() else templates()
    networks = wanted()
    made = {network: have[network] for network in networks if network in have}
    for count, network in enumerate(networks, start=1):
        if network not in made:
            note(f"{count} of {len(networks)}: {network}")
            made[network] = template(network)
            FILE.write_bytes(pack({each: made[each] for each in networks if each in made}))
    FILE.write_bytes(pack({each: made[each] for each in networks}))
    print(f"{FILE.name}: {len(made)} templates, {FILE.stat().st_size:,} bytes")


if __name__ == "__main__":
    sys.exit(main())
