"""``litevision.info`` and ``litevision.draw``: what they take, and that what they give is what the commands print."""

from pathlib import Path

import onnx
import pytest
from torch import nn

import litevision
from exports import graph
from litevision.cost.graph import GraphLedger
from litevision.cost.ledger import Ledger
from litevision.errors import MissingExtraError, UnknownNameError, UsageError


def test_a_name_an_own_module_and_a_file_are_counted(tmp_path: Path) -> None:
    named = litevision.info("mobilenet_v1", width=0.5, size=(64, 96), classes=7)
    assert isinstance(named, Ledger)
    assert (named.size_hw, named.rows[-1].out_shape) == ((64, 96), (7,))
    own = litevision.info(nn.Sequential(nn.Conv2d(3, 8, 3), nn.ReLU()), size=8)
    assert (own.config, own.macs, own.num_params) == (None, 36 * 27 * 8, 27 * 8 + 8)
    onnx.save(graph("mobilenet_v2", "torchvision", (64, 64)), tmp_path / "model.onnx")
    for source in (tmp_path / "model.onnx", str(tmp_path)):  # a file, and the folder of a run
        found = litevision.info(source)
        assert isinstance(found, GraphLedger)
        assert (found.title, found.input_shapes) == (str(source), {"images": (1, 64, 64, 3)})


def test_a_ledger_prints_itself_and_is_plain_json() -> None:
    costs = litevision.info("mobilenet_v2")
    header, *rows = str(costs).split("\n\n")[1].splitlines()
    assert header.split() == ["layer", "operation", "output", "params", "MACs", "%"]
    assert rows[0].split()[:2] == ["stem", "conv"]
    title = "MobileNetV2 (mobilenet_v2), dialect torchvision, width 1, 1000 classes, input 3x224x224"
    assert str(costs).startswith(title)
    plain = costs.to_dict()
    assert plain["macs"] == sum(row["macs"] for row in plain["layers"]) == 300_774_272
    everything = "\n".join(map(str, costs.sections(every=True)))
    assert len(everything.splitlines()) > len(str(costs).splitlines()) + 50


def test_a_module_that_is_none_of_ours_prints_itself() -> None:
    costs = litevision.info(nn.Conv2d(3, 8, 1), size=2)
    assert str(costs).startswith("layer  operation  output  params  MACs      %\n")


def test_what_cannot_be_counted_is_refused(tmp_path: Path) -> None:
    with pytest.raises(UnknownNameError, match="mobilenet_v9"):
        litevision.info("mobilenet_v9")
    with pytest.raises(UsageError, match="clothing is built"):
        litevision.info("clothing", classes=7)


def test_a_drawing_is_text_and_a_file(tmp_path: Path) -> None:
    drawing = litevision.draw("mobilenet_v1", tmp_path / "net.dot", width=0.5, size=(64, 96))
    assert drawing.dot == (tmp_path / "net.dot").read_text()
    assert "MobileNetV1" in drawing.dot
    with pytest.raises(UsageError, match=r"must end with \.svg, \.png, \.pdf or \.dot, got 'net\.jpg'"):
        litevision.draw("mobilenet_v1", tmp_path / "net.jpg")


def test_a_notebook_shows_a_drawing() -> None:
    pytest.importorskip("pygraphviz")
    assert "<svg" in litevision.draw("shufflenet_v2_x0_5")._repr_svg_()
    assert issubclass(MissingExtraError, litevision.LitevisionError)
