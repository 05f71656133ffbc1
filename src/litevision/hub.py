"""Models by name: find a bundle, load it as a classifier or detector, or classify and detect in one call. No torch."""

import os
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Protocol, TypedDict, TypeGuard, Unpack, cast, overload, runtime_checkable

from litevision.errors import FileMissingError
from litevision.image import ImageLike
from litevision.image.sources import is_single_image
from litevision.runtime.bundle import Bundle, kind_of
from litevision.runtime.classifier import Classifier
from litevision.runtime.results import Predictions

if TYPE_CHECKING:  # a cold start that classifies does without it
    from torch import nn

    from litevision.detections import Detections
    from litevision.runtime.benchmark import Benchmark
    from litevision.runtime.detector import Detector

_FEW = 4  # fewer images are computed one after the other: workers would not have started by then


@runtime_checkable
class HasBundle(Protocol):
    """What a training run gives: something with a bundle."""

    @property
    def bundle(self) -> str | os.PathLike[str] | Bundle:
        """The bundle, or its path."""


Model = str | os.PathLike[str] | Bundle | HasBundle
"""A model: the name of a bundle that comes with the package (``litevision.zoo.BUNDLES``), the path of an ``.onnx``
file, the folder of a training run, the name of a published weight set or network (its bundle is made once, which needs
torch, and kept), a run that `litevision.train` returned, or a `Bundle`."""


class LoadOptions(TypedDict, total=False):
    """How a model is computed; each as for `litevision.Bundle.open`."""

    engine: str | None
    precision: str | None
    threads: int | None
    streams: int
    device: str


def find_bundle(model: str | os.PathLike[str]) -> Path:
    """Find the bundle of a model, making it on first use where it is known by a published name.

    Args:
        model: a name, a file or a folder, as `Model` says.

    Raises:
        FileMissingError: a folder without a bundle.
        BundleError: a folder that no engine here reads.
        UnsafeFileError: a folder that holds links.
        LitevisionError: as for ``litevision.exporting.cached.bundle_for``.
    """
    name = os.fspath(model)
    if name.lower().endswith((".onnx", ".tflite")):
        return Path(name)
    from litevision.zoo import BUNDLES

    if name in BUNDLES:
        return BUNDLES[name]
    if Path(name).is_dir():
        path = Path(name, "model.onnx")
        if not path.is_file():
            path = Path(name)
            if kind_of(name) == ".onnx":
                raise FileMissingError(f"{name}: a folder without model.onnx; expected the folder of a finished run.")
        from litevision.files import refuse_links  # here: a bundle by its own name or path needs no shutil

        refuse_links(Path(name))
        return path
    from litevision.exporting.cached import bundle_for

    return bundle_for(name)


def model_name(model: str) -> str:
    """Name a model by its file or folder, in letters that addresses and files may have."""
    import re

    path = Path(model)
    if path.name == "model.onnx":  # of a run, which has the name
        path = path.absolute().parent
    name = path.absolute().name.removesuffix(".onnx")
    return re.sub(r"[^\w.-]+", "-", name, flags=re.ASCII).strip("-.") or "model"


def load(
    model: Model,
    *,
    engine: str | None = None,
    precision: str | None = None,
    threads: int | None = None,
    streams: int = 1,
    device: str = "auto",
) -> "Classifier | Detector":
    """Load a model as the predictor of its task.

    Where you know the task, `load_classifier` and `load_detector` tell type checkers more.

    Args:
        model: a name, a file, a run folder and so on, as `Model` says. A `Bundle` is used as it was opened.
        engine: as for `litevision.Bundle.open`.
        precision: as for `litevision.Bundle.open`.
        threads: as for `litevision.Bundle.open`.
        streams: as for `litevision.Bundle.open`.
        device: as for `litevision.Bundle.open`; by default a GPU that onnxruntime has been installed for, or the CPU.

    Raises:
        LitevisionError: as for `find_bundle` and `litevision.Bundle.open`.

    Example:
        >>> import litevision
        >>> litevision.load("clothing").predict("examples/dress.jpg").labels[0]
        'dress'
    """
    bundle = _open(model, engine=engine, precision=precision, threads=threads, streams=streams, device=device)
    if bundle.metadata.task == Classifier.task:
        return Classifier(bundle)
    from litevision.runtime.detector import Detector

    return Detector(bundle)


