from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest
from onnx import TensorProto, numpy_helper

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
    [{"input_name": "x"}, {"batch": 1}, {"size_hw": (8, 9), "metadata": plain_metadata()}],
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
