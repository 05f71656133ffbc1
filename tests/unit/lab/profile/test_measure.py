"""Real engines and their profilers, on networks that are quick to run."""

from pathlib import Path
from typing import Any

import onnx
import pytest
from onnx import TensorProto, helper

from exports import ODD_HW, graph
from litevision.cost.graph import graph_ledger
from litevision.errors import BundleError, FileMissingError, UsageError
from litevision.lab.profile import Peaks, microbenchmarks, peaks, profile_file
from litevision.lab.profile.peaks import measure_cost, measure_peaks
from litevision.lab.profile.recorders import Job, Recorded
from litevision.lab.profile.timings import Kernel, ProfilerCost, Recording
from litevision.runtime.engines import EngineChoice, engine_choice

PEAKS = Peaks(100.0, ((1_000, 50.0), (1_000_000, 10.0)))
NAMES: tuple[str, ...] = ("onnxruntime", "openvino")
NETWORKS = (
    ("mobilenet_v1", "slim"),
    ("mobilenet_v2", "torchvision"),
    ("mobilenet_v3_large", "torchvision"),
    ("shufflenet_v2_x0_5", "torchvision"),
)


@pytest.fixture(autouse=True)
def _cheap(monkeypatch: pytest.MonkeyPatch) -> None:
    """Too few runs for true peaks."""
    monkeypatch.setattr(peaks, "_CHANNELS", (16, 32))
    monkeypatch.setattr(peaks, "_TURNS", 2)
    monkeypatch.setattr(peaks, "_COST_TURNS", 1)


def choice_of(engine: str) -> EngineChoice:
    if engine == "openvino":
        pytest.importorskip("openvino", reason="needs the extra openvino")
    return engine_choice(engine, threads=1)


def saved(model: onnx.ModelProto, folder: Path) -> Path:
    onnx.save(model, folder / "model.onnx")
    return folder / "model.onnx"


def one_node(folder: Path, op: str, shape: list[Any], inputs: tuple[str, ...] = ("x",), dtype: int = 1) -> Path:
    ends = [helper.make_tensor_value_info(name, dtype, shape) for name in (*inputs, "y")]
    made = helper.make_graph([helper.make_node(op, list(inputs), ["y"])], "one", ends[:-1], ends[-1:])
    return saved(helper.make_model(made, opset_imports=[helper.make_opsetid("", 18)], ir_version=10), folder)


@pytest.mark.parametrize(("name", "dialect"), NETWORKS)
@pytest.mark.parametrize("engine", NAMES)
def test_every_multiply_add_has_a_kernel(name: str, dialect: str, engine: str, tmp_path: Path) -> None:
    model = graph(name, dialect, ODD_HW)
    costs = graph_ledger(model)
    found = profile_file(saved(model, tmp_path), choice_of(engine), repeats=9, peaks=PEAKS)
    assert sum(row.macs or 0 for row in found.rows) == costs.macs
    assert [row.kind for row in found.rows].count("between") == 1
    convolutions = {node.layer for node in costs.rows if node.macs}
    assert convolutions == {row.name for row in found.rows if row.macs}
    assert all(row.nodes for row in found.rows if row.kind == "layer")
    named = [node for row in found.rows for node in row.nodes]
    assert len(named) == len(set(named))
    views = {node.name for node in costs.rows if node.is_view}
    assert {node.name for node in costs.rows} - views == {*named, *found.not_run} - views
    assert found.sum_ms == pytest.approx(sum(row.time.ms for row in found.rows))
    assert (found.runs, found.input_shapes) == (9, {"images": (1, *ODD_HW, 3)})


def test_activations_are_fused_in_onnxruntime(tmp_path: Path) -> None:
    found = profile_file(saved(graph(*NETWORKS[1], ODD_HW), tmp_path), choice_of("onnxruntime"), repeats=1, peaks=PEAKS)
    stem = next(row for row in found.rows if row.name == "stem")
    assert stem.operation == "conv 3x3 /2 +ReLU6"
    assert any(row.operation == "conv 1x1 +sum" for row in found.rows)


@pytest.mark.parametrize("engine", NAMES)
def test_a_batch_counts_its_images(engine: str, tmp_path: Path) -> None:
    path = saved(graph(*NETWORKS[1], ODD_HW), tmp_path)
    found = profile_file(path, choice_of(engine), batch=3, repeats=1, peaks=PEAKS)
    assert found.input_shapes == {"images": (3, *ODD_HW, 3)}
    assert sum(row.macs or 0 for row in found.rows) == 3 * graph_ledger(path).macs


@pytest.mark.parametrize("engine", NAMES)
def test_peaks_are_measured_by_size(engine: str) -> None:
    found = measure_peaks(choice_of(engine))
    assert [moved for moved, _ in found.bandwidths] == [32 * 65_536, 64 * 65_536]
    assert min(found.gmacs_per_s, *(rate for _, rate in found.bandwidths)) > 0


