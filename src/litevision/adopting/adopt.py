"""``adopt``: from an ONNX file of another making to a checked bundle, in one call."""

import os
from collections.abc import Callable, Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path

import numpy as np
import numpy.typing as npt
import onnx
from onnx import TensorProto

from litevision.adopting.check import Found, check_adopted, plain_detections, refuse_nonsense
from litevision.adopting.decoding import Array, Decoding, Fit, Seen
from litevision.adopting.decodings import recognise
from litevision.adopting.foreign import Channels, Feeding, ForeignModel, open_foreign
from litevision.adopting.graph import adopted_graph
from litevision.adopting.presets import ADOPTED_NORMALISATIONS, Preset, facts_with, feeding_of, preprocess_of
from litevision.errors import BundleError, ExportError, LitevisionError, UnknownNameError, UsageError, reason_of
from litevision.files import folder_beside, sha256_of, sync_file
from litevision.image import Preprocess, shipped_images
from litevision.image.transforms import Align, Crop, Interpolation
from litevision.registry.labels import coco_labels, imagenet_labels
from litevision.runtime import METADATA_KEY, BundleMetadata, Normalisation, Weights
from litevision.runtime.engines.base import Outputs
from litevision.runtime.metadata import ADOPTED, NOT_CHECKED, Architecture
from litevision.runtime.suppression import Suppression

UNKNOWN = "unknown"
KNOWN_LABELS = {"coco80": coco_labels, "imagenet-1k": imagenet_labels}
"""Lists of class names that are known by name."""

_MOST_DETECTIONS = 3000

CheckImage = str | Path | bytes


