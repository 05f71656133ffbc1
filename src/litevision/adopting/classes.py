"""Decodings of classifiers: logits, and what a softmax or sigmoid has made of them already."""

from functools import partial

import numpy as np

from litevision.adopting.decoding import Array, Decoding, Fit, MismatchError, Seen, sigmoid
from litevision.exporting.append import NodeAppender, Tensor
from litevision.runtime.engines.base import Outputs
from litevision.runtime.metadata import Activation

_FORM = "[N, classes]"
_SUM_ROUNDING = 5e-3  # float16


def _rows(seen: Seen) -> tuple[str, Array]:
    """The name of the only output, and its numbers, [images, classes]."""
    name = seen.only(_FORM, 2, 4)
    shape = seen.shapes[name]
    if shape[0] != 1 or shape[2:] not in ((), (1, 1)):
        raise MismatchError(f"needs one output {_FORM}")
    rows = np.concatenate([answer[name].reshape(1, -1) for answer in seen.answers])
    if rows.shape[1] < 2:
        raise MismatchError("needs two classes or more; a single number has no class to be compared with")
    if seen.labels not in (None, rows.shape[1]):
        raise MismatchError(f"gives {rows.shape[1]} classes, and there are {seen.labels} labels")
    return name, rows


def _in_unit_interval(rows: Array) -> bool:
    return bool(rows.min() >= 0 and rows.max() <= 1 + _SUM_ROUNDING)


def _match_logits(seen: Seen, activation: Activation) -> Fit:
    name, rows = _rows(seen)
    if _in_unit_interval(rows):
        sums = " and sum to 1: already softmaxed?" if _sum_to_1(rows) else ": already through a sigmoid?"
        raise MismatchError(f"needs numbers of any range; these lie in [0, 1]{sums}")
    return Fit(seen.size_hw, rows.shape[1], {"logits": name}, activation=activation)


def _match_probabilities(seen: Seen) -> Fit:
    name, rows = _rows(seen)
    if not _in_unit_interval(rows):
        raise MismatchError(f"needs numbers in [0, 1]; these are {rows.min():.3g} to {rows.max():.3g}: logits?")
    activation: Activation = "softmax" if _sum_to_1(rows) else "sigmoid"
    return Fit(seen.size_hw, rows.shape[1], {"probabilities": name}, activation=activation)


def _sum_to_1(rows: Array) -> bool:
    return bool(np.abs(rows.sum(1) - 1).max() <= _SUM_ROUNDING)


def _flat(nodes: NodeAppender, fit: Fit) -> Tensor:
    (name,) = fit.outputs.values()
    return nodes.op("Reshape", nodes.as_float(name), nodes.integers([-1, fit.classes]))


def _softmax(nodes: NodeAppender, fit: Fit) -> tuple[Tensor, ...]:
    return (nodes.op("Softmax", _flat(nodes, fit), axis=1),)


def _sigmoid(nodes: NodeAppender, fit: Fit) -> tuple[Tensor, ...]:
    return (nodes.op("Sigmoid", _flat(nodes, fit)),)


def _as_they_are(nodes: NodeAppender, fit: Fit) -> tuple[Tensor, ...]:
    return (_flat(nodes, fit),)


def _plain_flat(outputs: Outputs, fit: Fit) -> Array:
    (name,) = fit.outputs.values()
    return outputs[name].astype(np.float64).reshape(-1, fit.classes)


def _plain_softmax(outputs: Outputs, fit: Fit) -> tuple[Array, ...]:
    powers = np.exp((rows := _plain_flat(outputs, fit)) - rows.max(1, keepdims=True))
    return (powers / powers.sum(1, keepdims=True),)


def _plain_sigmoid(outputs: Outputs, fit: Fit) -> tuple[Array, ...]:
    return (sigmoid(_plain_flat(outputs, fit)),)


def _plain_as_they_are(outputs: Outputs, fit: Fit) -> tuple[Array, ...]:
    return (_plain_flat(outputs, fit),)


DECODINGS = (
    Decoding(
        "softmax",
        "classification",
        "logits [N, classes], of any range; an image shows one class",
        partial(_match_logits, activation="softmax"),
        _softmax,
        _plain_softmax,
    ),
    Decoding(
        "sigmoid",
        "classification",
        "logits [N, classes], of any range; each class has a probability of its own",
        partial(_match_logits, activation="sigmoid"),
        _sigmoid,
        _plain_sigmoid,
        is_stated=True,
    ),
    Decoding(
        "probabilities",
        "classification",
        "numbers [N, classes] in [0, 1], after a softmax or sigmoid inside the file",
        _match_probabilities,
        _as_they_are,
        _plain_as_they_are,
    ),
)
