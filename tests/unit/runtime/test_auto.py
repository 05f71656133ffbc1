"""The choice of an engine: what wins, what is refused, and when it is measured again."""

import threading
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest

from bundles import plain_metadata, write_bundle
from images import encoded, noise
from litevision.errors import BundleError, FileMissingError, UnknownNameError, UsageError
from litevision.hub import load
from litevision.image import Preprocess, shipped_images
from litevision.runtime import Bundle
from litevision.runtime.engines import Engine, EngineChoice, auto
from litevision.runtime.engines.auto import Decision, Timing, choose, decide, measure
from litevision.runtime.engines.timing import interleaved, sample_images

ORT = Timing("onnxruntime", "fp32", ms=4.0, start_ms=200.0, changed=0, compared=4)
OPENVINO = Timing("openvino", "fp32", ms=3.0, start_ms=900.0, changed=0, compared=4)
BF16 = Timing("openvino", "bf16", ms=2.0, start_ms=900.0, changed=0, compared=4)


def timing(like: Timing, **changes: Any) -> Timing:
    return replace(like, **changes)


class Stopwatch:
    """In place of measuring: gives what it was told, and counts how often it was asked."""

    def __init__(self, *timings: Timing) -> None:
        self.timings = list(timings)
        self.asked: list[tuple[list[str], int, int]] = []

    def __call__(
        self, data: bytes, choices: Sequence[EngineChoice], images_u8_nhwc: npt.NDArray[np.uint8], batch_size: int
    ) -> list[Timing]:
        self.asked.append(([choice.title for choice in choices], len(images_u8_nhwc), batch_size))
        return self.timings


@pytest.fixture
def bundle(tmp_path: Path) -> Path:
    return write_bundle(tmp_path / "tiny.onnx")


