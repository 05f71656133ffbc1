import json
from contextlib import suppress

import numpy as np
import onnx
import pytest
from hypothesis import given
from hypothesis import strategies as st
from onnx import TensorProto, helper

from bundles import model, plain_metadata
from litevision.runtime.onnx_header import read_header

DATA = model(metadata=plain_metadata()).SerializeToString()


def outside(name: str) -> onnx.TensorProto:
    tensor = TensorProto(name=name, data_type=TensorProto.FLOAT, dims=[4], data_location=TensorProto.EXTERNAL)
    tensor.external_data.add(key="location", value="/etc/passwd")
    return tensor


def test_metadata_is_read() -> None:
    header = read_header(DATA)
    assert header.metadata["author"] == "tests"
    assert json.loads(header.metadata["litevision"]) == plain_metadata()
    assert header.external_tensors == ()


def test_values_inside_the_file_are_no_external_tensors() -> None:
    made = model()
    made.graph.initializer.append(onnx.numpy_helper.from_array(np.arange(10_000, dtype=np.float32), "big"))
    assert read_header(made.SerializeToString()).external_tensors == ()


def with_initializer(made: onnx.ModelProto) -> None:
    made.graph.initializer.append(outside("hidden"))


def with_constant(made: onnx.ModelProto) -> None:
    made.graph.node.append(helper.make_node("Constant", [], ["c"], value=outside("hidden")))


def with_list_of_tensors(made: onnx.ModelProto) -> None:
    node = made.graph.node.add(op_type="Custom")
    node.attribute.add(name="all", type=onnx.AttributeProto.TENSORS).tensors.append(outside("hidden"))


def with_branch(made: onnx.ModelProto) -> None:
    inner = helper.make_graph([], "inner", [], [], [outside("hidden")])
    branch = helper.make_graph([helper.make_node("If", ["x"], ["y"], then_branch=inner)], "branch", [], [])
    made.graph.node.append(helper.make_node("If", ["x"], ["y"], then_branch=branch))


def with_sparse(made: onnx.ModelProto) -> None:
    made.graph.sparse_initializer.add().values.CopyFrom(outside("hidden"))


def with_function(made: onnx.ModelProto) -> None:
    node = helper.make_node("Constant", [], ["c"], value=outside("hidden"))
    made.functions.append(helper.make_function("d", "f", [], ["c"], [node], []))


def with_training(made: onnx.ModelProto) -> None:
    made.training_info.add().initialization.initializer.append(outside("hidden"))


@pytest.mark.parametrize(
    "hide",
    [with_initializer, with_constant, with_list_of_tensors, with_branch, with_sparse, with_function, with_training],
)
def test_external_tensors_are_found_wherever_they_hide(hide: object) -> None:
    made = model(metadata=plain_metadata())
    hide(made)
    assert read_header(made.SerializeToString()).external_tensors == ("hidden",)


def test_a_hostile_depth_is_no_recursion() -> None:
    # A million levels of graph > node > attribute > graph would be larger than a file; 5000 exceed Python's stack.
    graph = b"\x0a\x00"
    for _ in range(5000):
        for key in (0x32, 0x2A, 0x0A):  # attribute.g, node.attribute, graph.node
            graph = bytes([key]) + varint(len(graph)) + graph
    data = b"\x08\x0a\x3a" + varint(len(graph)) + graph
    assert read_header(data).external_tensors == ()


def varint(value: int) -> bytes:
    out = b""
    while value > 0x7F:
        out += bytes([value & 0x7F | 0x80])
        value >>= 7
    return out + bytes([value])


@pytest.mark.parametrize("data", [b"", b"hello world, no model", b"\xff" * 40, b"PK\x03\x04" * 9, b"\x08\x0a"])
def test_other_files_are_refused(data: bytes) -> None:
    with pytest.raises(ValueError, match=r"^it (is|holds) "):
        read_header(data)


@given(st.integers(0, len(DATA) - 1))
def test_a_cut_file_is_refused_or_lacks_metadata(length: int) -> None:
    try:
        header = read_header(DATA[:length])
    except ValueError:
        return
    assert header.metadata.get("litevision") != json.dumps(plain_metadata())


