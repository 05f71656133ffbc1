"""Exports of short networks, made once for all tests that look at them."""

import functools
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import torch
from numpy.typing import NDArray

from litevision.exporting.bundle import export_bundle
from litevision.exporting.graph import to_onnx
from litevision.image import Preprocess
from litevision.models import Network
from litevision.models.kinds import AnyNetwork
from litevision.runtime import BundleMetadata, Weights
from litevision.runtime.metadata import NORMALISATIONS
from litevision.tasks.classification.export import RawToProbabilities
from networks import short

LABELS = tuple(f"thing {i}" for i in range(10))
IMAGENET = NORMALISATIONS["imagenet"]
ODD_HW = (65, 98)
"""The size at which every form is exported; tests that can take any take this one, whose graph is there then."""
WEIGHTS = Weights("short.test", "tests", "Apache-2.0", "0" * 64)


def export(network: AnyNetwork, path: Path, size_hw: tuple[int, int] = (64, 64), **changes: Any) -> BundleMetadata:
    """``export_bundle`` with everything that it asks for; ``changes`` replace some of it."""
    arguments = {
        "labels": LABELS,
        "preprocess": Preprocess(size_hw, max(size_hw)),
        "normalisation": IMAGENET,
        "weights": WEIGHTS,
        "training_data": "nothing",
        **changes,
    }
    return export_bundle(network, path, **arguments)


@functools.cache
def graph(name: str, dialect: str, size_hw: tuple[int, int]) -> onnx.ModelProto:
    """The graph of the short network."""
    return to_onnx(short(name, dialect), IMAGENET, size_hw)


def probabilities(network: Network, batch_u8_nhwc: NDArray[np.uint8]) -> NDArray[np.float32]:
    """What torch answers to raw images, normalised as ``export`` does."""
    with torch.inference_mode():
        answers: NDArray[np.float32] = RawToProbabilities(network, IMAGENET)(torch.from_numpy(batch_u8_nhwc)).numpy()
    return answers
