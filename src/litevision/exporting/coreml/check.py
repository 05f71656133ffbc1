"""The check of a Core ML package away from Apple's systems: its file is read back, and computed in onnxruntime.

Core ML itself runs on macOS and iOS alone. Elsewhere the package is read as it lies on the disk, its program with the
weights of ``weight.bin``, and each of its operators is computed by the ONNX operator that its documentation describes.
That finds what a conversion can do wrong, weights, axes, paddings, the order of steps, and nothing of Core ML's own
arithmetic, which the check's name says: "not run in Core ML".
"""

from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import onnx
from onnx import TensorProto, helper, numpy_helper

from litevision.errors import ExportError
from litevision.exporting.coreml.write import INPUT, PROBABILITIES, quiet
from litevision.runtime.engines import engine_choice
from litevision.runtime.engines.onnxruntime_engine import OnnxruntimeEngine

_OPSET = 17
_WEIGHTS = "Data/com.apple.CoreML/weights"
_TYPES = {"fp32": TensorProto.FLOAT, "fp16": TensorProto.FLOAT16, "int32": TensorProto.INT32, "bool": TensorProto.BOOL}

Op = Any
"""An operation of the program: its ``op_type``, ``inputs`` by name and ``outputs``."""


def open_package(path: Path) -> OnnxruntimeEngine:
    """Opens a package as an engine that takes and gives what the bundle does.

    Raises:
        ExportError: the package holds an operation that is not known here, or two tensors of one name.
    """
    with quiet():
        import coremltools as ct
        from coremltools.converters.mil.frontend.milproto.load import load

        spec = ct.utils.load_spec(str(path))
        _check_names(spec)
        program = load(spec, spec.specificationVersion, str(path / _WEIGHTS))
        data = _Reading(program.functions["main"]).model().SerializeToString()
    engine = OnnxruntimeEngine(data, engine_choice("onnxruntime", threads=1), name=str(path))
    engine.version = f"{engine.version} (coremltools {ct.__version__}; not run in Core ML)"
    return engine


def _check_names(spec: Any) -> None:
    [block] = spec.mlProgram.functions["main"].block_specializations.values()
    names = [one.name for op in block.operations for one in op.outputs]
    if twice := {name for name in names if names.count(name) > 1}:
        raise ExportError(f"the package holds two tensors {min(twice)!r}, which Core ML refuses")


class _Reading:
    """The ONNX graph of a program, from ``image``, uint8 [1, H, W, 3], to what the program gives but class labels."""

    def __init__(self, function: Any) -> None:
        self._function = function
        self._nodes: list[onnx.NodeProto] = []
        self._constants: dict[str, onnx.TensorProto] = {}

    def model(self) -> onnx.ModelProto:
        [image] = self._function.inputs.values()
        _, channels, height, width = image.shape
        self.add("Transpose", [INPUT], f"{INPUT}/maps", perm=[0, 3, 1, 2])
        self.add("Cast", [f"{INPUT}/maps"], f"{INPUT}/floats", to=TensorProto.FLOAT)
        answers = {var.name: var for var in self._function.outputs}
        for op in self._function.operations:
            if op.op_type == "classify":  # a dictionary of what is given here as an array
                answers = {PROBABILITIES: op.inputs["probabilities"]}
            elif op.op_type != "const":
                if op.op_type not in _OPERATORS:
                    raise ExportError(f"the package holds {op.op_type}, which the check cannot compute")
                _OPERATORS[op.op_type](self, op)
        outputs = []
        for name, var in answers.items():
            if name != var.name:
                self.add("Identity", [var.name], name)
            outputs.append(helper.make_tensor_value_info(name, _type_of(var), list(var.shape)))
        taken = helper.make_tensor_value_info(INPUT, TensorProto.UINT8, [1, height, width, channels])
        graph = helper.make_graph(self._nodes, INPUT, [taken], outputs, list(self._constants.values()))
        opset = helper.make_opsetid("", _OPSET)
        return helper.make_model(graph, opset_imports=[opset], ir_version=8)

    def add(self, operator: str, inputs: Sequence[str], *outputs: str, **attributes: Any) -> None:
        self._nodes.append(helper.make_node(operator, inputs, list(outputs), **attributes))

    def constant(self, value: npt.NDArray[Any]) -> str:
        name = f"constant{len(self._constants)}"
        self._constants[name] = numpy_helper.from_array(np.asarray(value, order="C"), name)
        return name

    def name(self, var: Any) -> str:
        """The ONNX tensor of a variable; one that is fixed becomes a constant."""
        if var.val is None:
            return f"{INPUT}/floats" if var.name == INPUT else str(var.name)
        value = np.asarray(var.val)
        return self.constant(value.astype(np.int32) if value.dtype == np.int64 else value)


