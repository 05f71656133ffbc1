"""The engines: what they refuse, that they answer alike, from many threads, and that they tell nobody."""

import os
import subprocess
import sys
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from types import ModuleType, SimpleNamespace
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest
from onnx import helper, numpy_helper

from bundles import model, plain_metadata
from litevision.errors import BundleError, MissingExtraError, UnknownNameError, UsageError
from litevision.runtime import Normalisation
from litevision.runtime.engines import (
    Engine,
    EngineChoice,
    Precision,
    TensorInfo,
    candidates,
    engine_choice,
    engines_for,
    installed_engines,
    onnxruntime_engine,
    open_engine,
    openvino_engine,
)
from litevision.runtime.engines.openvino_engine import import_openvino

NAMES: tuple[str, ...] = ("onnxruntime", "openvino")
SIZE_HW = (32, 32)


def opened(data: bytes, name: str, precision: Precision = "fp32", *, threads: int = 1, streams: int = 1) -> Engine:
    """The engine, or a skipped test where it is not installed or the CPU is not made for it."""
    if name == "openvino":
        pytest.importorskip("openvino", reason="needs the extra openvino")
    try:
        return open_engine(data, EngineChoice(name, precision, threads, streams))
    except UsageError as error:
        pytest.skip(str(error))


def tiny() -> bytes:
    return bytes(model(metadata=plain_metadata()).SerializeToString())


@pytest.fixture(scope="module")
def network() -> bytes:
    """A short MobileNetV3 as it is exported: convolutions, squeeze-and-excitation, hard-swish, softmax."""
    from litevision.exporting.graph import to_onnx
    from networks import short

    exported = to_onnx(short("mobilenet_v3_large", "torchvision"), Normalisation((0.5,) * 3, (0.25,) * 3), SIZE_HW)
    return bytes(exported.SerializeToString())


@pytest.fixture(scope="module")
def batch_u8_nhwc() -> npt.NDArray[np.uint8]:
    return np.random.default_rng(0).integers(0, 256, (12, *SIZE_HW, 3), dtype=np.uint8)


def scores(engine: Engine, batch_u8_nhwc: npt.NDArray[np.uint8]) -> npt.NDArray[np.float32]:
    return np.asarray(engine.run(batch_u8_nhwc)["probabilities"])


@pytest.mark.parametrize("name", NAMES)
def test_every_engine_names_the_tensors_alike(name: str) -> None:
    engine = opened(tiny(), name, threads=2)
    assert engine.inputs == (TensorInfo("images", "uint8", (None, 8, 8, 3)),)
    assert engine.outputs == (TensorInfo("probabilities", "float", (None, 3)),)
    assert str(engine.inputs[0]) == "'images', tensor(uint8) of [N, 8, 8, 3]"
    assert engine.choice == EngineChoice(name, "fp32", threads=2, streams=1)
    assert engine.version.startswith(f"{name} 2" if name == "openvino" else f"{name} 1.")


def test_engines_agree_on_a_network(network: bytes, batch_u8_nhwc: npt.NDArray[np.uint8]) -> None:
    ours = scores(opened(network, "onnxruntime"), batch_u8_nhwc)
    theirs = scores(opened(network, "openvino"), batch_u8_nhwc)
    assert ours.std(axis=0).max() > 0.02  # images are told apart, so that agreeing says something
    assert np.abs(ours - theirs).max() < 1e-4


def test_bf16_is_near_and_is_not_fp32(network: bytes, batch_u8_nhwc: npt.NDArray[np.uint8]) -> None:
    exact = scores(opened(network, "openvino"), batch_u8_nhwc)
    difference = np.abs(scores(opened(network, "openvino", "bf16"), batch_u8_nhwc) - exact).max()
    assert 1e-5 < difference < 0.1


@pytest.mark.parametrize("name", NAMES)
def test_one_image_is_answered_as_among_others(network: bytes, batch_u8_nhwc: npt.NDArray[np.uint8], name: str) -> None:
    engine = opened(network, name)
    singly = [scores(engine, image_u8_hwc[None]) for image_u8_hwc in batch_u8_nhwc]
    assert np.concatenate(singly) == pytest.approx(scores(engine, batch_u8_nhwc), abs=1e-5)


@pytest.mark.parametrize("name", NAMES)
def test_answers_belong_to_the_caller(network: bytes, batch_u8_nhwc: npt.NDArray[np.uint8], name: str) -> None:
    engine = opened(network, name)
    first = scores(engine, batch_u8_nhwc[:1])
    before = first.copy()
    scores(engine, batch_u8_nhwc[1:2])
    assert (first == before).all()