@pytest.fixture(autouse=True)
def _machine(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """An empty cache, and both engines installed."""
    monkeypatch.setenv("LITEVISION_CACHE", str(tmp_path / "cache"))
    monkeypatch.setattr("litevision.runtime.engines.installed_engines", lambda: ("onnxruntime", "openvino"))
    monkeypatch.setattr(auto, "engine_versions", lambda: {"onnxruntime": "1", "openvino": "2"})
    monkeypatch.setattr(auto, "cpu_instructions", lambda: "avx2")


@pytest.mark.parametrize(
    ("timings", "winner"),
    [
        ([ORT, OPENVINO, BF16], "openvino bf16"),
        ([ORT, OPENVINO], "openvino fp32"),
        ([timing(ORT, ms=2.9), OPENVINO], "onnxruntime fp32"),
        # Within 5 %: onnxruntime before openvino, fp32 before bf16.
        ([timing(ORT, ms=3.14), OPENVINO], "onnxruntime fp32"),
        ([timing(ORT, ms=3.16), OPENVINO], "openvino fp32"),
        ([timing(ORT, ms=9), timing(OPENVINO, ms=2.09), BF16], "openvino fp32"),
        ([timing(ORT, ms=2.05), timing(OPENVINO, ms=2.01), BF16], "onnxruntime fp32"),
        # Another answer is no faster answer.
        ([ORT, OPENVINO, timing(BF16, changed=1)], "openvino fp32"),
        ([ORT, timing(OPENVINO, changed=1), timing(BF16, changed=4)], "onnxruntime fp32"),
    ],
)
def test_the_fastest_that_changes_no_answer(timings: list[Timing], winner: str) -> None:
    best, _ = decide(timings)
    assert f"{best.engine} {best.precision}" == winner


@pytest.mark.parametrize(
    ("images", "winner"),
    # 900 + 2n < 200 + 4n from 350 images on; within 5 % of it from 314.
    [(1, "onnxruntime"), (300, "onnxruntime"), (349, "onnxruntime"), (400, "openvino"), (None, "openvino")],
)
def test_a_slow_start_must_repay_itself(images: int | None, winner: str) -> None:
    best, why = decide([ORT, BF16], images)
    assert best.engine == winner
    assert (f"{images} images do not repay a slower start" in why) == (winner == "onnxruntime")


def test_the_reason_gives_every_figure(bundle: Path) -> None:
    decision = choose(bundle, threads=1, measured_by=Stopwatch(ORT, OPENVINO, timing(BF16, changed=1)))
    assert decision == Decision(
        EngineChoice("openvino", "fp32", 1, 1),
        "openvino fp32 (3.0 ms an image; onnxruntime fp32 4.0 ms; openvino bf16 2.0 ms, but changes 1 of 4 answers; "
        "measured once, remembered)",
    )


def test_it_is_measured_once(bundle: Path) -> None:
    stopwatch = Stopwatch(ORT, OPENVINO, BF16)
    first = choose(bundle, 4, threads=1, streams=2, measured_by=stopwatch)
    again = choose(bundle, 4, threads=1, streams=2, measured_by=stopwatch)
    assert stopwatch.asked == [(["onnxruntime fp32", "openvino fp32", "openvino bf16"], 4, 4)]
    assert first.choice == again.choice == EngineChoice("openvino", "bf16", 1, 2)
    assert again.reason == first.reason.replace("measured once, remembered", "measured earlier")


def _another_bundle(path: Path, monkeypatch: pytest.MonkeyPatch) -> dict[str, Any]:
    write_bundle(path, gain=9.0)
    return {}


def _another_version(path: Path, monkeypatch: pytest.MonkeyPatch) -> dict[str, Any]:
    monkeypatch.setattr(auto, "engine_versions", lambda: {"onnxruntime": "1", "openvino": "3"})
    return {}


def _another_cpu(path: Path, monkeypatch: pytest.MonkeyPatch) -> dict[str, Any]:
    monkeypatch.setattr(auto, "cpu_instructions", lambda: "avx512")
    return {}


def _more_cores(path: Path, monkeypatch: pytest.MonkeyPatch) -> dict[str, Any]:
    monkeypatch.setattr("os.cpu_count", lambda: 77)
    return {}


@pytest.mark.parametrize(
    "change",
    [
        lambda path, monkeypatch: {"threads": 2},
        lambda path, monkeypatch: {"streams": 2},
        lambda path, monkeypatch: {"batch_size": 2},
        lambda path, monkeypatch: {"precision": "fp32"},
        _another_bundle,
        _another_version,
        _another_cpu,
        _more_cores,
    ],
)
def test_what_is_remembered_holds_for_the_same_alone(
    bundle: Path, monkeypatch: pytest.MonkeyPatch, change: Callable[[Path, pytest.MonkeyPatch], dict[str, Any]]
) -> None:
    stopwatch = Stopwatch(ORT, OPENVINO)
    arguments = {"threads": 1, "batch_size": 1}
    choose(bundle, **arguments, measured_by=stopwatch)
    arguments |= change(bundle, monkeypatch)
    choose(bundle, **arguments, measured_by=stopwatch)
    assert len(stopwatch.asked) == 2


@pytest.mark.parametrize(
    "damage",
    [
        lambda text: "",
        lambda text: text[:-9],
        lambda text: "[]",
        lambda text: "null",
        lambda text: '{"key": {}, "timings": []}',
        lambda text: "[" * 100_000,
        lambda text: text.replace('"avx2"', '"avx9"'),
        lambda text: text.replace('"onnxruntime",\n   "precision"', '"oxnxruntime",\n   "precision"'),
        lambda text: text.replace('"ms": 4.0', '"ms": NaN'),
        lambda text: text.replace('"ms": 4.0', '"ms": "4"'),
        lambda text: text.replace('"changed": 0', '"changed": 1'),
        lambda text: text.replace('"compared": 4', '"compares": 4'),
    ],
)
def test_a_damaged_memory_is_measured_anew(bundle: Path, tmp_path: Path, damage: Callable[[str], str]) -> None:
    stopwatch = Stopwatch(ORT, OPENVINO)
    choose(bundle, threads=1, measured_by=stopwatch)
    (file,) = (tmp_path / "cache" / "engines").iterdir()
    text = file.read_text()
    assert damage(text) != text
    file.write_text(damage(text))
    assert choose(bundle, threads=1, measured_by=stopwatch).choice.name == "openvino"
    assert len(stopwatch.asked) == 2
    assert file.read_text() == text


def test_a_cache_that_cannot_be_written_is_no_fault(bundle: Path, tmp_path: Path) -> None:
    (tmp_path / "cache").write_text("a file, not a folder")
    decision = choose(bundle, threads=1, measured_by=Stopwatch(ORT, OPENVINO))
    assert decision.choice.name == "openvino"
    assert "measured, but not remembered: " in decision.reason
    assert "cannot be written" in decision.reason


def test_few_images_are_not_worth_measuring(bundle: Path) -> None:
    stopwatch = Stopwatch(ORT, OPENVINO, BF16)
    decision = choose(bundle, threads=1, images=63, measured_by=stopwatch)
    assert decision.choice == EngineChoice("onnxruntime", "fp32", 1, 1)
    assert decision.reason == "onnxruntime fp32 (measuring does not pay for 63 images)"
    assert stopwatch.asked == []
    choose(bundle, threads=1, images=64, measured_by=stopwatch)
    assert len(stopwatch.asked) == 1


def test_few_images_use_what_is_remembered(bundle: Path) -> None:
    slow, fast = timing(ORT, ms=400), timing(BF16, ms=100)
    choose(bundle, threads=1, measured_by=Stopwatch(slow, fast))
    decision = choose(bundle, threads=1, images=8, measured_by=Stopwatch())
    assert decision.choice.title == "openvino bf16"
    assert decision.reason.endswith("measured earlier)")


def test_a_single_engine_is_not_measured(bundle: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("litevision.runtime.engines.installed_engines", lambda: ("onnxruntime",))
    decision = choose(bundle, threads=3, measured_by=Stopwatch())
    assert decision == Decision(EngineChoice("onnxruntime", "fp32", 3), "onnxruntime fp32 (the only one here)")
    with pytest.raises(UsageError, match="onnxruntime cannot compute in bf16"):
        choose(bundle, precision="bf16", measured_by=Stopwatch())


def test_detection_stays_exact(tmp_path: Path) -> None:
    # A detector's answer is no best class, so that nobody could tell whether bf16 changes it.
    path = write_bundle(tmp_path / "tiny.onnx", metadata={**plain_metadata(), "task": "detection"})
    stopwatch = Stopwatch(ORT, OPENVINO)
    choose(path, measured_by=stopwatch)
    assert stopwatch.asked[0][0] == ["onnxruntime fp32", "openvino fp32"]


def test_bad_bundles_and_names_are_refused_before_measuring(tmp_path: Path, bundle: Path) -> None:
    with pytest.raises(FileMissingError, match=r"none\.onnx: no such bundle"):
        choose(tmp_path / "none.onnx", measured_by=Stopwatch())
    (tmp_path / "bad.onnx").write_bytes(b"oops")
    with pytest.raises(BundleError, match=r"bad\.onnx: not an ONNX file"):
        choose(tmp_path / "bad.onnx", measured_by=Stopwatch())
    with pytest.raises(UnknownNameError, match="no precision 'fp8'"):
        choose(bundle, precision="fp8", measured_by=Stopwatch())


def test_a_bundle_may_be_opened_with_auto(bundle: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[dict[str, Any]] = []

    def chosen(path: Path, **arguments: Any) -> Decision:
        asked.append(arguments)
        return Decision(EngineChoice("onnxruntime", "fp32", 1, 3), "")

    monkeypatch.setattr(auto, "choose", chosen)
    assert Bundle.open(bundle, engine="auto", streams=3).engine.choice == EngineChoice("onnxruntime", "fp32", 1, 3)
    assert load(bundle, engine="auto", threads=1).bundle.engine.choice.streams == 3
    assert asked == [
        {"precision": None, "threads": None, "streams": 3, "device": "cpu"},
        {"precision": None, "threads": 1, "streams": 1, "device": "auto"},
    ]


# The measuring itself, with engines that move a clock of their own: a busy machine changes nothing.


class Clock:
    """Stands where ``time`` does."""

    def __init__(self) -> None:
        self.now_s = 0.0

    def perf_counter(self) -> float:
        return self.now_s

    def advance(self, ms: float) -> None:
        self.now_s += 1e-3 * ms


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    clock = Clock()
    monkeypatch.setattr(auto, "time", clock)
    monkeypatch.setitem(interleaved.__kwdefaults__, "clock", clock.perf_counter)
    return clock


class FakeEngine:
    version, inputs, outputs = "fake 1", (), ()

    def __init__(self, choice: EngineChoice, run: Callable[[], object], answer: int) -> None:
        self.choice = choice
        self.takes_its_time = run
        self.answer = answer

    def run(self, batch_u8_nhwc: npt.NDArray[np.uint8]) -> dict[str, npt.NDArray[Any]]:
        self.takes_its_time()
        best = batch_u8_nhwc[:, 0, 0, 0] % 2 * self.answer
        return {"probabilities": np.eye(3, dtype=np.float32)[best]}


@pytest.fixture
def images_u8_nhwc(monkeypatch: pytest.MonkeyPatch) -> npt.NDArray[np.uint8]:
    monkeypatch.setattr(auto, "_MEASURE_S", 0.02)
    return np.arange(5, dtype=np.uint8)[:, None, None, None] * np.ones((1, 8, 8, 3), np.uint8)


CHOICES = [EngineChoice("onnxruntime"), EngineChoice("openvino"), EngineChoice("openvino", "bf16")]


def test_measuring(images_u8_nhwc: npt.NDArray[np.uint8], clock: Clock) -> None:
    run_ms = {"onnxruntime fp32": 12.0, "openvino fp32": 6.0, "openvino bf16": 2.0}

    def open_fake(data: bytes, choice: EngineChoice) -> Engine:
        clock.advance(30 if choice == CHOICES[1] else 0)  # the import, which only an engine's first precision pays
        return FakeEngine(
            choice, lambda: clock.advance(run_ms[choice.title]), answer=2 if choice.precision == "bf16" else 1
        )

    found = measure(b"", CHOICES, images_u8_nhwc, 2, opened_by=open_fake)
    assert [(it.engine, it.precision, it.changed, it.compared) for it in found] == [
        ("onnxruntime", "fp32", 0, 5),
        ("openvino", "fp32", 0, 5),
        ("openvino", "bf16", 2, 5),
    ]
    assert [it.ms for it in found] == pytest.approx([6, 3, 1])  # an image, not a batch
    assert [it.start_ms for it in found] == pytest.approx([12, 36, 36])


def test_streams_share_the_time(images_u8_nhwc: npt.NDArray[np.uint8], clock: Clock) -> None:
    together = threading.Barrier(4, action=lambda: clock.advance(16), timeout=60)

    def run() -> None:
        if threading.current_thread() is not threading.main_thread():  # which warms up and compares
            together.wait()

    choice = EngineChoice("onnxruntime", streams=4)
    (found,) = measure(b"", [choice], images_u8_nhwc, 2, opened_by=lambda data, choice: FakeEngine(choice, run, 1))
    assert found.ms == pytest.approx(16 / 8)


def test_what_does_not_open_is_left_out(images_u8_nhwc: npt.NDArray[np.uint8], clock: Clock) -> None:
    def open_fake(data: bytes, choice: EngineChoice) -> Engine:
        if choice.precision == "bf16" or choice.name == broken:
            raise UsageError(f"no {choice.title}")
        return FakeEngine(choice, lambda: clock.advance(1), 1)

    broken = ""
    assert [it.precision for it in measure(b"", CHOICES, images_u8_nhwc, 1, opened_by=open_fake)] == ["fp32", "fp32"]
    broken = "onnxruntime"
    with pytest.raises(UsageError, match="no onnxruntime fp32"):
        measure(b"", [CHOICES[0], CHOICES[2]], images_u8_nhwc, 1, opened_by=open_fake)


def test_turns_are_taken_and_warming_up_is_not_counted() -> None:
    now = 0.0
    order: list[str] = []

    def call(name: str, first: float, later: float) -> Callable[[], None]:
        def run() -> None:
            nonlocal now
            now += first if name not in order else later
            order.append(name)

        return run

    slow, quick = interleaved([call("a", 50, 3), call("b", 70, 1)], 10, clock=lambda: now)
    assert set(slow) == {3}
    assert set(quick) == {1}
    # 5 turns of 2 seconds: one call is enough for the slow one; the quick one warms up and is then called twice.
    assert order == ["a", "b", *(["a", "a", "b", "b", "b"] + 4 * ["a", "b", "b", "b"])]


def test_samples_are_what_can_be_read_of_the_whole() -> None:
    preprocess = Preprocess((8, 8), 8)
    images = [encoded(noise(9, 9, seed)) for seed in range(130)]
    assert (sample_images(preprocess, [b"oops", "none.jpg", *images[:9]]) == preprocess.batch(images[:9])).all()
    assert (sample_images(preprocess, images) == preprocess.batch(images[::3])).all()
    assert (sample_images(preprocess, [b"oops"]) == preprocess.batch(shipped_images())).all()
    assert len(sample_images(preprocess)) == 4


def test_a_less_exact_choice_says_what_it_was_compared_on() -> None:
    best, why = decide([ORT, timing(BF16, compared=64)])
    assert best.precision == "bf16"
    assert why == "2.0 ms an image, best classes as in fp32 on 64 images; onnxruntime fp32 4.0 ms"