@given(st.binary(max_size=200))
def test_no_bytes_raise_anything_but_value_error(data: bytes) -> None:
    for prefix in (b"", b"\x08\x0a", DATA[:50]):
        with suppress(ValueError):
            read_header(prefix + data)


def spelled(*fields: bytes) -> bytes:
    """A model whose one initializer, named "w", has these fields behind its name."""
    tensor = b"\x42\x01w" + b"".join(fields)
    graph = b"\x2a" + varint(len(tensor)) + tensor
    return b"\x08\x0a\x3a" + varint(len(graph)) + graph


PLAIN, ENTRY = b"\x70\x01", b"\x6a\x02\x0a\x00"  # data_location: EXTERNAL, and an entry of external_data


@pytest.mark.parametrize(
    "fields",
    [(PLAIN,), (ENTRY,), (ENTRY, PLAIN), (ENTRY, b"\x70\x00"), (b"\x68\x01", PLAIN), (b"\x6d\x00\x00\x00\x00",)],
    ids=["location", "entry", "both", "entry, location default", "entry that is a number", "entry that is fixed32"],
)
def test_any_sign_of_values_in_another_file_counts(fields: tuple[bytes, ...]) -> None:
    assert read_header(spelled(*fields)).external_tensors == ("w",)


@pytest.mark.parametrize(
    "fields",
    [
        (b"\x70" + varint(0x100000001),),
        (b"\x70" + varint(2),),
        (b"\x70" + varint((1 << 64) - 1),),
        (PLAIN, b"\x70\x00"),
        (PLAIN, b"\x72\x01\x00"),
        (PLAIN, b"\x75\x00\x00\x00\x00"),
        (b"\x71" + bytes(8),),
        (b"\x72\x01\x01",),
    ],
    ids=["33 bits", "unknown", "negative", "twice", "then bytes", "then fixed32", "fixed64", "bytes"],
)
def test_a_location_that_readers_may_take_differently_is_refused(fields: tuple[bytes, ...]) -> None:
    with pytest.raises(ValueError, match="it does not say plainly whether a tensor's values lie in another file"):
        read_header(spelled(*fields))


@pytest.mark.parametrize(
    "fields",
    [
        b"\x70\x81\x00",
        b"\xf0\x00\x01",
        b"\x70" + b"\x80" * 9 + b"\x02",
        b"\xf0\x80\x80\x80\x80\x01\x01",
        b"\x00\x01",
    ],
    ids=["long value", "long key", "65 bits", "key of 36 bits", "field 0"],
)
def test_numbers_that_are_longer_than_they_have_to_be_are_refused(fields: bytes) -> None:
    with pytest.raises(ValueError, match=r"it is no (canonical )?protobuf"):
        read_header(spelled(fields))


def test_metadata_that_stand_twice_are_refused() -> None:
    made = model(metadata=plain_metadata())
    made.metadata_props.add(key="litevision", value="{}")
    with pytest.raises(ValueError, match="it holds the metadata 'litevision' twice"):
        read_header(made.SerializeToString())


def test_a_tensor_whose_values_lie_in_this_file_by_word_is_whole() -> None:
    assert read_header(spelled(b"\x70\x00")).external_tensors == ()


@pytest.mark.parametrize(("mark", "named"), [("ORTM", "onnxruntime's own format"), ("TFL3", "TensorFlow Lite")])
def test_a_file_that_can_be_read_as_two_models_is_refused(mark: str, named: str) -> None:
    made = model(metadata=plain_metadata())
    made.producer_name = mark  # bytes 4 to 8, by which a flatbuffer is known
    data = made.SerializeToString()
    assert data[4:8] == mark.encode()
    with pytest.raises(ValueError, match=f"it can be read as {named} too, as another model"):
        read_header(data)


@pytest.mark.parametrize("version", [2**32, 2**63 - 1, -1, 10_001])
def test_operators_of_a_version_that_is_none_are_refused(version: int) -> None:
    made = model(metadata=plain_metadata())
    made.opset_import[0].version = version  # openvino goes through all versions below it
    with pytest.raises(ValueError, match="it asks for operators of a version that is none"):
        read_header(made.SerializeToString())