@pytest.mark.parametrize("name", NAMES)
def test_any_view_of_pixels_will_do(network: bytes, batch_u8_nhwc: npt.NDArray[np.uint8], name: str) -> None:
    engine = opened(network, name)
    expected = scores(engine, batch_u8_nhwc)
    frozen = batch_u8_nhwc.copy()
    frozen.flags.writeable = False
    assert (scores(engine, frozen) == expected).all()
    assert scores(engine, batch_u8_nhwc[::2]) == pytest.approx(expected[::2], abs=1e-5)
    mirrored = batch_u8_nhwc[:, :, ::-1]
    assert (scores(engine, mirrored) == scores(engine, mirrored.copy())).all()


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize(("threads", "streams"), [(1, 2), (2, 1)])
def test_many_threads_get_their_own_answers(
    network: bytes, batch_u8_nhwc: npt.NDArray[np.uint8], name: str, threads: int, streams: int
) -> None:
    engine = opened(network, name, threads=threads, streams=streams)
    expected = scores(engine, batch_u8_nhwc)
    parts = [slice(start, start + 1 + start % 3) for start in range(10)] * 4
    with ThreadPoolExecutor(4) as pool:
        answers = list(pool.map(lambda part: scores(engine, batch_u8_nhwc[part]), parts))
    for part, answer in zip(parts, answers, strict=True):
        assert answer == pytest.approx(expected[part], abs=1e-5)


@pytest.mark.parametrize("name", NAMES)
def test_the_caller_may_still_use_every_core(name: str) -> None:
    if not hasattr(os, "sched_getaffinity"):
        pytest.skip("this system has no affinity")
    before = os.sched_getaffinity(0)
    engine = opened(tiny(), name, threads=2)
    scores(engine, np.zeros((1, 8, 8, 3), np.uint8))
    assert os.sched_getaffinity(0) == before


def test_choices() -> None:
    assert engine_choice("openvino", "bf16", threads=3, streams=2) == EngineChoice("openvino", "bf16", 3, 2)
    assert engine_choice("onnxruntime", threads=1).precision == "fp32"
    assert EngineChoice("openvino", "bf16").title == "openvino bf16"


@pytest.mark.parametrize(("streams", "threads"), [(1, 6), (2, 3), (4, 1), (9, 1)])
def test_streams_share_the_cpus(monkeypatch: pytest.MonkeyPatch, streams: int, threads: int) -> None:
    monkeypatch.setattr("litevision.runtime.engines.available_cpus", lambda: 6)
    assert engine_choice("onnxruntime", streams=streams).threads == threads


def test_wrong_names_and_counts() -> None:
    with pytest.raises(UnknownNameError, match=r"'tensorrt'\. Known: onnxruntime, openvino, litert, ncnn, auto\."):
        engine_choice("tensorrt")
    with pytest.raises(UnknownNameError, match=r"no engine 'auto'\. Known: onnxruntime, openvino, litert, ncnn\."):
        engine_choice("auto")
    with pytest.raises(UnknownNameError, match=r"no precision 'fp16'\. Did you mean 'bf16'"):
        engine_choice("openvino", "fp16")
    with pytest.raises(UsageError, match="0 threads; expected at least 1"):
        engine_choice("onnxruntime", threads=0)
    with pytest.raises(UsageError, match="-1 streams; expected at least 1"):
        engine_choice("onnxruntime", streams=-1)


def test_candidates_stand_with_the_most_exact_first(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("litevision.runtime.engines.installed_engines", lambda: NAMES)
    assert [it.title for it in candidates()] == ["onnxruntime fp32", "openvino fp32", "openvino bf16"]
    assert [it.title for it in candidates(precisions=["bf16"])] == ["openvino bf16"]
    assert [it.title for it in candidates(["openvino"], ["fp32"])] == ["openvino fp32"]
    with pytest.raises(UsageError, match=r"onnxruntime cannot compute in bf16\. Use fp32, or .*litevision\[openvino\]"):
        candidates(["onnxruntime"], ["bf16"])


def test_onnxruntime_has_no_bf16() -> None:
    with pytest.raises(
        UsageError, match=r"^onnxruntime does not compute in bf16; expected fp32, or the engine openvino\.$"
    ):
        open_engine(tiny(), EngineChoice("onnxruntime", "bf16"))


def test_openvino_may_be_missing(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "openvino", None)
    with pytest.raises(MissingExtraError, match=r"engine 'openvino' needs .* pip install 'litevision\[openvino\]'"):
        open_engine(tiny(), EngineChoice("openvino"))
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None if name == "openvino" else object())
    assert installed_engines() == ("onnxruntime", "litert", "ncnn")
    assert engines_for(".onnx") == ("onnxruntime",)
    assert engines_for(".tflite") == ("litert",)


