"""What is refused of a stranger's file, and what of it is read."""

from pathlib import Path

import numpy as np
import onnx
import pytest
from onnx import numpy_helper, parser

from litevision.cost.graph import graph_ledger
from litevision.errors import BundleError, FileMissingError, UnsafeFileError

TEXT = """<ir_version: 10, opset_import: ["" : 20]> g (float[1, 3, 4, 4] x) => (float[n] y) {
    r = Reshape (x, s)
    y = Conv (r, w)
}"""
LARGE = (5, 3, 20, 20)  # 24 kB


def saved(path: Path, weight: tuple[int, ...] = LARGE) -> Path:
    """A model at ``path`` with all of its tensors in ``weights.bin`` beside it."""
    made = parser.parse_model(TEXT.replace("4, 4", "32, 32"))
    for name, value in (("w", np.ones(weight, np.float32)), ("s", np.array([1, 3, 32, 32]))):
        made.graph.initializer.append(numpy_helper.from_array(value, name))
    onnx.save(made, path, save_as_external_data=True, location="weights.bin", size_threshold=0)
    return path


def changed(path: Path, key: str, value: str) -> Path:
    """The model at ``path`` with another entry about where its weight lies."""
    made = onnx.load(path, load_external_data=False)
    entries = {entry.key: entry for entry in made.graph.initializer[0].external_data}
    entries[key].value = value
    path.write_bytes(made.SerializeToString())
    return path


def test_weights_beside_the_file_count_and_shapes_beside_it_are_read(tmp_path: Path) -> None:
    costs = graph_ledger(saved(tmp_path / "m.onnx"))
    assert costs.num_params == 6000
    assert costs.macs == 6000 * 13 * 13
    assert costs.at_least == frozenset()


@pytest.mark.parametrize("location", ["../weights.bin", "/etc/passwd", "deep/../../weights.bin", "", "."])
def test_weights_outside_the_folder_are_refused(tmp_path: Path, location: str) -> None:
    (tmp_path / "in").mkdir()
    (tmp_path / "weights.bin").write_bytes(bytes(30_000))
    path = changed(saved(tmp_path / "in/m.onnx"), "location", location)
    expected = "outside its own folder, which is not read. Save the model as one file"
    if location == ".":
        with pytest.raises(FileMissingError, match=r"keeps 'w' in '\.', which is not there"):
            graph_ledger(path)
        return
    with pytest.raises(UnsafeFileError, match=expected):
        graph_ledger(path)


def test_a_link_out_of_the_folder_is_refused(tmp_path: Path) -> None:
    (tmp_path / "in").mkdir()
    path = saved(tmp_path / "in/m.onnx")
    (tmp_path / "in/weights.bin").rename(tmp_path / "elsewhere.bin")
    (tmp_path / "in/weights.bin").symlink_to(tmp_path / "elsewhere.bin")
    with pytest.raises(UnsafeFileError, match=r"keeps 'w' at 'weights\.bin', outside its own folder"):
        graph_ledger(path)


def test_a_missing_file_of_weights_is_named(tmp_path: Path) -> None:
    path = saved(tmp_path / "m.onnx")
    (tmp_path / "weights.bin").unlink()
    with pytest.raises(
        FileMissingError, match=r"m.onnx: keeps 'w' in 'weights.bin', which is not there. Put it beside"
    ):
        graph_ledger(path)


@pytest.mark.parametrize(("key", "value"), [("offset", "20000"), ("length", "77"), ("offset", "999999999")])
def test_a_file_of_weights_that_does_not_fit_is_refused(tmp_path: Path, key: str, value: str) -> None:
    path = changed(saved(tmp_path / "m.onnx"), key, value)
    with pytest.raises(BundleError, match=r"'w' needs 24000 bytes of 'weights.bin' from \d+ on, but that file is cut"):
        graph_ledger(path)


@pytest.mark.parametrize("data", [b"", b"hello", b"\x08", b"\xff" * 100, b"PK\x03\x04" + bytes(60)])
def test_what_is_no_onnx_is_one_line(tmp_path: Path, data: bytes) -> None:
    (tmp_path / "m.onnx").write_bytes(data)
    with pytest.raises(
        BundleError, match=r"m.onnx: not an ONNX file \(.+\). Expected one that an exporter wrote."
    ) as error:
        graph_ledger(tmp_path / "m.onnx")
    assert "\n" not in str(error.value)


def test_a_cut_file_is_refused_wherever_it_is_cut(tmp_path: Path) -> None:
    made = parser.parse_model(TEXT)
    for name, value in (("w", np.ones((5, 3, 1, 1), np.float32)), ("s", np.array([1, 3, 4, 4]))):
        made.graph.initializer.append(numpy_helper.from_array(value, name))
    data = made.SerializeToString()
    path = tmp_path / "m.onnx"
    for end in range(1, len(data)):
        path.write_bytes(data[:end])
        try:
            costs = graph_ledger(path)
        except BundleError:
            continue
        # The graph is whole, and what was cut off are the versions of the operators: nothing can be inferred.
        assert costs.macs in (0, 240)
        assert costs.macs == 240 or "macs" in costs.at_least


def test_a_folder_and_nothing_are_said_to_be_so(tmp_path: Path) -> None:
    with pytest.raises(FileMissingError, match=r"nothing\.onnx: no such"):
        graph_ledger(tmp_path / "nothing.onnx")
    with pytest.raises(BundleError, match="cannot be read"):
        graph_ledger(tmp_path)


def test_a_weight_that_holds_less_than_its_shape_says_is_refused(tmp_path: Path) -> None:
    made = parser.parse_model(TEXT)
    made.graph.initializer.append(numpy_helper.from_array(np.ones((5, 3, 1, 1), np.float32), "w"))
    made.graph.initializer[0].dims[0] = 500
    (tmp_path / "m.onnx").write_bytes(made.SerializeToString())
    with pytest.raises(BundleError, match="'w' holds 60 bytes and its shape needs 6000: the file is broken"):
        graph_ledger(tmp_path / "m.onnx")
    made.graph.initializer[0].dims[0] = -5
    (tmp_path / "m.onnx").write_bytes(made.SerializeToString())
    with pytest.raises(BundleError, match=r"'w' has the shape \(-5, 3, 1, 1\): the file is broken"):
        graph_ledger(tmp_path / "m.onnx")


def test_a_type_from_the_future_is_refused(tmp_path: Path) -> None:
    made = parser.parse_model(TEXT)
    made.graph.initializer.append(numpy_helper.from_array(np.ones((5, 3, 1, 1), np.float32), "w"))
    made.graph.initializer[0].data_type = 999
    (tmp_path / "m.onnx").write_bytes(made.SerializeToString())
    with pytest.raises(BundleError, match="'w' is of type 999, which is not known"):
        graph_ledger(tmp_path / "m.onnx")
