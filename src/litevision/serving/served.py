"""A model as it is served: its name, what it says of itself, and its answers as JSON or drawn."""

import io
import re
from abc import ABC, abstractmethod
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from litevision.errors import ImageTooLargeError, LitevisionError, UsageError, unexpected_image_error
from litevision.hub import find_bundle, load, model_name
from litevision.image import Limits
from litevision.image.decode import OpenedImage, opening
from litevision.runtime import Predictor
from litevision.runtime.results import made_by
from litevision.runtime.schema import to_dict
from litevision.serving.batcher import Lane, Outcome

MOST_DRAWN_PIXELS = 25_000_000
"""Of an image that is drawn on: it is copied whole, and written as PNG."""

DEFAULT_TOP = 5
_NAMED = re.compile(r"([A-Za-z0-9][\w.-]*)=(.+)", re.ASCII)


@dataclass(frozen=True)
class Wanted:
    """What a request asks of an answer.

    Attributes:
        top: the most classes, or objects, of an image; None for 5 classes, or all objects.
        score: the least score of each, in [0, 1]; None for the model's own thresholds.
    """

    top: int | None = None
    score: float | None = None


class ServedModel(ABC):
    """A model that is served.

    Attributes:
        name: what clients call it.
        predictor: the opened model.
        images: where images become predictions.
        tensors: where rows of uint8 tensors become the graph's own outputs.
        drawings: where images are drawn on.
    """

    def __init__(self, name: str, predictor: Predictor[Any], limits: Limits) -> None:
        self.name = name
        self.predictor = predictor
        self.made_by = made_by(predictor.bundle)
        self._limits = limits
        inference = self._inference()
        self.images = Lane(name, partial(self._decode, inference.preprocess), self._infer)
        self.tensors = Lane(name, _same, self._run_rows)
        self.drawings = Lane(name, self._draw, None)

    @abstractmethod
    def _inference(self) -> Any:
        """The steps from images to all that the model can say of them."""

    @abstractmethod
    def narrow(self, found: Any, wanted: Wanted) -> Any:
        """Keep of all that was found what a request asks for."""

    @abstractmethod
    def to_dict(self, found: Any) -> dict[str, Any]:
        """The plain values of an answer, as in the command's JSON."""

    def totals(self, found: Iterable[Any]) -> dict[str, Any]:
        """What a document says at its end, of all answers."""
        return {}

    def summary(self) -> dict[str, Any]:
        """What a list of models says of this one."""
        metadata = self.predictor.bundle.metadata
        return {
            "name": self.name,
            "task": metadata.task,
            "classes": len(metadata.labels),
            "size_hw": list(metadata.preprocess.size_hw),
            "licence": metadata.weights.licence,
        }

    def facts(self) -> dict[str, Any]:
        """All that the model says of itself; names of files without their folders."""
        metadata = self.predictor.bundle.metadata
        plain = to_dict(metadata)
        plain["weights"]["name"] = Path(plain["weights"]["name"]).name
        return {**self.summary(), **_bare(plain), **self.made_by, "has_card": self.predictor.bundle.card is not None}

    def document(self, names: Sequence[str], outcomes: Sequence[Outcome], wanted: Wanted) -> dict[str, Any]:
        """The answer to a request, in the form of ``classify --json`` and ``detect --json``."""
        found = [None if it.error else self.narrow(it.value, wanted) for it in outcomes]
        rows: list[dict[str, Any]] = [
            {"path": name, "error": str(it.error)}
            if it.error
            else {"path": name, **self.to_dict(one), "ms": round(it.ms, 3)}
            for name, it, one in zip(names, outcomes, found, strict=True)
        ]
        totals = self.totals(it for it in found if it is not None)
        return {"model": self.name, **self.made_by, "results": rows, **totals, "passed_over": {}}

    def warm_up(self) -> None:
        """Compute a black image, so that the first request finds everything in memory."""
        size_hw = self.predictor.preprocess.size_hw
        self.predictor.bundle.run(np.zeros((1, *size_hw, 3), np.uint8))

    def _decode(self, preprocess: Any, data: bytes) -> Any:
        try:
            with opening(data, limits=self._limits) as image:
                return preprocess(image)
        except LitevisionError:
            raise
        except Exception as error:  # whatever a reader raises is its image's error
            raise unexpected_image_error(f"image of {len(data)} bytes", error) from error

    def _infer(self, inputs: Sequence[Any]) -> Sequence[Any]:
        found: Sequence[Any] = self._inference().infer(inputs, [None] * len(inputs))
        return found

    def _run_rows(self, rows: Sequence[npt.NDArray[np.uint8]]) -> Sequence[Mapping[str, npt.NDArray[Any]]]:
        outputs = self.predictor.bundle.run(np.stack(rows))
        return [{name: values[place] for name, values in outputs.items()} for place in range(len(rows))]

    def _draw(self, drawing: "tuple[bytes, Any]") -> bytes:
        """Draw an answer on its image; gives a PNG file."""
        data, found = drawing
        with opening(data, limits=self._limits) as image:
            _check_drawable(image)
            with image.upright() as upright:
                drawn = found.plot(upright)
        written = io.BytesIO()
        drawn.save(written, "PNG", compress_level=1)
        return written.getvalue()


