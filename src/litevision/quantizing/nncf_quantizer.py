"""The quantiser: NNCF's post-training quantisation on ONNX graphs, quiet and without its telemetry."""

import contextlib
import io
import random
import sys
import warnings
from collections.abc import Collection, Iterator
from typing import Any, Literal, NamedTuple, get_args

import numpy as np
import numpy.typing as npt
import onnx
from onnx import numpy_helper

from litevision.console import note
from litevision.errors import ExportError, MissingExtraError, reason_of
from litevision.quantizing.graph import round_before_hard_swish, store_in_eight_bits
from litevision.quantizing.noise import output_noise

Ranges = Literal["mean", "extreme"]
"""What an activation's 8 bits reach over: the means of each image's least and greatest values, or those of all images.

Neither is better for all: of the answers of a MobileNetV2 for ImageNet 96.3 % stayed with means and 92.3 % with
extremes, and of a MobileNetV3-Small 0.5's 97.0 % and 99.2 %.
"""

_CHOOSING = 64  # images that choose the ranges
_QUIET = 60  # above logging.CRITICAL
_HIDDEN = ("openvino_telemetry", "torch", "openvino")


class Quantised(NamedTuple):
    """A graph in 8 bits, and how it was made.

    Attributes:
        model: the graph.
        ranges: of its activations.
        correction: of its biases.
    """

    model: onnx.ModelProto
    ranges: Ranges
    correction: Literal["full", "fast"]


def quantise_best(
    model: onnx.ModelProto,
    images_u8_nhwc: npt.NDArray[np.uint8],
    *,
    fast_bias_correction: bool,
    for_openvino: bool = False,
    **options: Any,
) -> Quantised:
    """Quantises with each kind of ranges, and takes the one whose last layers stay nearest to ``model``'s.

    Where the full correction of biases cannot take the graph, as of necks whose maps go several ways, the fast one is
    taken, and it is said. Arguments and errors as for `quantise`; the images that calibrate also choose.

    Args:
        for_openvino: leaves out what other engines need to compute layers before a HardSwish in 8 bits.
    """
    fast, made = fast_bias_correction, list[Quantised]()
    for ranges in get_args(Ranges):
        try:
            found = quantise(model, images_u8_nhwc, fast_bias_correction=fast, ranges=ranges, **options)
        except ExportError as error:
            if fast:
                raise
            note(f"{error}; the fast one is taken")
            fast = True
            found = quantise(model, images_u8_nhwc, fast_bias_correction=fast, ranges=ranges, **options)
        if not for_openvino:
            found = round_before_hard_swish(found, images_u8_nhwc[:_CHOOSING])
        made.append(Quantised(found, ranges, "fast" if fast else "full"))
    return min(made, key=lambda one: output_noise(model, one.model, images_u8_nhwc[:_CHOOSING]))