def adopt(
    file: str | os.PathLike[str],
    path: str | os.PathLike[str],
    *,
    preset: str | None = None,
    labels: str | Sequence[str] | None = None,
    decoding: str | None = None,
    size: int | tuple[int, int] | None = None,
    normalisation: str | Normalisation | None = None,
    channels: Channels | None = None,
    crop: Crop | None = None,
    crop_fraction: float | None = None,
    interpolation: Interpolation | None = None,
    pad_value: int | None = None,
    align: Align | None = None,
    iou_threshold: float | None = None,
    score_threshold: float | None = None,
    max_detections: int = 100,
    name: str | None = None,
    licence: str = UNKNOWN,
    source: str = UNKNOWN,
    training_data: str = UNKNOWN,
    check_images: Sequence[CheckImage] | None = None,
) -> BundleMetadata:
    """Makes a bundle of an ONNX classifier or detector of another making, checked against the file as it was.

    Args:
        file: the ONNX file; it is not changed.
        path: the ``.onnx`` file to write.
        preset: a row of `litevision.adopting.presets.PRESETS`, which says how its project feeds its networks.
        labels: ``coco80``, ``imagenet-1k``, or the name of each class; by default those two for 80 kinds of boxes and
            1000 classes.
        decoding: what its outputs mean, a row of `litevision.adopting.decodings.DECODINGS`; by default the one that
            fits.
        size: the input's side in px, or its height and width, where the file leaves it open.
        normalisation: ``imagenet``, ``half`` ([-1, 1]), ``unit`` ([0, 1]), ``none`` (0 to 255), or a
            ``Normalisation``, whose numbers stand in the order red, green, blue.
        channels: the order that the file takes, ``rgb`` or ``bgr``.
        crop: as for `litevision.export`; by default ``letterbox`` for a detector, and ``center`` for a classifier.
        crop_fraction: as for `litevision.export`.
        interpolation: as for `litevision.export`.
        pad_value: of a letterbox, the grey of its padding, 0 to 255.
        align: of a letterbox, where the image lies, ``center`` or ``top-left``.
        iou_threshold: of a detector whose boxes are suppressed here: of two of a class that overlap by more, the one
            with the lower score is dropped.
        score_threshold: of such a detector, the score above which boxes are given.
        max_detections: the most boxes that a detector gives for an image.
        name: what the bundle calls the network; by default the file's name.
        licence: what it says of the weights' licence.
        source: where it says that they come from.
        training_data: what it says that they were trained on.
        check_images: images to check with; by default the four that come with the package.

    Raises:
        FileMissingError, BundleError, UnsafeFileError: no such file, or none that is safe to run.
        UnknownNameError: a preset, decoding, normalisation or list of labels that does not exist.
        UsageError: options that do not fit the file, or a file that is no classifier or detector of a known form; the
            message lists what fits and what not.
        ExportError: the bundle does not answer as the file does, or the file gives nonsense; nothing is written then.
    """
    file, path = Path(file), Path(path)
    if path.suffix != ".onnx":
        raise UsageError(f"a bundle is an .onnx file, got {path.name!r}")
    facts = facts_with(
        preset,
        normalisation=_normalisation_named(normalisation) if isinstance(normalisation, str) else normalisation,
        channels=channels,
        crop=crop,
        crop_fraction=crop_fraction,
        interpolation=interpolation,
        pad_value=pad_value,
        align=align,
        decoding=decoding,
        iou_threshold=iou_threshold,
        score_threshold=score_threshold,
    )
    names = _labels(labels)
    foreign = open_foreign(file, (size, size) if isinstance(size, int) else size)
    feeding = feeding_of(facts, is_raw=foreign.element_type == TensorProto.UINT8)
    images: Sequence[CheckImage] = shipped_images() if check_images is None else check_images
    if not images:
        raise UsageError("the check needs at least one image, got none")
    preprocess, images_u8_nhwc, answers, seen = _look(foreign, feeding, facts, names, images)
    found, fit = recognise(seen, facts.decoding)
    names = names or _usual_labels(found, fit)
    suppression = _suppression(found, facts, max_detections)
    decoded = [found.plain(answer, fit) for answer in answers]

    about = name or file.stem
    metadata = BundleMetadata(
        task=found.task,
        labels=names,
        preprocess=preprocess,
        normalisation=feeding.normalisation,
        architecture=Architecture(
            about, ADOPTED, 1.0, fit.classes, {"decoding": found.name, "channels": feeding.channels}
        ),
        weights=Weights(about, source, licence, sha256_of(file)),
        training_data=training_data,
        score=None,
        check=NOT_CHECKED,
        top_k=max_detections if found.task == "detection" else None,
        activation="sigmoid" if fit.activation == "sigmoid" else None,
    )
    lengths = {one[0].shape[1] for one in decoded}
    graph = partial(
        adopted_graph,
        foreign,
        feeding,
        found,
        fit,
        cells=lengths.pop() if len(lengths) == 1 and foreign.layout[0] == "N" else None,
        suppression=suppression,
    )
    return _write_checked(path, metadata, graph, foreign, images_u8_nhwc, _expected(found, decoded, suppression))


def _look(
    foreign: ForeignModel, feeding: Feeding, facts: Preset, names: Sequence[str] | None, images: Sequence[CheckImage]
) -> tuple[Preprocess, npt.NDArray[np.uint8], list[Outputs], Seen]:
    """Run the file as it is on images, cut as its task wants them, which its outputs tell."""
    labels = None if names is None else len(names)
    stretched = Preprocess(foreign.size_hw, min(foreign.size_hw), "stretch").batch(images)
    answers = foreign.run(stretched, feeding)
    refuse_nonsense(answers)
    task = recognise(Seen(answers, foreign.size_hw, labels), facts.decoding)[0].task
    preprocess = preprocess_of(facts, foreign.size_hw, task)
    images_u8_nhwc = preprocess.batch(images)
    answers = foreign.run(images_u8_nhwc, feeding)
    refuse_nonsense(answers)
    return preprocess, images_u8_nhwc, answers, Seen(answers, foreign.size_hw, labels)


def _labels(given: str | Sequence[str] | None) -> tuple[str, ...] | None:
    if isinstance(given, str):
        if given not in KNOWN_LABELS:
            raise UnknownNameError.of("list of labels", given, KNOWN_LABELS)
        return KNOWN_LABELS[given]()
    if given is not None and len(set(given)) != len(given):
        twice = next(name for name in given if [*given].count(name) > 1)
        raise UsageError(f"the label {twice!r} stands there twice; each class needs a name of its own")
    return None if given is None else tuple(given)


