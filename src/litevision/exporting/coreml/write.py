"""Core ML packages of bundles: an image in, the bundle's answers out, with labels for Vision and Xcode."""

import json
import logging
import warnings
from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, redirect_stderr
from io import StringIO
from pathlib import Path
from typing import Any

import onnx

from litevision import __version__
from litevision.errors import ExportError, reason_of
from litevision.exporting.coreml.lowering import CoremlLowering
from litevision.exporting.coreml.operators import lower_nodes
from litevision.exporting.formats import HALF_TOLERANCE, FinishedBundle, Variant
from litevision.exporting.graph_parts import read_model
from litevision.exporting.suppression import without_suppression
from litevision.exporting.surgery import fixed_to_one_image
from litevision.runtime import BundleMetadata
from litevision.runtime.bundle import RECORD

TOLERANCE = 1e-4
"""Largest difference of a probability that float32 arithmetic in another order explains."""
INPUT, CLASS, PROBABILITIES = "image", "classLabel", "probabilities"
_ARRAY = "probabilities_array"  # what Core ML makes a dictionary of
_SPECIFICATION = "Data/com.apple.CoreML/model.mlmodel"


def write_coreml(bundle: FinishedBundle, unfinished: Path, variant: Variant) -> float:
    """Writes the bundle's graph as a package for iOS 15, macOS 12 and later; arguments as for ``ExportFormat.write``.

    Raises:
        MissingExtraError: coremltools is not installed.
        ExportError: as for ``to_coreml``, or a bundle in 8 bits.
    """
    metadata = bundle.metadata
    if metadata.quantization is not None:
        raise ExportError("Core ML takes no bundle in 8 bits here; give the one that it was made of, with half")
    labels = None if metadata.finds_boxes else metadata.labels
    package = to_coreml(without_suppression(read_model(bundle.path.read_bytes())), labels, half=variant.half)
    weights = metadata.weights
    package.short_description = f"{metadata.architecture.name}, {metadata.task}; trained on {metadata.training_data}"
    package.license = weights.licence
    package.version = f"litevision {__version__}"
    package.user_defined_metadata[RECORD] = metadata.to_json()
    package.user_defined_metadata["classes"] = json.dumps(list(metadata.labels), ensure_ascii=False)
    package.input_description[INPUT] = "RGB image, which the model normalises itself"
    with quiet():
        package.save(str(unfinished))
    return HALF_TOLERANCE if variant.half else TOLERANCE


def to_coreml(model: onnx.ModelProto, labels: Sequence[str] | None, *, half: bool = False) -> Any:
    """Returns coremltools' ``MLModel`` of a bundle's graph.

    It takes ``image``, an RGB image of the network's size. With labels it gives ``classLabel`` and a dictionary of
    ``probabilities``, where labels that two classes share have their class's number behind them; else what the graph
    gives for one image.

    Args:
        model: the graph, with its constants folded.
        labels: of a classifier.
        half: weights and arithmetic of the layers in float16; softmax and decoding stay in float32.

    Raises:
        MissingExtraError: coremltools is not installed.
        ExportError: the graph holds what Core ML has no operator for.
    """
    model = fixed_to_one_image(model)
    with quiet():
        import coremltools as ct
        from coremltools.converters.mil import Builder as mb  # noqa: N813  # as its documentation has it

        target, layers = ct.target.iOS15, set[str]()
        [given] = model.graph.input
        _, height, width, channels = (side.dim_value for side in given.type.tensor_type.shape.dim)
        shape = (1, channels, height, width)

        @mb.program(input_specs=[mb.TensorSpec(shape=shape)], opset_version=target)  # type: ignore[untyped-decorator]
        def program(image: Any) -> Any:
            g = CoremlLowering(mb, model)
            g.put(given.name, mb.transpose(x=image, perm=[0, 2, 3, 1]))
            layers.update(lower_nodes(g))
            if labels is not None:
                return mb.identity(x=g.get(PROBABILITIES), name=_ARRAY)
            return tuple(mb.identity(x=g.get(one.name), name=one.name) for one in model.graph.output)

        classes = None
        if labels is not None:
            keys = _unique(labels)
            classes = ct.ClassifierConfig(keys, CLASS, predicted_probabilities_output=_ARRAY)
        precision = ct.precision.FLOAT32
        if half:
            precision = ct.transform.FP16ComputePrecision(op_selector=lambda op: op.name in layers)
        try:
            package = ct.convert(
                program,
                source="milinternal",
                convert_to="mlprogram",
                inputs=[ct.ImageType(name=INPUT, shape=shape, color_layout=ct.colorlayout.RGB)],
                classifier_config=classes,
                minimum_deployment_target=target,
                compute_precision=precision,
                skip_model_load=True,
            )
        except (ValueError, RuntimeError, NotImplementedError) as error:
            raise ExportError(f"coremltools cannot write the graph ({reason_of(error)})") from None
        if labels is None:
            return package
        spec = package.get_spec()
        ct.utils.rename_feature(spec, f"{CLASS}_probs", PROBABILITIES)
        return ct.models.MLModel(spec, weights_dir=package.weights_dir, skip_model_load=True)


def record_check(unfinished: Path, metadata: BundleMetadata) -> None:
    """Writes the record of a package that is not yet in its place anew."""
    with quiet():
        import coremltools as ct

        spec = ct.utils.load_spec(str(unfinished))
    spec.description.metadata.userDefined[RECORD] = metadata.to_json()
    (unfinished / _SPECIFICATION).write_bytes(spec.SerializeToString())


@contextmanager
def quiet() -> Iterator[None]:
    """Keeps from the user what coremltools tells its developers: progress, and which torch it was not tested with."""
    log = logging.getLogger("coremltools")
    before = log.level
    with warnings.catch_warnings(), redirect_stderr(StringIO()):
        warnings.simplefilter("ignore")
        log.setLevel(logging.CRITICAL)
        try:
            yield
        finally:
            log.setLevel(before)


def _unique(labels: Sequence[str]) -> list[str]:
    """The labels as keys of a dictionary."""
    counts = Counter(labels)
    return [f"{label} ({place})" if counts[label] > 1 else label for place, label in enumerate(labels)]
