"""Multiply-adds of what is made of several matrix products: recurrent layers, attention, Einsum."""

import math
from collections.abc import Mapping

from onnx import AttributeProto, NodeProto

from litevision.cost.graph.shapes import Shapes
from litevision.cost.rows import Shape

# How many matrices the gates of a cell have, each for its input and for its state.
_GATES = {"RNN": 1, "GRU": 3, "LSTM": 4}

NAMES = frozenset({*_GATES, "Attention", "DeformConv", "Einsum"})


def composed_macs(node: NodeProto, shapes: Shapes, *, is_standard: bool) -> int | None:
    """Count the multiply-adds of one of `NAMES`, or of onnxruntime's attention; None where a shape is not known."""
    inputs = [shapes.shape(name) if name else None for name in node.input]
    if not inputs or inputs[0] is None:
        return None
    if node.op_type in _GATES:
        return _recurrent(inputs, _GATES[node.op_type])
    if node.op_type == "Einsum":
        return _einsum(node, inputs)
    if node.op_type == "DeformConv":
        y = shapes.shape(node.output[0])
        w = inputs[1] if len(inputs) > 1 else None
        return None if y is None or w is None else math.prod(y) * math.prod(w[1:])
    if is_standard:
        return _attention(node, inputs)
    return _microsoft_attention(node, inputs)


def _recurrent(inputs: list[Shape | None], gates: int) -> int | None:
    """Of every step for every sequence: the input's product and the state's, gate by gate, in each direction."""
    x, w, r = (*inputs, None, None)[:3]
    if x is None or w is None or r is None or not len(x) == len(w) == len(r) == 3:
        return None
    directions, hidden = r[0], r[2]
    return x[0] * x[1] * directions * gates * hidden * (x[2] + hidden)


def _einsum(node: NodeProto, inputs: list[Shape | None]) -> int | None:
    """Of two factors, one for each value of all letters together; one factor is only summed. More have no one order."""
    equation = next((a.s.decode(errors="replace") for a in node.attribute if a.name == "equation"), "")
    terms = equation.replace(" ", "").partition("->")[0].split(",")
    if len(terms) != len(inputs) or len(terms) > 2 or None in inputs:
        return None
    if len(terms) == 1:
        return 0
    sizes: dict[str, int] = {}
    for term, shape in zip(terms, inputs, strict=True):
        assert shape is not None
        before, dots, after = term.partition("...")
        hidden = len(shape) - len(before) - len(after)
        if hidden < 0 or (hidden and not dots):
            return None
        letters = [*before, *(f".{hidden - i}" for i in range(hidden)), *after]  # dots are aligned at their end
        for letter, length in zip(letters, shape, strict=True):
            sizes[letter] = max(length, sizes.get(letter, 0))
    return math.prod(sizes.values())


def _attention(node: NodeProto, inputs: list[Shape | None]) -> int | None:
    """ONNX's own: queries times keys, and that times values; keys of the past come first."""
    q, k, v = (*inputs, None, None)[:3]
    if q is None or k is None or v is None:
        return None
    numbers = _numbers(node)
    past = inputs[4] if len(inputs) > 4 else None
    if len(q) == 4:
        batch, q_heads, q_len, depth = q
        kv_len, v_depth = k[2], v[3]
    elif len(q) == 3 and numbers.get("q_num_heads") and numbers.get("kv_num_heads"):
        batch, q_len, q_heads = q[0], q[1], numbers["q_num_heads"]
        kv_len, depth, v_depth = k[1], q[2] // q_heads, v[2] // numbers["kv_num_heads"]
    else:
        return None
    kv_len += past[2] if past and len(past) == 4 else 0
    return batch * q_heads * q_len * kv_len * (depth + v_depth)


def _microsoft_attention(node: NodeProto, inputs: list[Shape | None]) -> int | None:
    """``Attention`` projects its input first, to queries, keys and values side by side; ``MultiHeadAttention`` not."""
    x = inputs[0]
    if x is None or len(x) != 3:
        return None
    batch, length, width = x
    if node.op_type == "MultiHeadAttention":
        k, v = (*inputs, None, None)[1:3]
        if k is None or v is None or len(k) != 3 or len(v) != 3:
            return None
        return batch * length * k[1] * (width + v[2])
    w = inputs[1] if len(inputs) > 1 else None
    if w is None or len(w) != 2 or (len(node.input) > 4 and node.input[4]):
        return None
    sizes: tuple[int, ...] = next(
        (tuple(a.ints) for a in node.attribute if a.name == "qkv_hidden_sizes"), (w[1] // 3,) * 3
    )
    return batch * length * width * w[1] + batch * length * length * (sizes[0] + sizes[2])


def _numbers(node: NodeProto) -> Mapping[str, int]:
    return {a.name: a.i for a in node.attribute if a.type == AttributeProto.INT}
