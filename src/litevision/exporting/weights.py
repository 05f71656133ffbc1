"""From published weights, or a file of them, to a checked bundle in one call."""

from collections.abc import Sequence
from pathlib import Path

from litevision.exporting.bundle import export_bundle
from litevision.exporting.defaults import describe
from litevision.runtime import BundleMetadata
from litevision.weights.load import load_weights


def export_weights(
    source: str | Path,
    path: str | Path,
    name: str | None = None,
    *,
    dialect: str | None = None,
    width_mult: float | None = None,
    size_hw: tuple[int, int] | None = None,
    normalisation: str | None = None,
    labels: tuple[str, ...] | None = None,
    check_images: Sequence[str | Path | bytes] | None = None,
) -> BundleMetadata:
    """Writes the bundle of ``source`` and gives what it says about itself.

    Args:
        source: a weight set's name, a weight file, or a URL.
        path: the ``.onnx`` file to write.
        name: the network; by default the weight set's, or recognised from the file.
        dialect: whose form, where the file alone cannot tell.
        width_mult: the width, if it is an unusual one.
        size_hw: the input; by default the weight set's, else 224 x 224.
        normalisation: ``imagenet``, ``half`` ([-1, 1]) or ``unit`` ([0, 1]); by default the weights' own.
        labels: the classes' names; by default ImageNet's where there are 1000 classes.
        check_images: what to check with; by default the four that come with the package.

    Raises:
        WeightsError: weights that cannot be used.
        UsageError: labels that nobody named, or another file name ending.
        ExportError: the graph does not match the network; nothing is written then.
    """
    loaded = load_weights(source, name, dialect=dialect, width_mult=width_mult)
    described = describe(loaded, size_hw=size_hw, normalisation=normalisation, labels=labels)
    return export_bundle(loaded.network, path, check_images=check_images, **described)