def _value(op: Op, name: str, default: Any = None) -> Any:
    given = op.inputs.get(name)
    if given is None or given.val is None:
        return default
    return given.val.tolist() if isinstance(given.val, np.ndarray | np.generic) else given.val


def _type_of(var: Any) -> int:
    from coremltools.converters.mil.mil import types

    return _TYPES[types.builtin_to_string(var.dtype)]


def _plain(operator: str, names: Sequence[str], g: _Reading, op: Op, **attributes: Any) -> None:
    """An operator of the tensors that the operation has under these names."""
    g.add(operator, [g.name(op.inputs[name]) for name in names], op.outputs[0].name, **attributes)


def _pads(op: Op) -> list[int]:
    """The padding as ONNX lists it; of the kinds, "custom" and "valid" are written."""
    axes = len(op.inputs["x"].shape) - 2
    kind = _value(op, "pad_type", "valid")
    if kind not in ("custom", "valid"):
        raise ExportError(f"the package holds a padding of kind {kind}, which the check cannot compute")
    pads = _value(op, "pad", [0] * 2 * axes) if kind == "custom" else [0] * 2 * axes
    return [*pads[::2], *pads[1::2]]


def _conv(operator: str, g: _Reading, op: Op) -> None:
    inputs = [g.name(op.inputs[name]) for name in ("x", "weight", "bias") if op.inputs.get(name) is not None]
    given: dict[str, Any] = {
        "strides": _value(op, "strides", [1, 1]),
        "dilations": _value(op, "dilations", [1, 1]),
        "group": _value(op, "groups", 1),
        "pads": _pads(op),
    }
    if operator == "ConvTranspose":
        [before, after] = ([*one.shape[2:]] for one in (op.inputs["x"], op.outputs[0]))
        sides = zip(before, after, op.inputs["weight"].shape[2:], given["strides"], given["pads"][:2], strict=False)
        ends = given["pads"][2:]
        given["output_padding"] = [
            b - ((a - 1) * stride + kernel - start - end)
            for (a, b, kernel, stride, start), end in zip(sides, ends, strict=True)
        ]
    g.add(operator, inputs, op.outputs[0].name, **given)


def _linear(g: _Reading, op: Op) -> None:
    inputs = [g.name(op.inputs[name]) for name in ("x", "weight", "bias") if op.inputs.get(name) is not None]
    if len(op.inputs["x"].shape) == 2:
        g.add("Gemm", inputs, op.outputs[0].name, transB=1)
        return
    x, _, *bias = inputs
    product = f"{op.outputs[0].name}/product" if bias else op.outputs[0].name
    g.add("MatMul", [x, g.constant(op.inputs["weight"].val.T)], product)
    if bias:
        g.add("Add", [product, *bias], op.outputs[0].name)


def _pool(operator: str, g: _Reading, op: Op) -> None:
    given = {"kernel_shape": _value(op, "kernel_sizes"), "strides": _value(op, "strides"), "pads": _pads(op)}
    given["ceil_mode"] = int(_value(op, "ceil_mode", False))
    if operator == "AveragePool":
        given["count_include_pad"] = int(not _value(op, "exclude_padding_from_average", False))
    g.add(operator, [g.name(op.inputs["x"])], op.outputs[0].name, **given)


def _upsample(mode: str, g: _Reading, op: Op) -> None:
    factors = [1.0, 1.0, *(float(_value(op, f"scale_factor_{side}", 1)) for side in ("height", "width"))]
    corners = bool(_value(op, "align_corners", False))
    place = "align_corners" if corners else "half_pixel" if mode == "linear" else "asymmetric"
    scales = g.constant(np.array(factors, np.float32))
    options = {"coordinate_transformation_mode": place, "mode": mode, "nearest_mode": "floor"}
    g.add("Resize", [g.name(op.inputs["x"]), "", scales], op.outputs[0].name, **options)