def test_bf16_asks_for_a_cpu_that_has_it(monkeypatch: pytest.MonkeyPatch) -> None:
    properties = {"OPTIMIZATION_CAPABILITIES": ["FP32", "INT8"], "FULL_DEVICE_NAME": "Oldtimer 9"}
    core = SimpleNamespace(get_property=lambda device, name: properties[name])
    fake = ModuleType("openvino")
    vars(fake).update(Core=lambda: core, __version__="1-2-3")
    monkeypatch.setattr(openvino_engine, "import_openvino", lambda: fake)
    with pytest.raises(UsageError, match=r"this CPU \(Oldtimer 9\) has no instructions for bf16; expected"):
        open_engine(tiny(), EngineChoice("openvino", "bf16"))


class FakeOnnxruntime(ModuleType):
    """onnxruntime as it is built for ``providers``, of which ``starting`` find their device."""

    def __init__(self, providers: Sequence[str], starting: Sequence[str]) -> None:
        super().__init__("onnxruntime")
        self.__version__ = "1.99"
        self.asked: list[Any] = []
        self._providers, self._starting = list(providers), starting
        self.SessionOptions = lambda: SimpleNamespace(add_session_config_entry=lambda name, value: None)

    def get_available_providers(self) -> list[str]:
        return self._providers

    def InferenceSession(self, data: bytes, options: Any, *, providers: list[Any]) -> Any:  # noqa: N802
        self.asked = providers
        names = [it if isinstance(it, str) else it[0] for it in providers]
        started = [it for it in names if it in (*self._starting, "CPUExecutionProvider")]
        return SimpleNamespace(get_providers=lambda: started, get_inputs=list, get_outputs=list)


CPU, CUDA, CORE_ML = "CPUExecutionProvider", "CUDAExecutionProvider", "CoreMLExecutionProvider"


def fake_onnxruntime(monkeypatch: pytest.MonkeyPatch, *providers: str, starting: Sequence[str] = ()) -> FakeOnnxruntime:
    fake = FakeOnnxruntime([*providers, CPU], starting)
    monkeypatch.setattr(onnxruntime_engine, "import_onnxruntime", lambda: fake)
    return fake


@pytest.mark.parametrize(
    ("providers", "starting", "device", "opened_on"),
    [
        ([], [], "cpu", "cpu"),
        ([], [], "auto", "cpu"),
        ([CORE_ML], [CORE_ML], "auto", "cpu"),  # it is in every package for macOS
        ([CORE_ML], [CORE_ML], "coreml", "coreml"),
        ([CUDA], [CUDA], "auto", "cuda"),
        ([CUDA], [CUDA], "cuda", "cuda"),
        ([CUDA], [CUDA], "cpu", "cpu"),
        ([CUDA], [], "auto", "cpu"),  # built for CUDA, on a machine without
    ],
)
def test_the_device_that_onnxruntime_opens(
    monkeypatch: pytest.MonkeyPatch, providers: list[str], starting: list[str], device: str, opened_on: str
) -> None:
    fake = fake_onnxruntime(monkeypatch, *providers, starting=starting)
    engine = open_engine(tiny(), engine_choice("onnxruntime", threads=1, device=device))
    assert engine.choice.device == opened_on
    assert engine.choice.title == "onnxruntime fp32" + ("" if opened_on == "cpu" else f" on {opened_on}")
    if opened_on == "cuda":
        assert fake.asked == [(CUDA, {"use_tf32": "0"}), CPU]
    assert (fake.asked == [CPU]) is (CUDA not in providers or device == "cpu") or opened_on == "coreml"


def test_a_device_that_is_not_there_names_its_package(monkeypatch: pytest.MonkeyPatch) -> None:
    fake_onnxruntime(monkeypatch)
    with pytest.raises(UsageError, match=r"does not compute on cuda, only on cpu\. .* pip install onnxruntime-gpu\.$"):
        open_engine(tiny(), engine_choice("onnxruntime", device="cuda"))
    fake_onnxruntime(monkeypatch, CUDA)
    with pytest.raises(
        UsageError, match=r"^onnxruntime 1\.99 cannot start cuda on this machine, though it was built for"
    ):
        open_engine(tiny(), engine_choice("onnxruntime", device="cuda"))
    with pytest.raises(
        UsageError, match=r"^openvino does not compute on cuda; expected auto or cpu or gpu, or the engine"
    ):
        engine_choice("openvino", device="cuda")
    with pytest.raises(UnknownNameError, match=r"^no device 'tpu'\. .*Known: auto, cpu, cuda, coreml, directml, gpu\."):
        engine_choice("openvino", device="tpu")


