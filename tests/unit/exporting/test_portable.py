"""Graphs rewritten for old readers compute the same, in the lowest opset that has their nodes."""

import numpy as np
import onnx
import onnx.parser
import pytest
from onnx.reference import ReferenceEvaluator

from litevision.errors import UsageError
from litevision.exporting.portable import make_portable
from litevision.zoo import BUNDLES

POOLS = """<ir_version: 10, opset_import: ["" : 20]>
g (float[n, 4, 5, 6] x) => (float[n, 4] y, float[n, 4, 1, 1] z, float[n, 4, 1, 1] w)
<int64[2] axes = {2, 3}, int64[2] last = {-1, -2}> {
    y = ReduceMean <keepdims = 0> (x, axes)
    z = ReduceMean <keepdims = 1, noop_with_empty_axes = 0> (x, last)
    again = Unsqueeze (y, axes)
    w = Relu (again)
}"""
SPLIT = """<ir_version: 10, opset_import: ["" : 20]> g (float[1, 4, 2, 2] x) => (float[1, 8, 2, 2] y)
<int64[4] shape = {-1, 4, 2, 2}> {
    a, b = Split <axis = 1, num_outputs = 2> (x)
    r = Reshape <allowzero = 1> (x, shape)
    y = Concat <axis = 1> (b, a, r)
}"""
CHANNELS = """<ir_version: 10, opset_import: ["" : 20]> g (float[1, 4, 2, 2] x) => (float[1, 1, 2, 2] y)
<int64[1] axes = {1}> { y = ReduceMean (x, axes) }"""
SWISH = """<ir_version: 10, opset_import: ["" : 20]> g (float[1, 4] x) => (float[1, 4] y) { y = HardSwish (x) }"""


def parsed(text: str) -> onnx.ModelProto:
    return onnx.shape_inference.infer_shapes(onnx.parser.parse_model(text))


@pytest.mark.parametrize(("text", "opset"), [(POOLS, 13), (SPLIT, 13), (CHANNELS, 18), (SWISH, 14)])
def test_computes_the_same_in_the_lowest_opset(text: str, opset: int) -> None:
    before, model = parsed(text), parsed(text)
    make_portable(model)
    onnx.checker.check_model(model, full_check=True)
    assert model.opset_import[0].version == opset
    assert model.ir_version == (8 if opset == 18 else 7)
    shape = [side.dim_value or 3 for side in model.graph.input[0].type.tensor_type.shape.dim]
    x = np.random.default_rng(0).normal(size=shape).astype(np.float32)
    for got, expected in zip(*(ReferenceEvaluator(each).run(None, {"x": x}) for each in (model, before)), strict=True):
        np.testing.assert_allclose(got, expected, rtol=1e-6)


def test_means_over_the_map_are_pools_and_nothing_is_left_over() -> None:
    model = parsed(POOLS)
    make_portable(model)
    assert [node.op_type for node in model.graph.node] == ["GlobalAveragePool", "Flatten", "GlobalAveragePool", "Relu"]
    assert not model.graph.initializer


@pytest.mark.parametrize("opset", [13, 16, 20])
def test_a_chosen_opset(opset: int) -> None:
    model = parsed(POOLS)
    make_portable(model, opset)
    onnx.checker.check_model(model, full_check=True)
    assert model.opset_import[0].version == opset


def test_an_opset_without_a_node() -> None:
    with pytest.raises(UsageError, match="opset 13 cannot be written; expected 14, which its HardSwish needs, to 20"):
        make_portable(parsed(SWISH), 13)
    with pytest.raises(UsageError, match="opset 21 cannot be written; expected 13, to 20"):
        make_portable(parsed(POOLS), 21)


@pytest.mark.parametrize("name", BUNDLES)
def test_the_bundles_that_come_along_are_for_old_readers(name: str) -> None:
    model = onnx.load(BUNDLES[name])
    assert ([one.version for one in model.opset_import if not one.domain], model.ir_version) == ([13], 7)