class ServedClassifier(ServedModel):
    """A classifier that is served."""

    def _inference(self) -> Any:
        return self.predictor.inference(len(self.predictor.labels))  # type: ignore[call-arg]

    def narrow(self, found: Any, wanted: Wanted) -> Any:
        kept = found if wanted.score is None else found[: int((found.scores >= wanted.score).sum())]
        return kept.top(wanted.top or DEFAULT_TOP)

    def to_dict(self, found: Any) -> dict[str, Any]:
        plain: dict[str, Any] = found.to_dict()
        return plain


class ServedDetector(ServedModel):
    """A detector that is served."""

    def _inference(self) -> Any:
        return self.predictor.inference(0.0)  # type: ignore[call-arg]

    def narrow(self, found: Any, wanted: Wanted) -> Any:
        thresholds = self.predictor.thresholds  # type: ignore[attr-defined]
        least = thresholds[found.class_ids] if wanted.score is None else np.float32(wanted.score)
        return found[found.scores >= least][: wanted.top]

    def to_dict(self, found: Any) -> dict[str, Any]:
        plain = found.to_dict()
        return {"detections": plain["detections"], "counts": found.counts(), "image_hw": plain["image_hw"]}

    def totals(self, found: Iterable[Any]) -> dict[str, Any]:
        counts: dict[str, int] = {}
        for one in found:
            for label, count in one.counts().items():
                counts[label] = counts.get(label, 0) + count
        return {"counts": counts}


def served_name(asked: str) -> tuple[str, str]:
    """Split ``NAME=MODEL``, or name a model by its file or folder; gives the name and the model."""
    if (named := _NAMED.fullmatch(asked)) is not None:
        return named[1], named[2]
    return model_name(asked), asked


def open_models(
    asked: Sequence[str], *, limits: Limits, engine: str | None, precision: str | None, device: str, streams: int
) -> dict[str, ServedModel]:
    """Open the models, warmed up, by the names that clients call them.

    Args:
        asked: models as `litevision.hub.load` takes them, or ``NAME=MODEL``.
        limits: what an image may cost.
        engine: as for `litevision.Bundle.open`.
        precision: as for `litevision.Bundle.open`.
        device: as for `litevision.Bundle.open`.
        streams: how many batches are computed at once, on one thread each.

    Raises:
        UsageError: two models of one name.
        LitevisionError: as for `litevision.hub.load`.
    """
    served: dict[str, ServedModel] = {}
    names = [served_name(one) for one in asked]
    for name, _ in names:
        if sum(other == name for other, _ in names) > 1:
            raise UsageError(f"two models are called {name!r}. Give one another name: other={name}.")
    for name, model in names:
        find_bundle(model)
        predictor = load(model, engine=engine, precision=precision, device=device, threads=1, streams=streams)
        kind = ServedDetector if predictor.bundle.metadata.finds_boxes else ServedClassifier
        served[name] = kind(name, predictor, limits)
        served[name].warm_up()
    return served


def _check_drawable(image: OpenedImage) -> None:
    height, width = image.upright_hw
    if height * width > MOST_DRAWN_PIXELS:
        raise ImageTooLargeError(
            f"{image.name}: {width} x {height} = {width * height} pixels: more than the {MOST_DRAWN_PIXELS} that are "
            "drawn on. Make it smaller, or ask for JSON."
        )


def _bare(value: Any) -> Any:
    """``value`` with absolute paths cut down to their names, at any depth."""
    if isinstance(value, dict):
        return {key: _bare(item) for key, item in value.items()}
    if isinstance(value, list):
        return [_bare(item) for item in value]
    if isinstance(value, str) and Path(value).is_absolute():
        return Path(value).name
    return value


def _same(value: Any) -> Any:
    return value
