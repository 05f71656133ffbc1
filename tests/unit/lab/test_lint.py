"""Layers that go against a guideline: found where they are and nowhere else, with their alternatives and times."""

import contextlib
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import onnxruntime
import pytest
from hypothesis import given
from hypothesis import strategies as st
from onnx import TensorProto, helper, numpy_helper

from litevision.cost.graph import graph_ledger
from litevision.errors import BundleError, FileMissingError, LitevisionError, UsageError
from litevision.lab.lint.measure import LintReport, time_violations
from litevision.lab.lint.rules import Violation, balanced_widths, find_violations
from litevision.runtime.engines import EngineChoice
from litevision.runtime.machine import Machine

CHOICE = EngineChoice("onnxruntime", "fp32", 1)


class Net:
    """A file of one float input and the nodes that are added; every tensor is an output, so that nothing is dropped."""

    def __init__(self, channels: int = 16, side: int | str = 8) -> None:
        self.channels = {"x": channels}
        self.nodes: list[onnx.NodeProto] = []
        self.weights: list[onnx.TensorProto] = []
        self.shape = ["N", channels, side, side]

    def conv(self, x: str, out: int, kernel: int = 1, groups: int = 1, stride: int = 1) -> str:
        values = np.full((out, self.channels[x] // groups, kernel, kernel), 0.1, np.float32)
        self.weights.append(numpy_helper.from_array(values, f"w{len(self.nodes)}"))
        pads, strides = [kernel // 2] * 4, [stride] * 2
        return self.op("Conv", x, self.weights[-1].name, out=out, group=groups, pads=pads, strides=strides)

    def op(self, op_type: str, *inputs: str, out: int, **attributes: Any) -> str:
        name = f"{op_type}{len(self.nodes)}"
        self.nodes.append(helper.make_node(op_type, inputs, [name], name=name, **attributes))
        self.channels[name] = out
        return name

    def integers(self, values: list[int]) -> str:
        self.weights.append(numpy_helper.from_array(np.array(values), f"w{len(self.weights)}"))
        return self.weights[-1].name

    def number(self, value: float) -> str:
        self.weights.append(numpy_helper.from_array(np.array(value, np.float32), f"w{len(self.weights)}"))
        return self.weights[-1].name

    def save(self, path: Path, *outputs: str) -> Path:
        graph = helper.make_graph(
            self.nodes,
            "net",
            [helper.make_tensor_value_info("x", TensorProto.FLOAT, self.shape)],
            [helper.make_tensor_value_info(output, TensorProto.FLOAT, None) for output in outputs],
            self.weights,
        )
        path.write_bytes(
            helper.make_model(graph, opset_imports=[helper.make_opsetid("", 18)], ir_version=8).SerializeToString()
        )
        return path


def found(net: Net, path: Path, *outputs: str) -> list[Violation]:
    return list(find_violations(net.save(path / "net.onnx", *outputs), CHOICE).violations)


def test_a_balanced_network_is_left_alone(tmp_path: Path) -> None:
    net = Net()
    x = net.conv("x", 32)  # 1:2
    x = net.conv(x, 32, kernel=3, groups=32)
    x = net.conv(net.op("Relu", x, out=32), 16)
    assert found(net, tmp_path, x) == []


@pytest.mark.parametrize(
    ("channels", "out", "said"), [(16, 96, "16 to 96 channels (1:6)"), (96, 40, "96 to 40 channels (2.4:1)")]
)
def test_unequal_widths(tmp_path: Path, channels: int, out: int, said: str) -> None:
    net = Net(channels)
    (violation,) = found(net, tmp_path, net.conv("x", out))
    assert (violation.guideline, violation.layer, violation.what) == ("G1", "Conv0", f"{said}, 1x1 on 8x8")
    assert violation.macs == graph_ledger(violation.model).macs == 64 * channels * out
    assert violation.instead_model
    assert (
        violation.instead_macs == graph_ledger(violation.instead_model).macs == pytest.approx(violation.macs, rel=0.02)
    )


def test_one_place_has_no_widths_to_balance(tmp_path: Path) -> None:
    net = Net(16, side=1)
    assert found(net, tmp_path, net.conv("x", 96)) == []


def test_groups_that_are_not_channels(tmp_path: Path) -> None:
    net = Net(32)
    (violation,) = found(net, tmp_path, net.conv("x", 32, kernel=3, groups=4, stride=2))
    assert (violation.guideline, violation.what) == ("G2", "4 groups, 32 to 32 channels, 3x3 with stride 2x2 on 8x8")
    assert (violation.instead, violation.macs) == ("16 to 16", 4 * 4 * 9 * 32 * 8)
    assert violation.instead_model
    assert graph_ledger(violation.instead_model).macs == violation.instead_macs == violation.macs


def test_three_convolutions_of_one_map_are_fragments_and_two_are_not(tmp_path: Path) -> None:
    net = Net()
    two = [net.conv("x", 16), net.conv("x", 16, kernel=3)]
    assert found(net, tmp_path, *two) == []
    (violation,) = found(net, tmp_path, *two, net.conv("x", 32))
    assert (violation.guideline, violation.layer) == ("G3", "Conv0 and 2 beside it")
    assert violation.what == "3 convolutions of one map, 16 to 16 + 16 + 32 channels, 1x1 on 8x8"
    assert graph_ledger(violation.model).macs == violation.macs == 64 * 16 * (16 + 9 * 16 + 32)
    assert violation.instead_model
    assert graph_ledger(violation.instead_model).macs == violation.instead_macs
    assert violation.instead_macs == pytest.approx(violation.macs, rel=0.04)  # whole channels of 3x3


def test_element_wise_operations_are_named_where_they_are_not_fused(tmp_path: Path) -> None:
    net = Net()
    fused = net.op("Relu", net.conv("x", 16), out=16)
    gate = net.op("HardSigmoid", net.op("GlobalAveragePool", fused, out=16), out=16)
    scaled = net.op("Mul", fused, gate, out=16)
    said = {violation.layer: violation for violation in found(net, tmp_path, net.conv(scaled, 16))}
    assert {violation.guideline for violation in said.values()} == {"G4"}
    assert said[scaled].what == "Mul on 16x8x8 and 16x1x1 is a kernel of its own"
    assert (said[scaled].instead, said[scaled].instead_model) == ("fused", None)
    assert fused not in said


@given(st.integers(2, 512), st.integers(2, 512))
def test_the_squarest_pair_has_the_macs(in_channels: int, out_channels: int) -> None:
    product = in_channels * out_channels
    narrow, wide = sorted(balanced_widths(product))
    assert wide <= 1.5 * narrow
    # Whole channels: a small product has no closer pair.
    assert abs(narrow * wide - product) <= max(0.02 * product, narrow / 2)


@pytest.mark.parametrize(
    ("product", "pair"), [(16 * 96, (32, 48)), (24 * 144, (48, 72)), (64 * 64, (64, 64)), (6, (2, 3))]
)
def test_multiples_of_a_vector_are_preferred(product: int, pair: tuple[int, int]) -> None:
    assert balanced_widths(product) == pair


def test_layers_alike_are_timed_once_and_all_are_told(tmp_path: Path) -> None:
    net = Net()
    path = net.save(tmp_path / "net.onnx", net.conv(net.conv(net.conv(net.conv("x", 64), 16), 64), 8))
    opened = []
    told = []

    class Quick:
        def __init__(self, data: bytes, choice: EngineChoice, *, name: str) -> None:
            opened.append(name)

        def run(self, batch: Any) -> dict[str, Any]:
            return {}

    def note(done: int, total: int) -> None:
        told.append((done, total))

    timed_violations, _ = time_violations(path, CHOICE, seconds=0.01, opened_by=Quick, on_progress=note)
    assert [timed.violation.layer for timed in timed_violations] == ["Conv0", "Conv1", "Conv2", "Conv3"]
    assert timed_violations[0].ms == timed_violations[2].ms > 0
    assert opened == [str(path), *["the graph"] * 6]
    assert told == [(0, 4), (1, 4), (2, 4), (3, 4)]


def test_real_times(tmp_path: Path) -> None:
    net = Net()
    path = net.save(tmp_path / "net.onnx", net.op("Softplus", net.conv("x", 96), out=96))
    (one, other), _ = time_violations(path, CHOICE, seconds=0.01)
    assert (one.violation.guideline, other.violation.guideline) == ("G1", "G4")
    assert min(one.ms, one.instead_ms, other.ms) > 0
    assert (other.instead_ms, other.instead_iqr_ms) == (0, 0)


def test_a_file_of_open_size(tmp_path: Path) -> None:
    net = Net(side="S")
    path = net.save(tmp_path / "net.onnx", net.conv("x", 96))
    with pytest.raises(UsageError, match=r"net\.onnx: the file does not say how large its maps are\. .*--size"):
        find_violations(path, CHOICE)
    (violation,) = find_violations(path, CHOICE, size_hw=(10, 10)).violations
    assert violation.what.endswith("1x1 on 10x10")


def test_bad_files_are_one_line(tmp_path: Path) -> None:
    with pytest.raises(FileMissingError, match=r"none\.onnx"):
        time_violations(tmp_path / "none.onnx", CHOICE)
    (tmp_path / "bad.onnx").write_bytes(b"oops")
    with pytest.raises(BundleError, match=r"bad\.onnx: not an ONNX file"):
        time_violations(tmp_path / "bad.onnx", CHOICE)
    net = Net()
    foreign = net.op("Strange", "x", out=16, domain="elsewhere")
    with pytest.raises(BundleError, match=r"strange\.onnx: onnxruntime .* cannot load it"):
        time_violations(net.save(tmp_path / "strange.onnx", foreign), CHOICE)
    with pytest.raises(UsageError, match=r"-1 seconds for each layer; expected more than 0\."):
        time_violations(tmp_path / "bad.onnx", CHOICE, seconds=-1)


def report(path: Path) -> LintReport:
    timed, findings = time_violations(path, CHOICE, seconds=0.005)
    return LintReport(str(path), CHOICE, Machine.here(), tuple(timed), findings)


def test_nothing_that_was_not_looked_at_is_called_good(tmp_path: Path) -> None:
    net = Net()
    condition = helper.make_tensor_value_info("c", TensorProto.BOOL, [])
    weight = numpy_helper.from_array(np.ones((16, 16, 1, 1), np.float32), "w")
    branches = {
        f"{name}_branch": helper.make_graph(
            [helper.make_node("Conv", ["x", "w"], [f"{name}_y"])],
            name,
            [],
            [helper.make_tensor_value_info(f"{name}_y", TensorProto.FLOAT, None)],
        )
        for name in ("then", "else")
    }
    net.weights.append(weight)
    y = net.op("If", "c", out=16, **branches)
    model = onnx.load(net.save(tmp_path / "net.onnx", y))
    model.graph.input.append(condition)
    onnx.save(model, tmp_path / "net.onnx")
    found = report(tmp_path / "net.onnx")
    assert not found.is_complete
    assert "0 of 2 convolutions could be judged; not judged:" in str(found)
    assert "2 convolutions inside; the multiply-adds of If are not known here: which branch runs hangs" in str(found)
    assert "no layer goes against" not in str(found)


def test_a_branch_that_the_file_itself_takes_is_judged(tmp_path: Path) -> None:
    net = Net()
    net.weights += [
        numpy_helper.from_array(np.ones((96, 16, 1, 1), np.float32), "w"),
        numpy_helper.from_array(np.array(True), "c"),
    ]
    conv = helper.make_node("Conv", ["x", "w"], ["inner"])
    wide = helper.make_graph([conv], "then", [], [helper.make_tensor_value_info("inner", TensorProto.FLOAT, None)])
    same = helper.make_graph([], "else", [], [helper.make_tensor_value_info("x", TensorProto.FLOAT, None)])
    path = net.save(tmp_path / "net.onnx", net.op("If", "c", out=96, then_branch=wide, else_branch=same))
    findings = find_violations(path, CHOICE)
    assert (findings.convolutions, findings.judged, findings.unjudged) == (1, 1, ())
    (violation,) = findings.violations
    assert violation.what == "16 to 96 channels (1:6), 1x1 on 8x8"


ELEMENT_WISE = {
    "a scalar that is computed": lambda net: net.op("Mul", "x", net.op("ReduceMax", "x", out=1, keepdims=0), out=16),
    "a vector": lambda net: net.op("Mul", "x", net.op("ReduceMax", "x", net.integers([0, 1, 2]), out=1), out=16),
    "whole numbers": lambda net: net.op("Add", *[net.op("Cast", "x", out=16, to=TensorProto.INT64)] * 2, out=16),
    "half precision": lambda net: net.op("Softplus", net.op("Cast", "x", out=16, to=TensorProto.FLOAT16), out=16),
    "a constant that is computed": lambda net: net.op(
        "Mul", "x", net.op("Range", *map(net.number, (0.0, 8.0, 1.0)), out=1), out=16
    ),
    "a scalar alone": lambda net: net.op("Exp", net.op("ReduceMax", "x", out=1, keepdims=0), out=1),
}


@pytest.mark.parametrize("kind", ELEMENT_WISE)
def test_element_wise_operations_of_every_kind_are_judged(kind: str, tmp_path: Path) -> None:
    net = Net(side=8)
    y = ELEMENT_WISE[kind](net)
    made = onnx.load(net.save(tmp_path / "net.onnx", y))
    del made.graph.output[:]
    made.graph.output.append(helper.make_empty_tensor_value_info(y))
    found = report(tmp_path / "net.onnx") if kind not in ("whole numbers", "half precision") else None
    if found is None:
        made.graph.output[0].CopyFrom(helper.make_tensor_value_info(y, 7 if kind == "whole numbers" else 10, None))
        onnx.save(made, tmp_path / "net.onnx")
        found = report(tmp_path / "net.onnx")
    assert found.is_complete
    assert all(timed.ms > 0 for timed in found.violations)


def test_what_an_engine_fused_itself_is_judged(tmp_path: Path) -> None:
    net = Net()
    x = net.op("Relu", net.conv("x", 96, kernel=3), out=96)
    path = net.save(tmp_path / "net.onnx", net.op("Relu", net.conv(x, 16), out=16))
    options = onnxruntime.SessionOptions()
    for level in ("ORT_ENABLE_EXTENDED", "ORT_ENABLE_ALL"):
        options.graph_optimization_level = getattr(onnxruntime.GraphOptimizationLevel, level)
        options.optimized_model_filepath = str(tmp_path / f"{level}.onnx")
        onnxruntime.InferenceSession(path, options, providers=["CPUExecutionProvider"])
        fused = onnx.load(tmp_path / f"{level}.onnx")
        assert {node.domain for node in fused.graph.node} & {"com.microsoft", "com.microsoft.nchwc"}
        findings = find_violations(tmp_path / f"{level}.onnx", CHOICE)
        assert (findings.convolutions, findings.judged) == (2, 2)
        assert [violation.what for violation in findings.violations] == ["96 to 16 channels (6:1), 1x1 on 8x8"]


@pytest.mark.parametrize("folder", ["weights", "security"])
def test_no_strangers_file_stops_it(shared: Path, folder: str) -> None:
    for path in sorted((shared / "cases" / folder).glob("*.onnx")):
        if path.name == "light_bvlc_alexnet.onnx":
            continue  # a second of convolutions
        with contextlib.suppress(LitevisionError):  # one line, as the boundary of the command prints it
            found = report(path)
            assert found.is_complete or found.findings.unjudged
