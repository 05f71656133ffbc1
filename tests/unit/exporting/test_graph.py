"""The exported graph: what it takes and gives, and that it holds nothing but standard operators and weights."""

import numpy as np
import onnx
import onnxruntime
import pytest

from exports import IMAGENET, graph, probabilities
from images import noise
from litevision import __version__
from litevision.errors import UsageError
from litevision.exporting.graph import to_onnx
from litevision.models import Network, build, configure
from networks import fill, filled, short

SAME_PADDED = [
    ("mobilenet_v1", "keras"),
    ("mobilenet_v2", "keras"),
    ("mobilenet_v3_large", "timm_tf"),
]


def operators(model: onnx.ModelProto) -> list[str]:
    return [node.op_type for node in model.graph.node]


def sides(value: onnx.ValueInfoProto) -> list[int | str]:
    return [side.dim_param or side.dim_value for side in value.type.tensor_type.shape.dim]


def test_takes_raw_images_and_gives_probabilities() -> None:
    model = graph("mobilenet_v2", "keras", (64, 96))
    (images,), (answers,) = model.graph.input, model.graph.output
    assert (images.name, answers.name) == ("images", "probabilities")
    assert images.type.tensor_type.elem_type == onnx.TensorProto.UINT8
    assert answers.type.tensor_type.elem_type == onnx.TensorProto.FLOAT
    assert sides(images) == ["batch", 64, 96, 3]
    assert sides(answers) == ["batch", 10]


@pytest.mark.parametrize(("name", "dialect"), SAME_PADDED)
def test_neither_norms_nor_paddings_are_left(name: str, dialect: str) -> None:
    found = operators(graph(name, dialect, (64, 96)))
    assert "Conv" in found
    assert not {"BatchNormalization", "Pad", "Identity", "Dropout", "Shape"} & set(found)


@pytest.mark.parametrize(("name", "dialect"), [*SAME_PADDED, ("shufflenet_v2_x0_5", "tutorial")])
def test_only_standard_operators(name: str, dialect: str) -> None:
    model = graph(name, dialect, (64, 96))
    lowest = 14 if "HardSwish" in operators(model) else 13
    assert [(entry.domain, entry.version) for entry in model.opset_import] == [("", lowest)]
    assert {node.domain for node in model.graph.node} == {""}
    assert not model.functions
    assert model.ir_version == 7  # which onnxruntime reads since 1.6
    assert "ReduceMean" not in operators(model)  # OpenCV 4.8 passes over axes that are an input


def test_says_nothing_of_the_machine_that_made_it() -> None:
    model = onnx.ModelProto()
    model.CopyFrom(graph("shufflenet_v2_x0_5", "tutorial", (64, 96)))
    for weight in model.graph.initializer:
        weight.ClearField("raw_data")  # random bytes, which may spell anything
    text = str(model)
    assert "features.stem.conv.weight" in text
    for trace in ("/", "\\", ".py", "torch", "File", "line "):
        assert trace not in text, trace
    assert (model.producer_name, model.producer_version) == ("litevision", __version__)


@pytest.mark.parametrize("count", [1, 3])
def test_answers_as_torch_in_plain_onnxruntime(count: int) -> None:
    model = graph("mobilenet_v2", "keras", (64, 96))
    session = onnxruntime.InferenceSession(model.SerializeToString(), providers=["CPUExecutionProvider"])
    batch_u8_nhwc = np.stack([noise(64, 96, seed) for seed in range(count)])
    (got,) = session.run(None, {"images": batch_u8_nhwc})
    np.testing.assert_allclose(got, probabilities(short("mobilenet_v2", "keras"), batch_u8_nhwc), rtol=0, atol=1e-5)
    np.testing.assert_allclose(got.sum(-1), 1, rtol=0, atol=1e-6)


def test_slims_unsqueezed_logits_become_plain_probabilities() -> None:
    rows = short("mobilenet_v1", "slim").config.rows
    config = configure("mobilenet_v1", dialect="slim", num_classes=10, spatial_squeeze=False, rows=rows)
    model = to_onnx(fill(build(config)), IMAGENET, (32, 32))
    assert sides(model.graph.output[0]) == ["batch", 10]


@pytest.mark.parametrize("size_hw", [(16, 16), (224, 8)])
def test_a_size_that_the_network_cannot_take(size_hw: tuple[int, int]) -> None:
    network: Network = filled("mobilenet_v1", "keras")  # its padding leaves nothing of less than 32 pixels
    with pytest.raises(UsageError, match=rf"the network cannot take images of {size_hw[0]}x{size_hw[1]} pixels: .*"):
        to_onnx(network, IMAGENET, size_hw)