def test_openvino_names_the_devices_that_it_finds() -> None:
    pytest.importorskip("openvino", reason="needs the extra openvino")
    assert opened(tiny(), "openvino").choice.device == "cpu"
    if "GPU" not in import_openvino().Core().available_devices:
        with pytest.raises(
            UsageError, match=r"^openvino finds no gpu on this machine, only cpu\. It needs openvino, with"
        ):
            open_engine(tiny(), engine_choice("openvino", device="gpu"))


@pytest.mark.parametrize("name", NAMES)
def test_a_graph_that_an_engine_refuses(name: str, capfd: pytest.CaptureFixture[str]) -> None:
    made = model(metadata=plain_metadata())
    made.graph.node[1].op_type = "Poetry"
    with pytest.raises(BundleError, match=r"^the bundle: onnxruntime [\d.]+ cannot load it \(.*Poetry") as refusal:
        opened(made.SerializeToString(), name)
    assert "\n" not in str(refusal.value)
    assert capfd.readouterr() == ("", "")


@pytest.mark.parametrize("name", NAMES)
def test_a_weight_of_the_wrong_shape_is_refused(name: str) -> None:
    made = model(metadata=plain_metadata())
    made.graph.initializer[1].CopyFrom(numpy_helper.from_array(np.zeros((5, 3), np.float32), "weight"))
    with pytest.raises(BundleError, match="cannot load it"):
        opened(made.SerializeToString(), name)


ENDED_ELSEWHERE = """
import gc, signal, sys, threading
import numpy as np
from litevision.runtime.engines import EngineChoice, open_engine
engines = [open_engine(sys.stdin.buffer.read(), EngineChoice("openvino"))]
engines[0].run(np.zeros((1, 8, 8, 3), np.uint8))
ending = threading.Thread(target=lambda: (engines.clear(), gc.collect()))
ending.start()
ending.join()
signal.signal(signal.SIGINT, lambda *_: print("heard"))
signal.raise_signal(signal.SIGINT)
"""


def test_signals_are_heard_after_openvinos_last_engine_ended_in_another_thread() -> None:
    pytest.importorskip("openvino", reason="needs the extra openvino")
    done = subprocess.run([sys.executable, "-c", ENDED_ELSEWHERE], input=tiny(), capture_output=True, check=False)
    assert (done.returncode, done.stdout, done.stderr) == (0, b"heard\n", b"")


QUIET = """
import sys
heard = []
sys.addaudithook(lambda event, arguments: heard.append(event) if event.startswith("socket.") else None)
from litevision.runtime.engines import EngineChoice, open_engine
engine = open_engine(sys.stdin.buffer.read(), EngineChoice("openvino"))
import openvino
told = [name for name in sys.modules if name.startswith("openvino_telemetry")]
import openvino_telemetry  # whoever wants it can still have it
print(heard, told, callable(openvino.convert_model))
"""


def test_openvino_reports_to_nobody() -> None:
    pytest.importorskip("openvino", reason="needs the extra openvino")
    pytest.importorskip("openvino_telemetry", reason="there is nothing here that could report")
    command = [sys.executable, "-c", QUIET]
    done = subprocess.run(command, input=tiny(), capture_output=True, check=False)
    assert (done.stdout.decode(), done.stderr.decode()) == ("[] [] True\n", "")


@pytest.mark.parametrize("name", NAMES)
def test_a_bundle_is_read_as_onnx_whatever_else_its_bytes_look_like(name: str) -> None:
    made = model(metadata=plain_metadata())
    made.producer_name = "ORTM"
    data = made.SerializeToString()
    assert data[4:8] == b"ORTM"  # onnxruntime's own format, for whoever goes by the bytes
    red = np.zeros((1, 8, 8, 3), np.uint8)
    red[..., 0] = 255
    assert scores(opened(data, name), red).argmax() == 0


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("fault", ["no operator", "another operator", "no input", "a clash of types"])
def test_what_onnx_does_not_allow_is_refused_before_an_engine_trusts_it(name: str, fault: str) -> None:
    made = model(metadata=plain_metadata())
    node = made.graph.node[-1]
    if fault == "no operator":
        node.op_type = ""
    elif fault == "another operator":
        node.op_type = "\u0663"
    elif fault == "no input":
        del node.input[:]
    else:
        made.graph.node.insert(0, helper.make_node("Softmax", ["images"], ["odd"]))
    with pytest.raises(BundleError, match=r"onnxruntime [\d.]+ cannot load it"):
        opened(made.SerializeToString(), name)
