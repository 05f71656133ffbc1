"""``export``: from a network, weights, a run or a bundle to a checked model file, in one call."""

import os
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from litevision.errors import MissingExtraError
from litevision.exporting.compare import CheckImages
from litevision.exporting.convert import convert_bundle, finished_bundle
from litevision.exporting.formats import BUNDLE, FinishedBundle, Variant, format_of
from litevision.exporting.record import check_sidecars
from litevision.outputs import check_output, kind_named

if TYPE_CHECKING:
    from torch import nn

    from litevision.image import Preprocess
    from litevision.image.transforms import Crop, Interpolation
    from litevision.runtime import BundleMetadata, Normalisation
    from litevision.runtime.metadata import Activation
    from litevision.weights.trained import WeightsLike


def export(
    source: "nn.Module | WeightsLike",
    path: str | Path,
    *,
    labels: Sequence[str] | None = None,
    size: int | tuple[int, int] | None = None,
    normalisation: "str | Normalisation | None" = None,
    preprocess: "Preprocess | None" = None,
    crop: "Crop | None" = None,
    crop_fraction: float | None = None,
    interpolation: "Interpolation | None" = None,
    drop_background: bool | None = None,
    reset_classifier: bool = False,
    num_classes: int | None = None,
    in_channels: int | None = None,
    activation: "Activation | None" = None,
    model: str | None = None,
    dialect: str | None = None,
    width_mult: float | None = None,
    name: str | None = None,
    training_data: str | None = None,
    licence: str | None = None,
    weight_map: str | Path | None = None,
    save_map: str | Path | None = None,
    format: str | None = None,
    half: bool = False,
    dynamic_int8: bool = False,
    opset: int | None = None,
    batch: int | None = None,
    input: Literal["float-nchw"] | None = None,
    raw_heads: bool = False,
    sidecar: bool = False,
    check_images: "CheckImages | None" = None,
) -> "BundleMetadata":
    """Exports a model to a file that runs without torch, checked against the network.

    A file of another format is made of a finished bundle, whose answers it must give to real images: of the one that is
    given, without torch, or of one that is made on the way.

    What is not given comes from the source: a network made with weights, also one that you have fine-tuned since,
    knows it as ``network.pretrained``; so do a run, a bundle and a weight set. Of a bare weight file the preprocessing
    is its origin's.

    Args:
        source: a network, a run or its folder, a weight set's name, a weight file, a bundle, or a URL.
        path: the file or folder to write; its ending picks the format (``.onnx`` for a bundle).
        labels: the name of each class; of a single logit the name of what it finds, or of both answers.
        size: the input's side in px, or its height and width.
        normalisation: ``imagenet``, ``half`` ([-1, 1]), ``unit`` ([0, 1]), or a ``Normalisation``.
        preprocess: what makes the input of an image, in place of ``size`` and the three that follow.
        crop: how an image becomes the input: ``center`` (resize the shorter side, cut out the middle), ``stretch``
            (squash to the input's size) or ``letterbox`` (fit inside, pad with grey).
        crop_fraction: the part of the resized shorter side that ``center`` keeps, such as 0.875 (224 of 256).
        interpolation: the filter of the resize, ``bilinear`` or ``bicubic``; always with antialiasing.
        drop_background: leaves out class 0 of a weight file; by default that of slim's 1001.
        reset_classifier: initialises the classifier anew where a weight file has none, or ``num_classes`` differs.
        num_classes: by default as many as the weights have; 0 leaves their classifier out.
        in_channels: channels that the network takes, 3 (RGB) or 1 (grey); weights for RGB are adapted to 1 by their
            sum. The bundle takes RGB images all the same and computes their grey value itself.
        activation: what makes probabilities of a classifier's logits: ``softmax``, or ``sigmoid`` where each class has
            its own (several labels for an image); by default what the weights say, and of a single logit a sigmoid.
        model: the network of a weight file; recognised unless given.
        dialect: whose form it has, where the file alone cannot tell.
        width_mult: its width, if it is an unusual one.
        name: what the file calls the weights.
        training_data: what it says that they were trained on.
        licence: what it says of their licence.
        weight_map: a file that ``save_map`` wrote: which of the network's tensors each of a file's is.
        save_map: where to write that map of a file of no known layout, which is read by its structure.
        format: which one, a key of `litevision.exporting.formats.FORMATS`, where the ending does not say it.
        half: layers, or at least weights, in float16; what goes in and comes out stays as it is.
        dynamic_int8: of a LiteRT file, weights in 8 bits, without images that calibrate; `litevision.quantize` makes
            one whose activations are in 8 bits too.
        opset: of a bundle, the version of ONNX's operators; by default the lowest that its nodes allow.
        batch: of a bundle, 1 for one image at a time; by default it takes any number.
        input: of a bundle, ``float-nchw`` for images that are normalised already, float32 [N, 3, H, W].
        raw_heads: of a CenterNet's bundle, its maps are given, to be decoded by the app.
        sidecar: also writes what an app must know beside the file, as JSON and as a C header; a folder always holds
            the JSON, and then the header too.
        check_images: images to check with; by default the four that come with the package.

    Returns:
        What the file says about itself, with the outcome of the check.

    Raises:
        UsageError: something is not known and was not given; the message says what to give. Or ``path`` is the
            source, or holds something else.
        WeightsError: weights that cannot be used.
        ExportError: the file does not match the network; nothing is written then.

    Example:
        >>> import litevision
        >>> network = litevision.create("mobilenet_v2", weights="default", num_classes=2)  # doctest: +SKIP
        >>> litevision.export(network, "model.onnx", labels=["cat", "dog"])  # doctest: +SKIP
    """
    path = Path(path)
    row = format_of(path, format)
    variant = Variant(half, opset, batch, input, raw_heads, dynamic_int8)
    row.check(variant)
    named = [source] if isinstance(source, str | os.PathLike) else []
    check_output(path, None if row.is_folder else kind_named("export", path), inputs=named)
    if sidecar and not row.is_folder:
        check_sidecars(path)
    changes: dict[str, Any] = {
        "labels": labels,
        "size": size,
        "normalisation": normalisation,
        "preprocess": preprocess,
        "crop": crop,
        "crop_fraction": crop_fraction,
        "interpolation": interpolation,
        "drop_background": drop_background,
        "num_classes": num_classes,
        "in_channels": in_channels,
        "activation": activation,
        "model": model,
        "dialect": dialect,
        "width_mult": width_mult,
        "name": name,
        "training_data": training_data,
        "licence": licence,
        "weight_map": weight_map,
        "save_map": save_map,
    }
    changes = {key: value for key, value in changes.items() if value is not None}
    finished = finished_bundle(source) if named and not changes and not reset_classifier else None
    is_plain = row.name == BUNDLE and variant == Variant() and not sidecar
    has_torch = find_spec("torch") is not None
    if finished is not None and not (is_plain and has_torch):
        return convert_bundle(finished, path, row, variant, check_images, sidecar=sidecar)
    if not has_torch:
        raise MissingExtraError.of("export of anything but a finished bundle", "train")
    from litevision.exporting.prepare import prepare

    prepared = prepare(source, path, reset_classifier=reset_classifier, **changes)
    if is_plain:
        return prepared.write(path, check_images)
    with tempfile.TemporaryDirectory() as folder:
        made = Path(folder, "model.onnx")
        finished = FinishedBundle(made, prepared.write(made, check_images), prepared.network)
        return convert_bundle(finished, path, row, variant, check_images, sidecar=sidecar)


@contextmanager
def resized(bundle: Path, size: int | tuple[int, int]) -> Iterator[Path]:
    """Exports a bundle for inputs of another size into a temporary file, which is gone at the end.

    Args:
        bundle: its file.
        size: the input's side in px, or its height and width.

    Raises:
        MissingExtraError: torch is not installed.
        LitevisionError: as for `export`.
    """
    with tempfile.TemporaryDirectory() as folder:
        made = Path(folder, "model.onnx")
        export(bundle, made, size=size)
        yield made