def _reduce(operator: str, g: _Reading, op: Op) -> None:
    axes, keep = _value(op, "axes"), int(_value(op, "keep_dims", False))
    x, out = g.name(op.inputs["x"]), op.outputs[0].name
    if operator == "ReduceSum":  # whose axes have been an input since opset 13
        g.add(operator, [x, g.constant(np.array(axes, np.int64))], out, keepdims=keep)
    else:
        g.add(operator, [x], out, axes=axes, keepdims=keep)


def _clip(g: _Reading, op: Op) -> None:
    dtype = np.float16 if _type_of(op.outputs[0]) == TensorProto.FLOAT16 else np.float32
    limits = [g.constant(np.array(_value(op, name, default), dtype)) for name, default in (("alpha", 0), ("beta", 6))]
    g.add("Clip", [g.name(op.inputs["x"]), *limits], op.outputs[0].name)


def _cast(g: _Reading, op: Op) -> None:
    g.add("Cast", [g.name(op.inputs["x"])], op.outputs[0].name, to=_type_of(op.outputs[0]))


def _shaped(operator: str, key: str, g: _Reading, op: Op) -> None:
    """An operator whose second input is a list of whole numbers."""
    wanted = op.outputs[0].shape if key == "shape" else _value(op, key)
    g.add(operator, [g.name(op.inputs["x"]), g.constant(np.array(wanted, np.int64))], op.outputs[0].name)


def _concat(g: _Reading, op: Op) -> None:
    inputs, axis, [out] = [g.name(one) for one in op.inputs["values"]], _value(op, "axis"), op.outputs
    if not _value(op, "interleave", False):
        g.add("Concat", inputs, out.name, axis=axis)
        return
    axis %= len(out.shape)  # one of each in turn, which coremltools makes of a channel shuffle
    behind = g.constant(np.array([axis + 1], np.int64))
    for place, each in enumerate(inputs):
        g.add("Unsqueeze", [each, behind], f"{out.name}/{place}")
    g.add("Concat", [f"{out.name}/{place}" for place in range(len(inputs))], f"{out.name}/pairs", axis=axis + 1)
    g.add("Reshape", [f"{out.name}/pairs", g.constant(np.array(out.shape, np.int64))], out.name)


def _split(g: _Reading, op: Op) -> None:
    axis = _value(op, "axis")
    sizes = g.constant(np.array([one.shape[axis] for one in op.outputs], np.int64))
    g.add("Split", [g.name(op.inputs["x"]), sizes], *(one.name for one in op.outputs), axis=axis)


def _slice(g: _Reading, op: Op) -> None:
    begin, size = np.array(_value(op, "begin"), np.int64), np.array(op.outputs[0].shape, np.int64)
    axes = np.arange(len(size), dtype=np.int64)
    places = [g.constant(each) for each in (begin, begin + size, axes)]
    g.add("Slice", [g.name(op.inputs["x"]), *places], op.outputs[0].name)


def _strided_slice(g: _Reading, op: Op) -> None:
    places = [g.constant(np.array(_value(op, name), np.int64)) for name in ("begin", "end")]
    rank = len(op.inputs["x"].shape)
    stride = g.constant(np.array(_value(op, "stride", [1] * rank), np.int64))
    axes = g.constant(np.arange(rank, dtype=np.int64))
    g.add("Slice", [g.name(op.inputs["x"]), *places, axes, stride], op.outputs[0].name)


def _pad(g: _Reading, op: Op) -> None:
    pads = _value(op, "pad")
    both = g.constant(np.array([*pads[::2], *pads[1::2]], np.int64))
    fill = g.constant(np.array(_value(op, "constant_val", 0.0), np.asarray(0, _numpy(op.inputs["x"])).dtype))
    g.add("Pad", [g.name(op.inputs["x"]), both, fill], op.outputs[0].name)


def _numpy(var: Any) -> Any:
    return helper.tensor_dtype_to_np_dtype(_type_of(var))


def _top_k(g: _Reading, op: Op) -> None:
    values, places = (one.name for one in op.outputs)
    count = g.constant(np.array([_value(op, "k")], np.int64))
    options = {"axis": _value(op, "axis", -1), "largest": int(not _value(op, "ascending", False))}
    g.add("TopK", [g.name(op.inputs["x"]), count], values, f"{places}/long", **options)
    g.add("Cast", [f"{places}/long"], places, to=TensorProto.INT32)