def quantise(
    model: onnx.ModelProto,
    images_u8_nhwc: npt.NDArray[np.uint8],
    *,
    in_float: Collection[str],
    fast_bias_correction: bool,
    seven_bits: bool,
    seed: int,
    ranges: Ranges = "mean",
) -> onnx.ModelProto:
    """Returns ``model`` with int8 weights (one scale a channel) and 8-bit activations, as QuantizeLinear pairs.

    Layers that compute in float all the same, as those of squeeze-and-excitation do, have int8 weights, too.

    Args:
        model: the graph, which takes ``images``; it is not changed.
        images_u8_nhwc: what it is calibrated on, preprocessed.
        in_float: the names of nodes that are left alone.
        fast_bias_correction: estimates the shift that rounding gives each layer from means, instead of measuring it
            layer by layer; up to a point fewer answers stay.
        seven_bits: halves the range of the weights, so that sums of products of 8 bits cannot overflow the 16 bits in
            which CPUs without VNNI add them up.
        seed: of whatever the quantiser draws.
        ranges: of the activations.

    Raises:
        MissingExtraError: nncf is not installed.
        ExportError: nncf cannot take the graph.
    """
    nncf = import_nncf()
    from nncf.quantization.advanced_parameters import QuantizationParameters
    from nncf.quantization.range_estimator import RangeEstimatorParametersSet

    advanced = nncf.AdvancedQuantizationParameters(
        # One scale for a whole map: onnxruntime computes no layer in 8 bits whose input has one for each channel.
        activations_quantization_params=QuantizationParameters(per_channel=False),
        activations_range_estimator_params={
            "mean": RangeEstimatorParametersSet.MEAN_MINMAX,
            "extreme": RangeEstimatorParametersSet.MINMAX,
        }[ranges],
        overflow_fix=nncf.OverflowFix.ENABLE if seven_bits else nncf.OverflowFix.DISABLE,
    )
    random.seed(seed)
    with _alone(), _quiet(nncf), _seeded(seed):
        try:
            made: onnx.ModelProto = nncf.quantize(
                model,
                nncf.Dataset(list(images_u8_nhwc), lambda image: {"images": image[None]}),
                preset=nncf.QuantizationPreset.MIXED,
                subset_size=len(images_u8_nhwc),
                fast_bias_correction=fast_bias_correction,
                ignored_scope=nncf.IgnoredScope(names=list(in_float), validate=False),
                advanced_parameters=advanced,
            )
        except Exception as error:  # its errors and onnx's share no base class
            with_what = "fast" if fast_bias_correction else "full"
            raise ExportError(
                f"nncf {nncf.__version__} cannot quantise this graph with {with_what} bias correction "
                f"({reason_of(error)})"
            ) from error
    return store_in_eight_bits(_with_unsigned_activations(made))


def _with_unsigned_activations(model: onnx.ModelProto) -> onnx.ModelProto:
    """Moves signed activations by 128, which changes no value.

    onnxruntime computes a layer in 8 bits only where its input and output are of one type; NNCF takes unsigned numbers
    behind a ReLU and signed ones elsewhere.
    """
    zeros = {node.input[2] for node in model.graph.node if node.op_type == "QuantizeLinear"}
    for tensor in model.graph.initializer:
        if tensor.name in zeros and tensor.data_type == onnx.TensorProto.INT8:
            moved = (numpy_helper.to_array(tensor).astype(np.int16) + 128).astype(np.uint8)
            tensor.CopyFrom(numpy_helper.from_array(moved, tensor.name))
    del model.graph.value_info[:]  # which says that they are signed
    return model


def import_nncf() -> Any:
    """Imports the package ``nncf`` without its telemetry, which it sends unless ``openvino_telemetry`` is not there.

    Raises:
        MissingExtraError: it is not installed.
    """
    try:
        with _alone(), warnings.catch_warnings():
            warnings.simplefilter("ignore")
            import nncf
    except ImportError:
        raise MissingExtraError.of("litevision quantize", "int8") from None
    return nncf


@contextlib.contextmanager
def _alone() -> Iterator[None]:
    """Hides packages that are not imported yet: the telemetry, and frameworks that NNCF would load and not use."""
    hidden = [name for name in _HIDDEN if name not in sys.modules]
    sys.modules.update(dict.fromkeys(hidden))  # type: ignore[arg-type]  # None: Python's sign for "cannot be imported"
    try:
        yield
    finally:
        for name in hidden:
            sys.modules.pop(name, None)


@contextlib.contextmanager
def _quiet(nncf: Any) -> Iterator[None]:
    nncf.set_log_level(_QUIET)
    with warnings.catch_warnings(), contextlib.redirect_stdout(io.StringIO()):
        warnings.simplefilter("ignore")
        yield


@contextlib.contextmanager
def _seeded(seed: int) -> Iterator[None]:
    state = np.random.get_state()  # noqa: NPY002  # nncf draws from the global generator
    np.random.seed(seed)  # noqa: NPY002
    try:
        yield
    finally:
        np.random.set_state(state)  # noqa: NPY002
