"""ONNX files that differ from a finished bundle: by opset, batch, input, outputs or the precision of their layers."""

from pathlib import Path

import onnx

from litevision.errors import ExportError, UnknownNameError, UsageError, reason_of
from litevision.exporting.append import at_opset
from litevision.exporting.formats import HALF_TOLERANCE, INPUTS, FinishedBundle, Variant
from litevision.exporting.portable import make_portable
from litevision.exporting.surgery import fix_batch, give_maps, read_graph, take_floats, to_half

_TOLERANCE = 1e-4


def write_onnx(bundle: FinishedBundle, unfinished: Path, variant: Variant) -> float:
    """Writes the bundle's graph as ``variant`` says, with the same metadata; arguments as for ``ExportFormat.write``.

    Raises:
        UsageError: a variant that this bundle has not.
        ExportError: the graph cannot be changed so.
    """
    metadata = bundle.metadata
    if variant.batch not in (None, 1):
        raise UsageError(f"batch {variant.batch} cannot be fixed; expected 1, or none for any number of images")
    if variant.raw_heads and not metadata.finds_boxes:
        raise UsageError(f"raw heads are of detectors; this bundle is for {metadata.task}")
    if variant.half and metadata.quantization is not None:
        raise UsageError("half is for float32 weights, and this bundle is in 8 bits; give the one that it was made of")
    if variant.input not in (None, *INPUTS):
        raise UnknownNameError.of("input", variant.input, INPUTS)
    newest = onnx.defs.onnx_opset_version()
    if variant.opset is not None and variant.opset > newest:
        raise UsageError(f"opset {variant.opset} is not known to onnx {onnx.__version__}; expected {newest} at most")
    model = read_graph(bundle.path)
    if variant.input is not None:
        take_floats(model)
    if variant.raw_heads:
        give_maps(model)
    if variant.batch is not None:
        fix_batch(model, variant.batch)
    if variant.half:
        to_half(model)
    [written] = [row.version for row in model.opset_import if row.domain in ("", "ai.onnx")]
    if variant.opset is not None and variant.opset > written:
        make_portable(model)
        model = at_opset(model, variant.opset)
        model.ir_version = onnx.helper.find_min_ir_version_for(model.opset_import)
    else:
        make_portable(model, variant.opset)
    try:
        onnx.checker.check_model(model, full_check=True)
    except onnx.checker.ValidationError as error:
        raise ExportError(f"the changed graph is not valid ONNX: {reason_of(error)}") from None
    unfinished.write_bytes(model.SerializeToString())
    return HALF_TOLERANCE if variant.half else _TOLERANCE