def _gather(operator: str, g: _Reading, op: Op) -> None:
    axis = _value(op, "axis", 0)
    g.add(operator, [g.name(op.inputs["x"]), g.name(op.inputs["indices"])], op.outputs[0].name, axis=axis)


def _batch_norm(g: _Reading, op: Op) -> None:
    ones = np.ones(op.inputs["mean"].shape, _numpy(op.inputs["mean"]))
    scale, shift = (
        g.name(op.inputs[name]) if op.inputs.get(name) is not None else g.constant(default)
        for name, default in (("gamma", ones), ("beta", 0 * ones))
    )
    inputs = [g.name(op.inputs["x"]), scale, shift, g.name(op.inputs["mean"]), g.name(op.inputs["variance"])]
    g.add("BatchNormalization", inputs, op.outputs[0].name, epsilon=float(_value(op, "epsilon", 1e-5)))


def _silu(g: _Reading, op: Op) -> None:
    x, out = g.name(op.inputs["x"]), op.outputs[0].name
    g.add("Sigmoid", [x], f"{out}/gate")
    g.add("Mul", [x, f"{out}/gate"], out)


def _with_numbers(operator: str, names: Sequence[str], g: _Reading, op: Op) -> None:
    """An operator of ``x`` whose numbers are attributes of the same names."""
    numbers = {name: _value(op, name) for name in names}
    _plain(operator, "x", g, op, **{name: value for name, value in numbers.items() if value is not None})


_OPERATORS: dict[str, Callable[[_Reading, Op], None]] = {
    "conv": partial(_conv, "Conv"),
    "conv_transpose": partial(_conv, "ConvTranspose"),
    "linear": _linear,
    "batch_norm": _batch_norm,
    "max_pool": partial(_pool, "MaxPool"),
    "avg_pool": partial(_pool, "AveragePool"),
    "upsample_nearest_neighbor": partial(_upsample, "nearest"),
    "upsample_bilinear": partial(_upsample, "linear"),
    "reduce_mean": partial(_reduce, "ReduceMean"),
    "reduce_sum": partial(_reduce, "ReduceSum"),
    "relu": partial(_plain, "Relu", "x"),
    "silu": _silu,
    "relu6": _clip,
    "clip": _clip,
    "leaky_relu": partial(_with_numbers, "LeakyRelu", ["alpha"]),
    "sigmoid_hard": partial(_with_numbers, "HardSigmoid", ["alpha", "beta"]),
    "softmax": partial(_with_numbers, "Softmax", ["axis"]),
    "transpose": partial(_with_numbers, "Transpose", ["perm"]),
    "sigmoid": partial(_plain, "Sigmoid", "x"),
    "exp": partial(_plain, "Exp", "x"),
    "sqrt": partial(_plain, "Sqrt", "x"),
    "logical_not": partial(_plain, "Not", "x"),
    "identity": partial(_plain, "Identity", "x"),
    "add": partial(_plain, "Add", "xy"),
    "sub": partial(_plain, "Sub", "xy"),
    "mul": partial(_plain, "Mul", "xy"),
    "real_div": partial(_plain, "Div", "xy"),
    "floor_div": partial(_plain, "Div", "xy"),  # of numbers that are not below 0
    "mod": partial(_plain, "Mod", "xy"),
    "maximum": partial(_plain, "Max", "xy"),
    "minimum": partial(_plain, "Min", "xy"),
    "equal": partial(_plain, "Equal", "xy"),
    "less": partial(_plain, "Less", "xy"),
    "greater": partial(_plain, "Greater", "xy"),
    "logical_xor": partial(_plain, "Xor", "xy"),
    "logical_and": partial(_plain, "And", "xy"),
    "select": partial(_plain, "Where", ("cond", "a", "b")),
    "cast": _cast,
    "reshape": partial(_shaped, "Reshape", "shape"),
    "squeeze": partial(_shaped, "Reshape", "shape"),
    "expand_dims": partial(_shaped, "Reshape", "shape"),
    "tile": partial(_shaped, "Tile", "reps"),
    "concat": _concat,
    "split": _split,
    "slice_by_size": _slice,
    "slice_by_index": _strided_slice,
    "pad": _pad,
    "topk": _top_k,
    "gather": partial(_gather, "Gather"),
    "gather_along_axis": partial(_gather, "GatherElements"),
}
"""By the operation's type."""