def _usual_labels(found: Decoding, fit: Fit) -> tuple[str, ...]:
    """The labels of a file for which none were given: it was recognised as one of COCO's, or has ImageNet's number."""
    usual = KNOWN_LABELS["coco80" if found.task == "detection" else "imagenet-1k"]()
    if len(usual) != fit.classes:
        raise UsageError(f"the file has {fit.classes} classes, and nobody knows their names; say them with --labels")
    return usual


def _normalisation_named(name: str) -> Normalisation:
    if name not in ADOPTED_NORMALISATIONS:
        raise UnknownNameError.of("normalisation", name, ADOPTED_NORMALISATIONS)
    return ADOPTED_NORMALISATIONS[name]


def _suppression(found: Decoding, facts: Preset, max_detections: int) -> Suppression:
    given = {"iou_threshold": facts.iou_threshold, "score_threshold": facts.score_threshold}
    for what, value in given.items():
        if value is not None and not 0 <= value <= 1:
            raise UsageError(f"{what} {value:g}; expected 0 to 1")
        if value is not None and found.iou_threshold is None:
            raise UsageError(f"{what} goes with boxes that are suppressed here; {found.name} gives its boxes itself")
    if not 1 <= max_detections <= _MOST_DETECTIONS:
        raise UsageError(f"max_detections {max_detections}; expected 1 to {_MOST_DETECTIONS}")
    usual = {"iou_threshold": found.iou_threshold or 1.0, "score_threshold": found.score_threshold}
    chosen = {what: usual[what] if value is None else value for what, value in given.items()}
    return Suppression(**chosen, max_detections=max_detections)


def _expected(
    found: Decoding, decoded: Sequence[tuple[Array, ...]], suppression: Suppression
) -> Sequence[Array | Found]:
    """What the bundle must answer to each image.

    Raises:
        ExportError: a detector that finds nothing in any of them.
    """
    if found.task == "classification":
        return [probabilities[0] for (probabilities,) in decoded]
    expected = [plain_detections(one, found, suppression) for one in decoded]
    if not any((scores > suppression.score_threshold).any() for _, scores, _ in expected):
        raise ExportError(
            f"the file finds nothing in {len(expected)} images, so that nothing can be checked: give images with "
            "its objects as --check-images, or are its pixels fed wrongly?"
        )
    return expected


def _write_checked(
    path: Path,
    metadata: BundleMetadata,
    graph: Callable[..., onnx.ModelProto],
    foreign: ForeignModel,
    images_u8_nhwc: npt.NDArray[np.uint8],
    expected: Sequence[Array | Found],
) -> BundleMetadata:
    """Write the bundle for any number of images where that holds, else for one at a time."""
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with folder_beside(path) as folder:
            unfinished = folder / path.name
            for open_batch in (True, False) if foreign.layout[0] == "N" else (False,):
                try:
                    model = graph(open_batch=open_batch)
                    _write(model, metadata, unfinished)
                    check = check_adopted(unfinished, images_u8_nhwc, expected)
                    break
                except (BundleError, ExportError) as error:
                    if not open_batch:
                        reason = str(error).replace(str(unfinished), path.name)
                        raise ExportError(
                            f"the bundle does not answer as {foreign.path.name} does: {reason}; nothing was written"
                        ) from error
            metadata = replace(metadata, check=check)
            _write(model, metadata, unfinished)
            sync_file(unfinished)
            unfinished.replace(path)
        sync_file(path)
    except OSError as error:
        if isinstance(error, LitevisionError):
            raise
        raise UsageError(f"{path} cannot be written ({error.strerror}); give a file in a folder of yours") from error
    return metadata


def _write(model: onnx.ModelProto, metadata: BundleMetadata, unfinished: Path) -> None:
    onnx.helper.set_model_props(model, {METADATA_KEY: metadata.to_json()})
    try:
        onnx.checker.check_model(model)
    except onnx.checker.ValidationError as error:
        raise ExportError(f"the graph is not valid ONNX: {reason_of(error)}") from None
    unfinished.write_bytes(model.SerializeToString())