def load_classifier(
    model: Model,
    *,
    engine: str | None = None,
    precision: str | None = None,
    threads: int | None = None,
    streams: int = 1,
    device: str = "auto",
) -> Classifier:
    """Load a classifier; arguments and errors as for `load`.

    Raises:
        BundleError: the model is a detector.

    Example:
        >>> import litevision
        >>> classifier = litevision.load_classifier("clothing")
        >>> [round(it.score, 2) for it in classifier.predict("examples/dress.jpg", top=2)]
        [0.97, 0.01]
    """
    return Classifier(_open(model, engine=engine, precision=precision, threads=threads, streams=streams, device=device))


def load_detector(
    model: Model,
    *,
    engine: str | None = None,
    precision: str | None = None,
    threads: int | None = None,
    streams: int = 1,
    device: str = "auto",
) -> "Detector":
    """Load a detector; arguments and errors as for `load`.

    Raises:
        BundleError: the model is a classifier.

    Example:
        >>> import litevision
        >>> litevision.load_detector("blood-cells").predict("examples/blood.jpg").counts()
        {'Platelets': 3, 'RBC': 16, 'WBC': 1}
    """
    from litevision.runtime.detector import Detector

    return Detector(_open(model, engine=engine, precision=precision, threads=threads, streams=streams, device=device))


@overload
def classify(  # type: ignore[overload-overlap]  # a path is an iterable of texts, too
    images: ImageLike, model: Model = "imagenet-1k", *, top: int = 5, **options: Unpack[LoadOptions]
) -> Predictions: ...
@overload
def classify(
    images: Iterable[ImageLike], model: Model = "imagenet-1k", *, top: int = 5, **options: Unpack[LoadOptions]
) -> list[Predictions]: ...
def classify(
    images: ImageLike | Iterable[ImageLike],
    model: Model = "imagenet-1k",
    *,
    top: int = 5,
    **options: Unpack[LoadOptions],
) -> Predictions | list[Predictions]:
    """Load a classifier and predict the likeliest classes of one image or several.

    For more than a few calls, load the model once with `load_classifier`.

    Args:
        images: one image, in any form of `litevision.image.ImageLike`, or several: a list, or a folder's, which
            ``litevision.find_images(folder)`` finds and counts what it passes over.
        model: as for `load`.
        top: how many classes; all of them where the model has fewer.
        **options: the engine and so on, as for `load`.

    Returns:
        The classes of the image, or a list of those of each.

    Raises:
        LitevisionError: as for `load_classifier` and `litevision.Classifier.predict`.
    """
    classifier = load_classifier(model, **options)
    if is_single_image(images):
        return classifier.predict(images, top)
    several = cast("Iterable[ImageLike]", images)
    if _are_few(several):
        return classifier.predict_batch(several, top)
    return [result.predictions for result in classifier.stream(several, top)]


