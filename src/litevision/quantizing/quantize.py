"""``quantize``: a bundle in 8 bits, which is written where it answers nearly as well as before."""

import os
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path

import onnx

from litevision.console import note
from litevision.errors import UsageError
from litevision.exporting.graph_parts import read_model
from litevision.exporting.record import check_sidecars, record_of, write_sidecars
from litevision.files import folder_beside, sha256_of, sync_file
from litevision.hub import find_bundle
from litevision.outputs import check_output, kind_named
from litevision.quantizing.gate import Gate, Trial, doubt_of, faults_of, opened_as, save
from litevision.quantizing.graph import check_answers, float_nodes, put_back, with_integer_answers
from litevision.quantizing.images import choose_images
from litevision.quantizing.nncf_quantizer import import_nncf, quantise_best
from litevision.quantizing.noise import LayerNoise, layer_noise, layer_title
from litevision.runtime import Bundle
from litevision.runtime.bundle import refuse_other_runtimes
from litevision.runtime.cpus import available_cpus
from litevision.runtime.engines import check_reads, default_engine, ending_of, engine_choice
from litevision.runtime.machine import adds_in_32_bits, cpu_name
from litevision.runtime.metadata import BundleMetadata, Quantization
from litevision.tables import Report, Table, pluralise
from litevision.tasks import Task, task_of

_FLOAT_LAYERS = (1, 2, 4, 8, 16)
_NOISE_IMAGES = 16
_SHOWN_LAYERS = 5


@dataclass(frozen=True)
class QuantizeResult(Report):
    """What quantising cost; ``print`` it.

    Attributes:
        path: the file that was written; None where the loss was too large.
        before: the original.
        trials: the graph in 8 bits, and others with more and more layers in float where that lost too much.
        chosen: the one of them that was written, or would be.
        noise: the layers that add most noise.
        max_drop: what of the score may be lost.
        min_agreement: how many of the answers must stay, in [0, 1].
        record: what the file says of all this.
    """

    path: Path | None
    before: Trial
    trials: tuple[Trial, ...]
    chosen: Trial
    noise: tuple[LayerNoise, ...]
    max_drop: float
    min_agreement: float
    record: Quantization
    task: Task

    @property
    def is_accepted(self) -> bool:
        """Whether the loss is small enough."""
        return not self._faults()

    def _faults(self) -> list[str]:
        return faults_of(self.before, self.chosen, self.task, self.max_drop, self.min_agreement)

    def sections(self) -> Iterator[str | Table]:
        """The comparison, the layers that lose most, and what became of it."""
        record, main = self.record, self.task.main_score
        yield f"calibrated on {pluralise(record.calibration_count)} ({record.calibrated_on}), seed {record.seed}"
        yield f"measured on {pluralise(record.count)} ({record.measured_on}) in {record.engine} on {record.cpu}"
        if self.before.score is None:
            yield "the images have no labels: answers are compared with the original's, which is no score"
        yield Table(
            {"": "left", main.name: "right", "agreement, %": "right", "KL": "right", "MB": "right", "ms": "right"},
            [self._row("original", self.before), *(self._row(_title(one), one) for one in self.trials)],
        )
        worst = self.chosen.agreement
        if worst.worst_share is not None and worst.worst_share < 1:
            yield f"worst class: {worst.worst_class}, {worst.worst_share:.1%} of {worst.worst_count:,} answers agree"
        if self.noise:
            yield "layers that add most noise: " + ", ".join(
                f"{layer_title(one)} ({one.snr_db:.1f} dB)" for one in self.noise[:_SHOWN_LAYERS]
            )
        ratio = self.chosen.num_bytes / self.before.num_bytes
        if ratio > 1 or self.chosen.ms > self.before.ms:
            yield "int8 does not pay here: " + " and ".join(
                [
                    *(["the file is larger"] if ratio > 1 else []),
                    *(["an image takes longer in this engine"] if self.chosen.ms > self.before.ms else []),
                ]
            )
        for fault in self._faults():
            yield f"refused: {fault}" if self.path is None else f"allowed: {fault}"
        doubt = doubt_of(self.before, self.chosen, self.task, self.max_drop, record.count)
        if doubt is not None:
            yield doubt
        if self.path is None:
            yield "quantization-aware training (docs/quantize.md) teaches a network of your own to bear it"
        yield "nothing was written" if self.path is None else f"wrote {self.path}: {ratio:.0%} of the size"

    def _row(self, name: str, one: Trial) -> tuple[str, ...]:
        score = "-" if one.score is None else f"{one.score:.3f}"
        kl = "-" if one.agreement.kl is None else f"{one.agreement.kl:.4f}"
        return name, score, f"{one.agreement.share:.2%}"[:-1], kl, f"{one.num_bytes / 1e6:.2f}", f"{one.ms:.2f}"


