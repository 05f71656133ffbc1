"""The benchmark: its rows, what it says of them, and what it refuses."""

import time
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest

from bundles import write_bundle
from litevision.errors import FileMissingError, MissingExtraError, UnknownNameError, UsageError
from litevision.runtime.benchmark import BenchmarkRow, benchmark, notes
from litevision.runtime.engines import Engine, EngineChoice
from litevision.runtime.machine import Machine, cpu_instructions


def row(
    title: str, batch_size: int = 1, ms: float = 10.0, threads: int = 1, streams: int = 1, changed: int = 0
) -> BenchmarkRow:
    engine, precision = title.split()
    rate = 1e3 * batch_size * streams / ms
    return BenchmarkRow(engine, precision, "1", batch_size, threads, streams, 9, ms, ms, 0.0, rate, changed, 4)


@pytest.mark.parametrize(
    ("ms", "note"),
    [
        (9.0, None),
        (9.5, None),
        (9.53, "openvino fp32 gains nothing over onnxruntime fp32 here (within 5 %)"),
        (10.0, "openvino fp32 gains nothing over onnxruntime fp32 here (within 5 %)"),
        (10.49, "openvino fp32 gains nothing over onnxruntime fp32 here (within 5 %)"),
        (10.6, "openvino fp32 is slower than onnxruntime fp32 here"),
    ],
)
def test_what_does_not_pay_is_said(ms: float, note: str | None) -> None:
    said = notes([row("onnxruntime fp32"), row("openvino fp32", ms=ms)])
    assert [line for line in said if line.startswith("openvino")] == ([note] if note else [])


def test_where_it_does_not_pay_is_said() -> None:
    rows = [
        *(
            row("onnxruntime fp32", batch_size, 10.0 * batch_size, threads)
            for threads in (1, 2)
            for batch_size in (1, 8)
        ),
        row("openvino fp32", 1, 10.0, 1),
        row("openvino fp32", 8, 50.0, 1),
        row("openvino fp32", 1, 20.0, 2),
        row("openvino fp32", 8, 90.0, 2),
    ]
    assert notes(rows)[2:] == (
        "openvino fp32 gains nothing over onnxruntime fp32 here (within 5 %) with batch 1 on 1 thread",
        "openvino fp32 is slower than onnxruntime fp32 here with batch 1 on 2 threads, batch 8 on 2 threads",
    )


def test_the_quickest_are_named() -> None:
    rows = [row("onnxruntime fp32", 1, 4.0, 2), row("openvino bf16", 1, 2.0, 2), row("openvino bf16", 8, 10.0, 1, 2)]
    assert notes(rows)[:2] == (
        "one image is answered soonest by openvino bf16 on 2 threads: 2.0 ms",
        "the most images a second, 1600, come from openvino bf16 on 2 times 1 thread in batches of 8",
    )
    assert not any("one image" in note for note in notes([row("onnxruntime fp32", 8)]))


def test_changed_answers_are_said_once() -> None:
    rows = [row("onnxruntime fp32"), *(row("openvino bf16", size, 1.0, changed=1) for size in (1, 8))]
    assert notes(rows)[-1] == "openvino bf16 changes 1 of 4 answers"
    assert sum("changes" in note for note in notes(rows)) == 1


class FakeEngine:
    inputs, outputs = (), ()

    def __init__(self, choice: EngineChoice) -> None:
        self.choice = choice
        self.version = f"{choice.name} 1.0"
        self.batches: list[int] = []

    def run(self, batch_u8_nhwc: npt.NDArray[np.uint8]) -> dict[str, npt.NDArray[Any]]:
        self.batches.append(len(batch_u8_nhwc))
        time.sleep(0.002 if self.choice.name == "openvino" else 0.004)
        best = np.full(len(batch_u8_nhwc), int(self.choice.precision == "bf16"))
        return {"probabilities": np.eye(3, dtype=np.float32)[best]}