@overload
def detect(  # type: ignore[overload-overlap]  # likewise
    images: ImageLike,
    model: Model = "blood-cells",
    *,
    score: float | None = None,
    tiles: int = 1,
    **options: Unpack[LoadOptions],
) -> "Detections": ...
@overload
def detect(
    images: Iterable[ImageLike],
    model: Model = "blood-cells",
    *,
    score: float | None = None,
    tiles: int = 1,
    **options: Unpack[LoadOptions],
) -> "list[Detections]": ...
def detect(
    images: ImageLike | Iterable[ImageLike],
    model: Model = "blood-cells",
    *,
    score: float | None = None,
    tiles: int = 1,
    **options: Unpack[LoadOptions],
) -> "Detections | list[Detections]":
    """Load a detector and find the objects in one image or several.

    For more than a few calls, load the model once with `load_detector`.

    Args:
        images: one image, in any form of `litevision.image.ImageLike`, or several: a list, or a folder's, which
            ``litevision.find_images(folder)`` finds and counts what it passes over.
        model: as for `load`.
        score: as for `litevision.Detector.predict`.
        tiles: as for `litevision.Detector.predict`.
        **options: the engine and so on, as for `load`.

    Returns:
        The objects in the image, or a list of those in each.

    Raises:
        LitevisionError: as for `load_detector` and `litevision.Detector.predict`.
    """
    detector = load_detector(model, **options)
    if is_single_image(images):
        return detector.predict(images, score, tiles=tiles)
    several = cast("Iterable[ImageLike]", images)
    if _are_few(several):
        return detector.predict_batch(several, score, tiles=tiles)
    return [result.predictions for result in detector.stream(several, score, tiles=tiles)]


def bench(
    model: "Model | nn.Module",
    *,
    batch_sizes: Sequence[int] = (1, 8, 32),
    threads: Sequence[int | None] = (None,),
    streams: int = 1,
    engines: Sequence[str] = (),
    precisions: Sequence[str] = (),
    device: str = "auto",
    seconds: float = 1.0,
    size_hw: tuple[int, int] | None = None,
    shapes: Mapping[str, Sequence[int]] | None = None,
) -> "Benchmark":
    """Measure a model in every engine, precision and batch size on this machine.

    Calls of the engines are interleaved, so that background load affects all of them equally.

    Args:
        model: as for `load`, or a network, any ONNX or weight file, or ``centernet``; labels are not needed, and
            nothing is downloaded: a published name stands for its network with random weights.
        batch_sizes: images in a batch.
        threads: numbers of threads that compute a batch; None for all that this process may use.
        streams: batches at once, each from a thread of its own.
        engines: only these; where there are none, those that are installed.
        precisions: only these; where there are none, all that the processor has.
        device: as for `litevision.Bundle.open`.
        seconds: measured time for each row.
        size_hw: of the images, px, for a file that leaves it open.
        shapes: of inputs by name, for what else a file leaves open.

    Returns:
        ``rows``, a typed `litevision.runtime.benchmark.BenchmarkRow` each, and ``notes``, what they say in words.

    Raises:
        LitevisionError: as for `load`, if not even one engine can be opened.

    Example:
        >>> import litevision
        >>> found = litevision.bench("clothing", batch_sizes=[1], engines=["onnxruntime"], seconds=0.01)
        >>> [(row.engine, row.precision, row.batch_size, row.median_ms > 0) for row in found.rows]
        [('onnxruntime', 'fp32', 1, True)]
    """
    from litevision.exporting.graph_file import graph_file
    from litevision.runtime.benchmark import benchmark

    if isinstance(model, HasBundle):
        model = model.bundle
    with graph_file(model.path if isinstance(model, Bundle) else model, size_hw=size_hw, to_run=True) as path:
        return benchmark(
            path,
            batch_sizes=batch_sizes,
            threads=threads,
            streams=streams,
            engines=engines,
            precisions=precisions,
            device=device,
            seconds=seconds,
            size_hw=size_hw,
            shapes=shapes,
        )


def _are_few(images: Iterable[ImageLike]) -> TypeGuard[Sequence[ImageLike]]:
    return isinstance(images, Sequence) and len(images) < _FEW


def _open(model: Model, **options: Unpack[LoadOptions]) -> Bundle:
    if isinstance(model, HasBundle):
        return _open(model.bundle, **options)
    return model if isinstance(model, Bundle) else Bundle.open(find_bundle(model), **options)
