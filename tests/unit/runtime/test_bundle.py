import json
import os
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper, numpy_helper

from bundles import model, plain_metadata, write_bundle
from litevision.errors import BundleError, FileMissingError, InputShapeError, UsageError
from litevision.runtime import Bundle, EngineChoice


def test_an_opened_bundle_says_what_it_is(tmp_path: Path) -> None:
    bundle = Bundle.open(str(write_bundle(tmp_path / "tiny.onnx")), threads=1)
    assert bundle.metadata.labels == ("red", "green", "blue")
    assert bundle.metadata.preprocess.size_hw == (8, 8)
    assert bundle.path == tmp_path / "tiny.onnx"
    assert bundle.engine.choice == EngineChoice("onnxruntime", "fp32", threads=1, streams=1)
    assert bundle.engine.version.startswith("onnxruntime 1.")


def test_run_gives_every_output(tmp_path: Path) -> None:
    outputs = Bundle.open(write_bundle(tmp_path / "tiny.onnx")).run(np.full((2, 8, 8, 3), 255, np.uint8))
    assert list(outputs) == ["probabilities"]
    assert outputs["probabilities"] == pytest.approx(np.full((2, 3), 1 / 3))


@pytest.mark.parametrize("shape", [(0, 8, 8, 3), (1, 8, 9, 3), (8, 8, 3), (1, 3, 8, 8)])
def test_run_refuses_other_shapes(tmp_path: Path, shape: tuple[int, ...]) -> None:
    bundle = Bundle.open(write_bundle(tmp_path / "tiny.onnx"))
    with pytest.raises(InputShapeError, match=r"a batch of uint8 .*; expected uint8 \(N, 8, 8, 3\)"):
        bundle.run(np.zeros(shape, np.uint8))


def test_run_refuses_other_types(tmp_path: Path) -> None:
    bundle = Bundle.open(write_bundle(tmp_path / "tiny.onnx"))
    with pytest.raises(InputShapeError, match="a batch of float32"):
        bundle.run(np.zeros((1, 8, 8, 3), np.float32))


def test_missing_file_and_folder(tmp_path: Path) -> None:
    with pytest.raises(FileMissingError, match=r"none\.onnx: no such bundle.*litevision export"):
        Bundle.open(tmp_path / "none.onnx")
    with pytest.raises(BundleError, match="cannot be read"):
        Bundle.open(tmp_path)


@pytest.mark.parametrize("content", [b"", b"not a model", b"\xff" * 99])
def test_no_onnx_file(tmp_path: Path, content: bytes) -> None:
    file = tmp_path / "x.onnx"
    file.write_bytes(content)
    with pytest.raises(BundleError, match=r"x\.onnx: not an ONNX file \(it .*\)\. Make one with 'litevision export'"):
        Bundle.open(file)


def test_metadata_is_asked_for(tmp_path: Path) -> None:
    file = tmp_path / "foreign.onnx"
    onnx.save(model(), file)
    with pytest.raises(BundleError, match=r"foreign\.onnx: an ONNX file without 'litevision' metadata.*export"):
        Bundle.open(file)


def test_faults_of_the_metadata_name_the_file(tmp_path: Path) -> None:
    metadata = plain_metadata()
    del metadata["check"]
    with pytest.raises(BundleError, match=r"tiny\.onnx: its metadata is not usable: check is missing"):
        Bundle.open(write_bundle(tmp_path / "tiny.onnx", metadata=metadata))


def test_external_data_is_refused_though_the_file_is_there(tmp_path: Path) -> None:
    made = model(metadata=plain_metadata())
    weight = made.graph.initializer[1]
    (tmp_path / "weight.bin").write_bytes(weight.raw_data)
    weight.ClearField("raw_data")
    weight.data_location = TensorProto.EXTERNAL
    weight.external_data.add(key="location", value="weight.bin")
    (tmp_path / "split.onnx").write_bytes(made.SerializeToString())
    with pytest.raises(BundleError, match=r"split\.onnx: keeps tensors in other files \(weight\), which is not read"):
        Bundle.open(tmp_path / "split.onnx")