def quantize(
    model: str | os.PathLike[str],
    data: str | os.PathLike[str],
    path: str | os.PathLike[str],
    *,
    evaluate_on: str | os.PathLike[str] | None = None,
    split: str | None = None,
    images: int = 300,
    seed: int = 0,
    engine: str | None = None,
    fast_bias_correction: bool = False,
    any_cpu: bool | None = None,
    max_drop: float | None = None,
    min_agreement: float | None = None,
    allow_drop: bool = False,
    integers_alone: bool = False,
    sidecar: bool = False,
) -> QuantizeResult:
    """Makes a bundle whose layers compute in 8 bits, and writes it if it answers nearly as well as the original.

    Both are measured in the engine that will run them, on images that calibrated nothing. Where too much is lost, the
    layers that add most noise are put back into float, 1, 2, 4, 8 and 16 of them, until it is enough.

    Args:
        model: a shipped or published name, a bundle, or the folder of a run.
        data: images to calibrate on: labelled as for `litevision.train`, of which the training images are used, or a
            folder of images, of which a part is.
        path: the ``.onnx`` file to write, or a ``.tflite`` file for LiteRT.
        evaluate_on: labelled images to judge by; those of ``data`` unless given.
        split: which of them; the first of test and validation that has images unless given.
        images: how many calibrate at most.
        seed: draws them.
        engine: what will run the bundle; onnxruntime unless given, of a ``.tflite`` file litert.
        fast_bias_correction: a quicker estimate, with which up to a point fewer answers stay.
        any_cpu: weights in 7 bits, for processors whose sums saturate at 16 bits; by default where this one's do,
            and never for LiteRT.
        max_drop: the most that the score may fall: 1.0 points of top-1, 0.01 of AP.
        min_agreement: the least share of answers that must be the original's: 0.95, of boxes 0.9.
        allow_drop: write it whatever it loses; the record says how much.
        integers_alone: of a classifier for LiteRT, the normalisation, the last layer and the probabilities in 8 bits,
            too, as microcontrollers need it; no layer goes back into float then.
        sidecar: also writes what an app must know beside the file, as JSON and as a C header.

    Raises:
        MissingExtraError: nncf is not installed.
        UsageError: images that cannot be used so, or a bundle that is quantised already.
        ExportError: a graph that the quantiser cannot take.
    """
    path, source = Path(path), find_bundle(model)
    check_output(path, kind_named("export", path), inputs=[source])
    ending = ending_of(path)
    if path.suffix != ending:
        raise UsageError(f"a bundle is an .onnx file, or .tflite for LiteRT, got {path.name!r}")
    refuse_other_runtimes(source, "nncf does not quantise it")
    if integers_alone and ending != ".tflite":
        raise UsageError(f"integers alone are of LiteRT files; expected a .tflite file to write, got {path.name!r}")
    if sidecar:
        check_sidecars(path)
    check_reads(engine_choice(engine or default_engine(ending)).name, ending)
    import_nncf()
    opened_in = engine if ending == ".onnx" else None
    original = Bundle.open(source, engine=opened_in, threads=1, streams=available_cpus())
    metadata = original.metadata
    if metadata.quantization is not None:
        raise UsageError(f"{source}: in 8 bits already; give the bundle that it was made of")
    task = task_of(metadata)
    calibration, judge = choose_images(
        task,
        metadata.labels,
        Path(data),
        evaluate_on=None if evaluate_on is None else Path(evaluate_on),
        split=split,
        count=images,
        seed=seed,
    )
    if judge.is_labelled:
        task.require_scoring()
    saturates = ending == ".onnx" and not adds_in_32_bits()
    seven_bits = saturates if any_cpu is None else any_cpu
    calibrators = calibration.load(metadata.preprocess)
    graph = read_model(source.read_bytes())
    if integers_alone:
        check_answers(graph)
    note(f"calibrating on {pluralise(len(calibrators))} ({calibration.dataset})")
    made, ranges, correction = quantise_best(
        graph,
        calibrators,
        in_float=float_nodes(graph),
        for_openvino=original.engine.choice.name == "openvino",
        fast_bias_correction=fast_bias_correction,
        seven_bits=seven_bits,
        seed=seed,
    )
    if integers_alone:
        made = with_integer_answers(made, calibrators)
    limits = (
        task.main_score.max_drop if max_drop is None else max_drop,
        task.main_score.min_agreement if min_agreement is None else min_agreement,
    )
    with tempfile.TemporaryDirectory() as folder:
        gate = Gate(opened_as(ending, original, graph, Path(folder)), task, judge, integers_alone=integers_alone)
        first = gate.measure(made, (), Path(folder))
        trials, chosen, model_chosen = [first], first, made
        noise = layer_noise(graph, made, calibrators[:_NOISE_IMAGES])
        if not integers_alone and faults_of(gate.before, first, task, *limits):
            for count in (each for each in _FLOAT_LAYERS if each <= len(noise) // 2):
                worst = noise[:count]
                note(f"too much is lost; trying {pluralise(count, 'layer')} in float")
                mixed = put_back(made, graph, {one.name for one in worst})
                trial = gate.measure(mixed, tuple(map(layer_title, worst)), Path(folder))
                trials.append(trial)
                if not faults_of(gate.before, trial, task, *limits):
                    chosen, model_chosen = trial, mixed
                    break
    nncf = import_nncf()
    record = Quantization(
        method=f"nncf {nncf.__version__}, preset mixed, {correction} bias correction, "
        f"{ranges} ranges, weights in {7 if seven_bits else 8} bits{', integers alone' if integers_alone else ''}",
        calibrated_on=calibration.dataset,
        calibration_count=len(calibrators),
        seed=seed,
        float_layers=chosen.float_layers,
        measured_on=judge.dataset,
        count=gate.count,
        engine=gate.original.engine.version,
        cpu=cpu_name(),
        before=gate.before.score,
        after=chosen.score,
        agreement=chosen.agreement.share,
        kl=chosen.agreement.kl,
        worst_class=chosen.agreement.worst_class,
        sha256=sha256_of(source),
    )
    refused = bool(faults_of(gate.before, chosen, task, *limits)) and not allow_drop
    if not refused:
        metadata = replace(metadata, score=gate.scores.get(chosen), quantization=record)
        _write(model_chosen, metadata, path, integers_alone, sidecar)
    return QuantizeResult(
        None if refused else path, gate.before, tuple(trials), chosen, tuple(noise), *limits, record, task
    )


def _title(one: Trial) -> str:
    return f"int8, {pluralise(len(one.float_layers), 'layer')} in float" if one.float_layers else "int8"


def _write(model: onnx.ModelProto, metadata: BundleMetadata, path: Path, integers_alone: bool, sidecar: bool) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    with folder_beside(path) as folder:
        unfinished = folder / path.name
        save(model, metadata, unfinished, integers_alone=integers_alone)
        engine = Bundle.open(unfinished).engine
        sync_file(unfinished)
        unfinished.replace(path)
    sync_file(path)
    if sidecar:
        kind = "litert" if ending_of(path) == ".tflite" else "bundle"
        write_sidecars(path, record_of(engine, metadata, kind, [path]), metadata)
