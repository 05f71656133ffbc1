"""A server of two tiny models, in this process."""

import importlib.util
import io
from collections.abc import Callable, Iterator
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
import pytest
from PIL import Image
from starlette.testclient import TestClient

from bundles import write_bundle
from detectors import write_detector
from images import encoded
from litevision.image import Limits
from litevision.serving.app import application
from litevision.serving.batcher import Batcher
from litevision.serving.gate import State
from litevision.serving.metrics import Metrics
from litevision.serving.served import ServedModel, open_models
from litevision.serving.settings import Settings

ROOT = Path(__file__).parents[3]


@pytest.fixture(scope="session")
def served(tmp_path_factory: pytest.TempPathFactory) -> dict[str, ServedModel]:
    """``colour``, which names the mean colour, and ``boxes``, which finds red and blue."""
    folder = tmp_path_factory.mktemp("served")
    paths = [write_bundle(folder / "colour.onnx"), write_detector(folder / "boxes.onnx")]
    return open_models(
        [str(path) for path in paths],
        limits=Limits(max_pixels=1_000_000),
        engine="onnxruntime",
        precision=None,
        device="cpu",
        streams=1,
    )


class Served:
    """A server in this process, its state, and a client of it."""

    def __init__(self, models: dict[str, ServedModel], settings: Settings) -> None:
        metrics = Metrics()
        self.batcher = Batcher(
            workers=1,
            max_batch=settings.max_batch,
            max_wait_s=settings.max_wait_s,
            max_queue=settings.max_queue,
            observer=metrics,
        )
        self.log = io.StringIO()
        self.state = State(models, settings, self.batcher, metrics)
        self.app: Any = application(self.state, self.log)
        self.client = TestClient(self.app)


@pytest.fixture
def serving(served: dict[str, ServedModel]) -> Iterator[Callable[..., Served]]:
    """Makes servers by their settings."""
    made: list[Served] = []

    def make(**settings: Any) -> Served:
        made.append(Served(served, Settings(**settings)))
        return made[-1]

    yield make
    for one in made:
        one.batcher.close(1)


@pytest.fixture
def client(serving: Callable[..., Served]) -> TestClient:
    """A client of a server with limits that tests reach quickly."""
    return serving(max_body_bytes=100_000, max_images=3).client


@pytest.fixture(scope="session")
def red() -> bytes:
    """A red JPEG."""
    return encoded(Image.new("RGB", (40, 30), (255, 0, 0)), "JPEG")


@pytest.fixture(scope="session")
def two_boxes() -> bytes:
    """A red and a blue square on black."""
    pixels = np.zeros((64, 64, 3), np.uint8)
    pixels[8:24, 8:24] = (255, 0, 0)
    pixels[40:56, 30:60] = (0, 0, 255)
    return encoded(pixels)


@pytest.fixture(scope="session")
def malformed() -> ModuleType:
    """benchmarks/_malformed.py."""
    spec = importlib.util.spec_from_file_location("malformed", ROOT / "benchmarks/_malformed.py")
    assert spec
    assert spec.loader
    module = importlib.util.module_from_spec(spec)
    import sys

    sys.modules["malformed"] = module  # dataclasses look it up
    spec.loader.exec_module(module)
    return module