@pytest.fixture
def bundle(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setattr("litevision.runtime.engines.installed_engines", lambda: ("onnxruntime", "openvino"))
    return write_bundle(tmp_path / "tiny.onnx")


def test_rows(bundle: Path) -> None:
    opened: list[FakeEngine] = []

    def open_fake(data: bytes, choice: EngineChoice, *, name: str) -> Engine:
        assert (data, name) == (bundle.read_bytes(), str(bundle))
        opened.append(FakeEngine(choice))
        return opened[-1]

    heard: list[BenchmarkRow] = []
    arguments: dict[str, Any] = {"batch_sizes": (1, 3), "threads": (1, 2), "seconds": 0.02, "on_row": heard.append}
    found = benchmark(bundle, **arguments, opened_by=open_fake)
    assert [(it.title, it.batch_size, it.threads) for it in found.rows] == [
        (title, batch_size, threads)
        for threads in (1, 2)
        for batch_size in (1, 3)
        for title in ("onnxruntime fp32", "openvino fp32", "openvino bf16")
    ]
    assert tuple(heard) == found.rows
    for it in found.rows:
        assert it.median_ms >= (2 if it.engine == "openvino" else 4)
        assert it.images_per_s == pytest.approx(1e3 * it.batch_size / it.median_ms)
        assert it.p95_ms >= it.median_ms
        assert it.iqr_ms >= 0
        assert it.calls >= 5
        assert (it.changed, it.compared) == (4 if it.precision == "bf16" else 0, 4)
    assert "openvino bf16 changes 4 of 4 answers" in found.notes
    assert set(opened[0].batches) == {1, 3, 4}  # 4 are the photos that answers are compared on


def test_streams_multiply_the_rate(bundle: Path) -> None:
    found = benchmark(
        bundle,
        batch_sizes=(2,),
        threads=(1,),
        streams=3,
        engines=["onnxruntime"],
        seconds=0.02,
        opened_by=lambda data, choice, name: FakeEngine(choice),
    )
    (it,) = found.rows
    assert it.streams == 3
    assert it.images_per_s == pytest.approx(6e3 / it.median_ms)


def test_what_does_not_open_is_left_out_and_said(bundle: Path) -> None:
    def open_fake(data: bytes, choice: EngineChoice, *, name: str) -> Engine:
        if choice.precision == "bf16":
            raise UsageError("this CPU has no bf16")
        return FakeEngine(choice)

    found = benchmark(bundle, batch_sizes=(1,), threads=(1, 2), seconds=0.01, opened_by=open_fake)
    assert {it.precision for it in found.rows} == {"fp32"}
    assert [note for note in found.notes if "left out" in note] == [
        "openvino bf16 is left out: this CPU has no bf16",
    ]
    with pytest.raises(UsageError, match="this CPU has no bf16"):
        benchmark(bundle, precisions=["bf16"], opened_by=open_fake)


def test_a_real_bundle_in_every_engine_that_is_here(tmp_path: Path) -> None:
    found = benchmark(write_bundle(tmp_path / "tiny.onnx"), batch_sizes=(2,), threads=(1,), seconds=0.01)
    assert found.rows[0].title == "onnxruntime fp32"
    assert all(it.changed == 0 for it in found.rows if it.precision == "fp32")


def test_wrong_arguments(bundle: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(UsageError, match=r"batch sizes \[\]; expected one at least"):
        benchmark(bundle, batch_sizes=())
    with pytest.raises(UsageError, match=r"batch sizes \[1, 0\]; expected one at least, of 1 or more"):
        benchmark(bundle, batch_sizes=(1, 0))
    with pytest.raises(UsageError, match="0 seconds for each row; expected more than 0"):
        benchmark(bundle, seconds=0)
    with pytest.raises(UsageError, match="0 threads"):
        benchmark(bundle, threads=(0,))
    with pytest.raises(UnknownNameError, match="no engine 'tflite'"):
        benchmark(bundle, engines=["tflite"])
    with pytest.raises(FileMissingError, match=r"none\.onnx: no such bundle"):
        benchmark(bundle.with_name("none.onnx"))
    monkeypatch.setitem(__import__("sys").modules, "openvino", None)
    with pytest.raises(MissingExtraError, match=r"pip install 'litevision\[openvino\]'"):
        benchmark(bundle, engines=["openvino"])


def test_the_machine_says_what_figures_depend_on() -> None:
    machine = Machine("Abacus 3", 8, 2, 0.4, "Linux x86_64", {"python": "3.11.7", "onnxruntime": "1.31.1"})
    assert str(machine) == ("Abacus 3, 8 cores, 2 usable; Linux x86_64; python 3.11.7, onnxruntime 1.31.1; load 0.4")
    busy = Machine("Abacus 3", 2, 2, 1.5, "Linux x86_64", {})
    assert str(busy).endswith("; load 1.5, so other work disturbs these figures")
    here = Machine.here()
    assert here.cpu
    assert 1 <= here.usable_cpus <= here.cores
    assert here.versions["onnxruntime"].startswith("1.")
    assert len(cpu_instructions()) == 16