def recorded(jobs: list[Job], *, turns: int, runs: int) -> list[Recorded]:
    """What is told of kernels of 0.6 ms each, in runs of 0.5 ms a kernel without the profiler and 0.8 with it."""
    found = []
    for job in jobs:
        kernels = tuple(
            Kernel(node.name, node.op_type, (node.name,), (0.6,) * turns * runs) for node in job.ledger.rows
        )
        whole_ms, with_it_ms = (len(kernels) * ms for ms in (0.5, 0.8))
        recording = Recording(kernels, (with_it_ms,) * turns * runs)
        found.append(Recorded((whole_ms,) * turns * runs, recording, turns))
    return found


def test_onnxruntimes_profiler_has_a_price_and_openvinos_has_none(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(peaks, "record", recorded)
    cost = measure_cost(choice_of("onnxruntime"))
    # Of each kernel: 0.6 ms that it tells, but 0.5 ms of a run without the profiler and 0.8 of one with it.
    assert (cost.inside_ms, cost.between_ms) == (pytest.approx(0.1), pytest.approx(0.2))
    assert measure_cost(choice_of("openvino")) == ProfilerCost(0.0, 0.0)


def test_a_peak_is_that_of_kernels_without_the_profilers_price(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(peaks, "record", recorded)
    found = measure_peaks(choice_of("onnxruntime"), ProfilerCost(0.1, 0.2))
    assert found.gmacs_per_s == pytest.approx(max(256 * 256 * 28 * 28, 512**3) / 0.5e6)
    assert found.gb_per_s == pytest.approx(64 * 65_536 / 0.5e6)
    # However dear the profiler seems while other work runs, no kernel takes less than half of what was recorded.
    dear = measure_peaks(choice_of("onnxruntime"), ProfilerCost(9.0, 0.0))
    assert dear.gb_per_s == pytest.approx(64 * 65_536 / 0.3e6)


def test_microbenchmarks_hold_what_they_say() -> None:
    assert graph_ledger(microbenchmarks.convolutions(2, 8, 4)).macs == 2 * 8 * 8 * 16
    assert graph_ledger(microbenchmarks.convolutions(2, 8, 4, depthwise=True)).macs == 8 * 8 * 16 + 8 * 9 * 16
    assert graph_ledger(microbenchmarks.product(16)).macs == 16**3


def test_a_file_that_leaves_its_size_open_is_measured_at_one(tmp_path: Path) -> None:
    path = one_node(tmp_path, "Relu", ["N", 3, "H", "W"])
    found = profile_file(path, choice_of("onnxruntime"), batch=2, size_hw=(5, 7), repeats=1, peaks=PEAKS)
    assert found.input_shapes == {"x": (2, 3, 5, 7)}
    with pytest.raises(UsageError, match=r"leaves the size of 'x'.* open\. Give it with --size, or --shape x="):
        profile_file(path, choice_of("onnxruntime"), peaks=PEAKS)


INPUTS = [
    ("Add", [1, 3], ("x", "z"), TensorProto.FLOAT),
    ("Neg", [1, 3], ("x",), TensorProto.INT64),
    ("Identity", [2, 3], ("x",), TensorProto.BOOL),
    ("Relu", [1, 3, 4, 4], ("x",), TensorProto.FLOAT16),
    ("Sqrt", [], ("x",), TensorProto.DOUBLE),
]


@pytest.mark.parametrize(("op_type", "shape", "names", "dtype"), INPUTS)
@pytest.mark.parametrize("engine", NAMES)
def test_inputs_of_every_kind_are_made_up(
    engine: str, op_type: str, shape: list[int], names: tuple[str, ...], dtype: int, tmp_path: Path
) -> None:
    path = one_node(tmp_path, op_type, shape, names, dtype=dtype)
    found = profile_file(path, choice_of(engine), repeats=1, peaks=PEAKS)
    assert found.input_shapes == dict.fromkeys(names, tuple(shape))
    assert found.whole.ms > 0


def test_shapes_of_inputs_are_given_by_name(tmp_path: Path) -> None:
    path = one_node(tmp_path, "Add", ["A", "B"], ("x", "z"))
    choice = choice_of("onnxruntime")
    found = profile_file(path, choice, shapes={"x": (2, 7)}, repeats=1, peaks=PEAKS)  # z's axes have the same names
    assert found.input_shapes == {"x": (2, 7), "z": (2, 7)}
    with pytest.raises(UsageError, match=r"leaves the size of 'x'.* open\. Give its shape with --shape x=1x1\."):
        profile_file(path, choice, peaks=PEAKS)
    with pytest.raises(UsageError, match=r"no input 'y'\..* Known: x, z\."):
        profile_file(path, choice, shapes={"y": (1, 2)}, peaks=PEAKS)
    with pytest.raises(UsageError, match="'x' has 2 axes in the file, got 1x2x3"):
        profile_file(path, choice, shapes={"x": (1, 2, 3)}, peaks=PEAKS)


def test_inputs_that_cannot_be_made_up_are_refused(tmp_path: Path) -> None:
    path = one_node(tmp_path, "Identity", [1], dtype=TensorProto.STRING)
    with pytest.raises(UsageError, match=r"tensor\(string\).* cannot be made up\. Known types: float"):
        profile_file(path, choice_of("onnxruntime"), peaks=PEAKS)


def test_what_cannot_be_measured_is_one_line(tmp_path: Path) -> None:
    (tmp_path / "bad.onnx").write_bytes(b"oops")
    with pytest.raises(BundleError, match=r"bad\.onnx: not an ONNX file"):
        profile_file(tmp_path / "bad.onnx", choice_of("onnxruntime"))
    with pytest.raises(FileMissingError, match=r"none\.onnx"):
        profile_file(tmp_path / "none.onnx", choice_of("onnxruntime"))
    with pytest.raises(UsageError, match="0 repeats; expected 1 to 1000"):
        profile_file(tmp_path / "bad.onnx", choice_of("onnxruntime"), repeats=0)


@pytest.mark.parametrize("engine", NAMES)
def test_normalisations_that_nobody_folded_go_with_their_convolutions(engine: str, tmp_path: Path) -> None:
    sides, nodes, weights = [1, 8, 32, 32], [], []
    for i in range(3):
        nodes.append(helper.make_node("Conv", [f"x{i}", f"w{i}"], [f"c{i}"], name=f"CONV{i}"))
        norm = [f"c{i}", *(f"{part}{i}" for part in ("scale", "shift", "mean", "variance"))]
        nodes.append(helper.make_node("BatchNormalization", norm, [f"x{i + 1}"], name=f"NORM{i}"))
        weights.append(helper.make_tensor(f"w{i}", TensorProto.FLOAT, [8, 8, 1, 1], [0.1] * 64))
        weights += [helper.make_tensor(name, TensorProto.FLOAT, [8], [0.5] * 8) for name in norm[1:]]
    ends = [helper.make_tensor_value_info(name, TensorProto.FLOAT, sides) for name in ("x0", "x3")]
    made = helper.make_graph(nodes, "norms", ends[:1], ends[1:], weights)
    path = saved(helper.make_model(made, opset_imports=[helper.make_opsetid("", 18)], ir_version=10), tmp_path)
    found = profile_file(path, choice_of(engine), repeats=9, peaks=PEAKS)
    layers = [row.nodes for row in found.rows if row.kind == "layer"]
    assert layers == [(f"CONV{i}", f"NORM{i}") for i in range(3)]
    assert [row.macs for row in found.rows if row.kind == "layer"] == [8 * 8 * 32 * 32] * 3


@pytest.mark.parametrize("engine", NAMES)
def test_a_graph_that_says_how_long_it_runs_is_not_measured(engine: str, tmp_path: Path) -> None:
    def value(name: str, dtype: int = TensorProto.FLOAT, shape: tuple[int, ...] = (1, 8)) -> onnx.ValueInfoProto:
        return helper.make_tensor_value_info(name, dtype, shape)

    nodes = [helper.make_node("Identity", ["go"], ["on"]), helper.make_node("Relu", ["a"], ["b"])]
    ins = [value("i", TensorProto.INT64, ()), value("go", TensorProto.BOOL, ()), value("a")]
    body = helper.make_graph(nodes, "body", ins, [value("on", TensorProto.BOOL, ()), value("b")])
    loop = helper.make_node("Loop", ["", "yes", "x"], ["y"], body=body)
    yes = helper.make_tensor("yes", TensorProto.BOOL, [], [True])
    made = helper.make_model(
        helper.make_graph([loop], "endless", [value("x")], [value("y")], [yes]),
        opset_imports=[helper.make_opsetid("", 18)],
        ir_version=10,
    )
    with pytest.raises(BundleError, match="computes with Loop, which can take any time; it is not measured"):
        profile_file(saved(made, tmp_path), choice_of(engine), peaks=PEAKS)


@pytest.mark.parametrize("engine", NAMES)
def test_a_graph_that_loads_and_cannot_run_is_one_line(engine: str, tmp_path: Path) -> None:
    made = helper.make_model(
        helper.make_graph(
            [helper.make_node("ConstantOfShape", ["x"], ["y"])],  # of as many bytes as no machine has
            "huge",
            [helper.make_tensor_value_info("x", TensorProto.INT64, [4])],
            [helper.make_tensor_value_info("y", TensorProto.FLOAT, ["a", "b", "c", "d"])],
        ),
        opset_imports=[helper.make_opsetid("", 18)],
        ir_version=10,
    )
    made.graph.node[0].input[0] = "shape"
    made.graph.initializer.append(helper.make_tensor("shape", TensorProto.INT64, [4], [2**20] * 4))
    made.graph.node.append(helper.make_node("Identity", ["x"], ["z"]))
    made.graph.output.append(helper.make_tensor_value_info("z", TensorProto.INT64, [4]))
    onnx.save(made, tmp_path / "huge.onnx")
    with pytest.raises(BundleError, match=r"huge\.onnx: .*cannot (compute|load) it"):
        profile_file(tmp_path / "huge.onnx", choice_of(engine), repeats=1, peaks=PEAKS)