@pytest.mark.parametrize(
    "kinds",
    [{"input_name": "x"}, {"batch": 2}, {"size_hw": (8, 9), "metadata": plain_metadata()}],
)
def test_another_input_is_refused(tmp_path: Path, kinds: dict[str, Any]) -> None:
    file = write_bundle(tmp_path / "tiny.onnx", **kinds)
    with pytest.raises(
        BundleError, match=r"its inputs are .*; expected one, 'images', tensor\(uint8\) of \[N, 8, 8, 3\]"
    ):
        Bundle.open(file)


def test_a_graph_that_the_engine_refuses(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    made = model(metadata=plain_metadata())
    made.graph.node[1].op_type = "Poetry"
    (tmp_path / "odd.onnx").write_bytes(made.SerializeToString())
    with pytest.raises(BundleError, match=r"odd\.onnx: onnxruntime .* cannot load it \(.*Poetry") as refusal:
        Bundle.open(tmp_path / "odd.onnx")
    assert "\n" not in str(refusal.value)
    assert capfd.readouterr() == ("", "")


def test_a_weight_of_the_wrong_shape_is_refused(tmp_path: Path) -> None:
    made = model(metadata=plain_metadata())
    made.graph.initializer[1].CopyFrom(numpy_helper.from_array(np.zeros((5, 3), np.float32), "weight"))
    (tmp_path / "odd.onnx").write_bytes(made.SerializeToString())
    with pytest.raises(BundleError, match="cannot load it"):
        Bundle.open(tmp_path / "odd.onnx")


def test_threads_below_one(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="0 threads; expected at least 1"):
        Bundle.open(write_bundle(tmp_path / "tiny.onnx"), threads=0)


def failing_at_run(made: onnx.ModelProto) -> None:
    """The colours are laid out in rows of 7, which their number does not allow."""
    made.graph.initializer.append(numpy_helper.from_array(np.array([-1, 7]), "rows"))
    made.graph.node.insert(2, helper.make_node("Reshape", ["colour", "rows"], ["odd"]))
    made.graph.node.insert(3, helper.make_node("ReduceMax", ["odd"], ["most"], keepdims=0))
    made.graph.node[4].output[0] = "plain"
    made.graph.node.insert(5, helper.make_node("Add", ["plain", "most"], ["logits"]))


@pytest.mark.parametrize("engine", ["onnxruntime", "openvino"])
def test_a_graph_that_fails_while_it_runs_is_one_line(engine: str, tmp_path: Path) -> None:
    pytest.importorskip(engine, reason="needs the extra openvino")
    made = model(metadata=plain_metadata())
    failing_at_run(made)
    (tmp_path / "odd.onnx").write_bytes(made.SerializeToString())
    bundle = Bundle.open(tmp_path / "odd.onnx", engine=engine)
    images = np.zeros((1, 8, 8, 3), np.uint8)
    for run in (bundle.run, bundle.engine.run, lambda it: bundle.engine.run_named({"images": it})):
        with pytest.raises(
            BundleError, match=rf"odd\.onnx: {engine} .* cannot compute it \(.*'litevision export'"
        ) as refusal:
            run(images)
        assert "\n" not in str(refusal.value)


def test_memory_that_runs_out_in_an_engine_is_called_so(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    bundle = Bundle.open(write_bundle(tmp_path / "tiny.onnx"))
    monkeypatch.setattr(bundle.engine, "_session", SimpleNamespace(run=full))
    with pytest.raises(BundleError, match=r"tiny\.onnx: .*not enough memory for an input of \(2, 8, 8, 3\)"):
        bundle.run(np.zeros((2, 8, 8, 3), np.uint8))


def full(*_: object) -> None:
    raise RuntimeError("Failed to allocate memory for requested buffer of size 4294967296")


@pytest.mark.parametrize("op", ["Loop", "Scan"])
def test_bundles_whose_file_says_how_long_they_compute_are_refused(op: str, tmp_path: Path) -> None:
    made = model(metadata=plain_metadata())
    inner = helper.make_graph([helper.make_node(op, ["x"], ["y"])], "inner", [], [])
    made.graph.node.append(helper.make_node("If", ["x"], ["y"], then_branch=inner, else_branch=inner))
    (tmp_path / "odd.onnx").write_bytes(made.SerializeToString())
    with pytest.raises(BundleError, match=rf"odd\.onnx: computes with {op}, which no bundle needs"):
        Bundle.open(tmp_path / "odd.onnx")


def test_bundles_with_functions_of_their_own_are_refused(tmp_path: Path) -> None:
    made = model(metadata=plain_metadata())
    made.functions.append(helper.make_function("d", "f", ["a"], ["b"], [helper.make_node("Relu", ["a"], ["b"])], []))
    (tmp_path / "odd.onnx").write_bytes(made.SerializeToString())
    with pytest.raises(BundleError, match=r"odd\.onnx: computes with functions, which no bundle needs"):
        Bundle.open(tmp_path / "odd.onnx")


def test_what_is_no_plain_file_is_not_read(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe.onnx")
    for path in (tmp_path / "pipe.onnx", Path("/dev/zero")):
        with pytest.raises(BundleError, match="no plain file"):
            Bundle.open(path)


def test_a_file_larger_than_any_model_is_not_read(tmp_path: Path) -> None:
    with (tmp_path / "huge.onnx").open("wb") as file:
        file.truncate(2**31)
    with pytest.raises(BundleError, match=r"huge\.onnx: 2,147,483,648 bytes; expected a \.onnx file of less"):
        Bundle.open(tmp_path / "huge.onnx")


@pytest.mark.parametrize("name", ["onnxruntime", "openvino"])
def test_names_that_are_no_text_are_one_line(name: str, tmp_path: Path) -> None:
    pytest.importorskip(name, reason="needs the extra openvino")
    data = model(metadata=plain_metadata(), input_name="imagez").SerializeToString()
    (tmp_path / "odd.onnx").write_bytes(data.replace(b"imagez", b"image\xff"))
    with pytest.raises(BundleError, match=r"odd\.onnx: "):
        Bundle.open(tmp_path / "odd.onnx", engine=name)


@pytest.mark.parametrize(
    ("key", "value", "fault"),
    [
        ("resize_px", 10**18, r"resize_px is 1000000000000000000; expected 1 to 65536 px"),
        ("resize_px", 10**400, r"resize_px is 10000000000000000000; expected 1 to 65536 px"),
        ("size_hw", [8, 40_000], r"size_hw is \(8, 40000\); expected a height and a width of 1 to 8192 px"),
    ],
)
def test_sizes_that_no_image_has_are_refused(key: str, value: object, fault: str, tmp_path: Path) -> None:
    metadata = plain_metadata()
    metadata["preprocess"][key] = value
    with pytest.raises(BundleError, match=rf"tiny\.onnx: its metadata is not usable: preprocess: {fault}"):
        Bundle.open(write_bundle(tmp_path / "tiny.onnx", metadata=metadata))


@pytest.mark.parametrize("where", ["labels", "training_data"])
def test_half_a_character_is_refused(where: str, tmp_path: Path) -> None:
    metadata = plain_metadata()
    metadata[where] = ["\ud800", "b", "c"] if where == "labels" else "\udfff"
    with pytest.raises(BundleError, match=r"tiny\.onnx: its metadata is not valid JSON .*surrogates"):
        Bundle.open(write_bundle(tmp_path / "tiny.onnx", metadata=json.dumps(metadata)))
