import re
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest

from litevision.cost.dot import dot_text
from litevision.cost.draw import draw, render
from litevision.cost.drawing import Box, Frame, Line, frames
from litevision.cost.ledger import ledger
from litevision.models import Network, build, configure
from litevision.registry import ARCHITECTURES


def network(name: str, **arguments: Any) -> Network:
    return build(configure(name, **arguments), device="meta")


def drawn(name: str, **arguments: Any) -> list[Frame]:
    net = network(name, **arguments)
    return frames(net, ledger(net))


def boxes(name: str, **arguments: Any) -> dict[str, Box]:
    return {box.name: box for frame in drawn(name, **arguments) for box in frame.boxes}


@pytest.mark.parametrize("name", ARCHITECTURES)
def test_the_boxes_account_for_the_whole_network(name: str) -> None:
    for dialect in ARCHITECTURES[name].dialects:
        net = network(name, dialect=dialect)
        costs = ledger(net)
        found = [box for frame in frames(net, costs) for box in frame.boxes]
        assert [box.name for box in found][1 : len(net.endpoints) + 1] == [end.name for end in net.endpoints]
        assert sum(box.num_params for box in found) == costs.num_params
        assert sum(box.macs for box in found) == costs.macs


def test_an_inverted_residual_says_what_it_does() -> None:
    block = boxes("mobilenet_v2")["block_3"]
    assert block.lines == (
        Line("expand 1x1 24→144", "BN, ReLU6", "pointwise 1x1"),
        Line("dw 3x3 /2", "BN, ReLU6", "depthwise"),
        Line("project 1x1 144→32", "BN", "pointwise 1x1"),
    )
    assert (block.out_shape, block.sums_input) == ((32, 28, 28), False)


def test_arcs_stand_where_a_block_adds_its_input() -> None:
    blocks = boxes("mobilenet_v2")
    sums = [int(name.removeprefix("block_")) for name, box in blocks.items() if box.sums_input]
    assert sums == [2, 4, 5, 7, 8, 9, 11, 12, 14, 15]


def test_a_projected_input_is_no_arc_but_a_line() -> None:
    block = boxes("mobilenet_v2", dialect="tutorial")["block_1"]
    assert not block.sums_input
    assert block.lines[-1] == Line("shortcut 1x1 16→16", "BN, sum", "pointwise 1x1")


def test_squeeze_and_excite_is_one_line() -> None:
    lines = boxes("mobilenet_v3_large")["block_3"].lines
    assert [line.kind for line in lines] == ["pointwise 1x1", "depthwise", "squeeze-excite", "pointwise 1x1"]
    assert lines[2] == Line("squeeze-excite 72→24→72", "ReLU, h-sigmoid, scale", "squeeze-excite")


def test_a_shuffle_unit_takes_half_of_the_channels() -> None:
    assert [line.text for line in boxes("shufflenet_v2_x1_0")["stage2_unit2"].lines] == [
        "main 1x1 58 of 116→58",
        "main dw 3x3",
        "main 1x1 58→58",
    ]


def test_frames_are_the_levels_also_where_dilation_keeps_their_size() -> None:
    assert [frame.title for frame in drawn("mobilenet_v1", output_stride=8)] == [
        "",
        "112 x 112, stride 2",
        "56 x 56, stride 4",
        "28 x 28, stride 8",
        "28 x 28, stride 8",
        "28 x 28, stride 8",
        "head",
    ]


def test_a_cut_backbone_has_no_head() -> None:
    found = drawn("mobilenet_v2", final_endpoint="block_2")
    assert [box.name for frame in found for box in frame.boxes] == ["input", "stem", "block_0", "block_1", "block_2"]


def spans(text: str) -> list[tuple[float, float]]:
    """(x, y) of every box in ``text``, in order."""
    places = re.findall(r'^"(?!frame|title|heading)[^"]*" \[pos="([-\d.]+),([-\d.]+)"', text, re.MULTILINE)
    return [(float(x), -float(y)) for x, y in places]


@pytest.mark.parametrize("name", ARCHITECTURES)
def test_boxes_follow_each_other_downwards_column_by_column(name: str) -> None:
    net = network(name)
    places = spans(dot_text(net, ledger(net)))
    assert len(places) >= len(net.endpoints) + 3  # input, pool, classifier
    for (x, y), (next_x, next_y) in pairwise(places):
        assert next_x > x or (next_x == x and next_y > y + 18)


def test_no_two_nodes_have_a_name_in_common() -> None:
    net = network("mobilenet_v1", output_stride=8)
    names = re.findall(r'^"([^"]*)" \[', dot_text(net, ledger(net)), re.MULTILINE)
    assert len(names) == len(set(names))


def test_every_arrow_is_drawn_and_nothing_printed(capfd: pytest.CaptureFixture[str]) -> None:
    net = network("mobilenet_v3_small")
    svg = render(dot_text(net, ledger(net)), "svg").decode()
    assert svg.count('class="edge"') == 16 + 2 * 6  # 17 boxes in a chain, 6 sums
    assert capfd.readouterr() == ("", "")


def test_a_drawing_replaces_a_file_whole(tmp_path: Path) -> None:
    path = tmp_path / "net.dot"
    draw(network("mobilenet_v2"), path)
    draw(network("mobilenet_v2", num_classes=0), path)
    assert path.read_text().endswith("}\n")
    assert "classifier" not in path.read_text()
    assert list(tmp_path.iterdir()) == [path]
