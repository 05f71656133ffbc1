"""Read what Keras' own description of a model says of its output; the description is JSON, and nothing in it is run."""

import json
from collections.abc import Iterator, Mapping
from typing import Any, Literal

MEMBER = "config.json"
"""The description's name in a ``.keras`` archive; older HDF5 files have it as their attribute ``model_config``."""
MAX_BYTES = 20_000_000
_DEPTH = 8  # models within models


def output_activation(text: str | bytes) -> Literal["softmax", "sigmoid"] | None:
    """Finds the activation of the model's last layer that has one; None where it is another, or the text is no model.

    Args:
        text: JSON as Keras 2 and 3 write it, for a Sequential, functional or subclassed model.
    """
    if len(text) > MAX_BYTES:
        return None
    try:
        found = list(_activations(json.loads(text), _DEPTH))
    except (ValueError, RecursionError):
        return None
    last = found[-1] if found else None
    return "sigmoid" if last == "sigmoid" else "softmax" if last == "softmax" else None


def _activations(model: Any, depth: int) -> Iterator[str]:
    """The activations of a model's layers, in the order of its description, which is that of the computation."""
    config = model.get("config") if isinstance(model, Mapping) else None
    if isinstance(config, list):  # a Sequential of early Keras 2
        config = {"layers": config}
    if not isinstance(config, Mapping) or depth == 0:
        return
    layers = config.get("layers")
    if isinstance(layers, list):
        for layer in layers:
            yield from _activations(layer, depth - 1)
        return
    wrapped = config.get("layer")
    if isinstance(wrapped, Mapping):  # TimeDistributed and other wrappers
        yield from _activations(wrapped, depth - 1)
    name = str(model.get("class_name", ""))
    if name.lower() in ("softmax", "sigmoid"):
        yield name.lower()
    elif "activation" in config:
        activation = config["activation"]
        if isinstance(activation, Mapping):  # a serialised function, or a layer
            inner = activation.get("config")
            activation = inner if isinstance(inner, str) else activation.get("class_name")
        yield str(activation).lower().rpartition(">")[2]
