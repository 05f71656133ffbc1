"""Tiny bundles: softmax of ten times the mean colour of the image, so that a red image is class 0."""

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

LABELS = ("red", "green", "blue")


def plain_metadata(labels: Sequence[str] = LABELS, size_hw: tuple[int, int] = (8, 8)) -> dict[str, Any]:
    return {
        "format_version": 1,
        "task": "classification",
        "labels": list(labels),
        "preprocess": {"size_hw": list(size_hw), "resize_px": 8, "crop": "center", "interpolation": "bilinear"},
        "normalisation": {"mean": [0.0, 0.0, 0.0], "std": [0.1, 0.1, 0.1]},
        "architecture": {"name": "mean", "dialect": "test", "width_mult": 1.0, "num_classes": len(labels)},
        "weights": {"name": "mean.test", "provenance": "tests", "licence": "Apache-2.0", "sha256": "0" * 64},
        "training_data": "none",
        "score": None,
        "check": {"engine": "none", "images": 0, "max_abs_diff": 0.0, "top1_agreement": 1.0},
    }


def model(
    *,
    metadata: dict[str, Any] | str | None = None,
    num_classes: int = 3,
    size_hw: tuple[int, int] = (8, 8),
    batch: int | str = "N",
    input_name: str = "images",
    output_name: str = "probabilities",
    gain: float = 10.0,
) -> onnx.ModelProto:
    weight = np.zeros((3, num_classes), np.float32)
    np.fill_diagonal(weight, gain / 255)
    graph = helper.make_graph(
        [
            helper.make_node("Cast", [input_name], ["pixels"], to=TensorProto.FLOAT),
            helper.make_node("ReduceMean", ["pixels", "axes"], ["colour"], keepdims=0),
            helper.make_node("MatMul", ["colour", "weight"], ["logits"]),
            helper.make_node("Softmax", ["logits"], [output_name], axis=1),
        ],
        "mean_colour",
        [helper.make_tensor_value_info(input_name, TensorProto.UINT8, [batch, *size_hw, 3])],
        [helper.make_tensor_value_info(output_name, TensorProto.FLOAT, [batch, num_classes])],
        [numpy_helper.from_array(np.array([1, 2]), "axes"), numpy_helper.from_array(weight, "weight")],
    )
    made = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 18)], ir_version=10)
    if metadata is not None:
        text = metadata if isinstance(metadata, str) else json.dumps(metadata)
        helper.set_model_props(made, {"author": "tests", "litevision": text})
    return made


def write_bundle(
    path: Path, *, labels: Sequence[str] = LABELS, size_hw: tuple[int, int] = (8, 8), **kinds: Any
) -> Path:
    """A bundle at ``path``; ``kinds`` are arguments of `model`, and ``metadata`` replaces the right one."""
    kinds = {"metadata": plain_metadata(labels, size_hw), "num_classes": len(labels), "size_hw": size_hw, **kinds}
    onnx.save(model(**kinds), path)
    return path
