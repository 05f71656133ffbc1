"""Detections and boxes as numpy arrays: areas, overlaps, formats, drawing. No torch.

A box is (x1, y1, x2, y2) in px from the top left corner, x to the right and y down, with continuous edges: the first
pixel reaches from 0 to 1, and width is x2 - x1. N and M are numbers of boxes.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any, Literal, TypeVar, get_args

import numpy as np
import numpy.typing as npt

from litevision.errors import MissingExtraError, UnknownNameError, UsageError, reason_of

if TYPE_CHECKING:
    import os

    from PIL import Image

    from litevision.image import ImageLike

Boxes = npt.NDArray[np.float32]
BoxFormat = Literal["xyxy", "xywh", "cxcywh"]

_Float = TypeVar("_Float", np.float32, np.float64)


@dataclass(frozen=True, slots=True)
class Detection:
    """One object: its class, the score from 0 to 1, and its box.

    Attributes:
        label: the name of its class.
        score: in [0, 1].
        index: place of the class among the model's labels.
        box_xyxy: (x1, y1, x2, y2) in px of the upright image, continuous edges.
    """

    label: str
    score: float
    index: int
    box_xyxy: tuple[float, float, float, float]


@dataclass(frozen=True, eq=False, slots=True)
class Detections:
    """The objects in one image as N parallel arrays.

    ``detections[detections.scores > 0.5]`` gives those rows, as an array of indices or a slice does; so does
    ``detections[0]``, of one row. Iterating gives a `Detection` for each object.

    Attributes:
        xyxy: ``float32[N, 4]``, boxes as (x1, y1, x2, y2) in px of the upright image, continuous edges.
        scores: ``float32[N]``, in [0, 1].
        class_ids: ``int64[N]``, places among ``class_names``.
        class_names: the names of all classes that the model knows.
        image_hw: height and width of the upright image, px.
        image: the image that they were found in, by reference; None where it is not kept.

    Raises:
        UsageError: arrays of other shapes or lengths, or class ids without a name.

    Example:
        >>> found = Detections(
        ...     [[0, 0, 40, 20], [5, 5, 9, 9], [8, 2, 30, 30]], [0.9, 0.5, 0.25], [1, 0, 1], ("cat", "dog"), (48, 64)
        ... )
        >>> found[found.scores >= 0.5].counts()
        {'cat': 1, 'dog': 1}
        >>> found[0].labels, [round(it.score, 2) for it in found]
        (('dog',), [0.9, 0.5, 0.25])
    """

    xyxy: Boxes
    scores: npt.NDArray[np.float32]
    class_ids: npt.NDArray[np.int64]
    class_names: tuple[str, ...]
    image_hw: tuple[int, int]
    image: "ImageLike | None" = field(default=None, repr=False)

    def __post_init__(self) -> None:
        for name, dtype, expected in (
            ("xyxy", np.float32, "float32 of [N, 4]"),
            ("scores", np.float32, "float32 of [N]"),
            ("class_ids", np.int64, "int64 of [N]"),
        ):
            object.__setattr__(self, name, _as_array(name, getattr(self, name), dtype, expected))
        count = len(self.xyxy)
        if self.xyxy.shape != (count, 4) or self.scores.shape != (count,) or self.class_ids.shape != (count,):
            raise UsageError(
                f"xyxy of shape {self.xyxy.shape}, scores {self.scores.shape} and class_ids {self.class_ids.shape}; "
                "expected [N, 4], [N] and [N] of one N."
            )
        known = len(self.class_names)
        if count and not 0 <= self.class_ids.min() <= self.class_ids.max() < known:
            raise UsageError(
                f"class_ids from {self.class_ids.min()} to {self.class_ids.max()} for {known} class_names; "
                f"expected 0 to {known - 1}."
            )

    @property
    def labels(self) -> tuple[str, ...]:
        """The class name of each object."""
        return tuple(self.class_names[it] for it in self.class_ids.tolist())

    def __len__(self) -> int:
        return len(self.scores)

    def __iter__(self) -> Iterator[Detection]:
        rows = zip(self.xyxy.tolist(), self.scores.tolist(), self.class_ids.tolist(), strict=True)
        for (x1, y1, x2, y2), score, index in rows:
            yield Detection(self.class_names[index], score, index, (x1, y1, x2, y2))

    def __getitem__(
        self, which: int | slice | Sequence[int] | Sequence[bool] | npt.NDArray[np.bool_ | np.integer[Any]]
    ) -> "Detections":
        rows = [which] if isinstance(which, (int, np.integer)) else which
        if not isinstance(rows, slice):
            rows = np.asarray(rows)
            if rows.size == 0 and rows.dtype != np.bool_:
                rows = rows.astype(np.intp)  # numpy makes float64 of an empty list
        return replace(self, xyxy=self.xyxy[rows], scores=self.scores[rows], class_ids=self.class_ids[rows])

    def __eq__(self, other: object) -> bool:
        """Compare objects, classes and image size, whatever image they were found in."""
        if not isinstance(other, Detections):
            return NotImplemented
        return (self.class_names, self.image_hw) == (other.class_names, other.image_hw) and all(
            np.array_equal(getattr(self, name), getattr(other, name)) for name in ("xyxy", "scores", "class_ids")
        )

    __hash__ = None  # type: ignore[assignment]  # arrays can be written to

    def counts(self) -> dict[str, int]:
        """Count the objects of each class that has any, in the order of the classes."""
        times = np.bincount(self.class_ids, minlength=len(self.class_names)).tolist()
        return {name: count for name, count in zip(self.class_names, times, strict=True) if count}

    def to_dict(self) -> dict[str, Any]:
        """Return the objects as plain values.

        Returns:
            ``{"image_hw": [h, w], "detections": [{"label": ..., "score": ..., "index": ..., "box_xyxy": [...]}, ...]}``
        """
        found = [
            {"label": it.label, "score": it.score, "index": it.index, "box_xyxy": list(it.box_xyxy)} for it in self
        ]
        return {"image_hw": list(self.image_hw), "detections": found}

    def to_row(self) -> dict[str, Any]:
        """Convert to the cells of a row of a table; `litevision.Detector.row_types` says what they are."""
        named = {"labels": list(self.labels), "class_ids": self.class_ids.tolist(), "scores": self.scores.tolist()}
        return {**named, "boxes_xyxy": self.xyxy.tolist()}

    def to_json(self) -> str:
        """Write `to_dict` as JSON."""
        import json

        return json.dumps(self.to_dict(), allow_nan=False)

    def to_coco(self, image_id: int | str, category_ids: Sequence[int | None] | None = None) -> list[dict[str, Any]]:
        """Return the objects as COCO's list of results; ``bbox`` is (left, top, width, height).

        Args:
            image_id: what the ground truth calls the image.
            category_ids: what it calls each of ``class_names``; by default 1, 2, 3 and so on. Objects of a class that
                has None are left out. `litevision.data.CocoIds` reads both from a file of annotations.

        Raises:
            UsageError: not one id for each class.
        """
        ids = range(1, len(self.class_names) + 1) if category_ids is None else category_ids
        if len(ids) != len(self.class_names):
            raise UsageError(f"{len(ids)} category_ids for {len(self.class_names)} class_names; expected one for each.")
        return [
            {
                "image_id": image_id,
                "category_id": category_id,
                "bbox": [x1, y1, x2 - x1, y2 - y1],
                "score": it.score,
            }
            for it in self
            for category_id, (x1, y1, x2, y2) in [(ids[it.index], it.box_xyxy)]
            if category_id is not None
        ]

    def to_supervision(self) -> Any:
        """Convert to ``supervision.Detections`` of the package supervision, with ``data["class_name"]``.

        Raises:
            MissingExtraError: the package is not installed.
        """
        import importlib

        try:
            supervision = importlib.import_module("supervision")
        except ImportError:
            raise MissingExtraError(
                "to_supervision needs the package supervision, which is not installed. "
                "Install it with: pip install supervision"
            ) from None
        return supervision.Detections(
            xyxy=self.xyxy,
            confidence=self.scores,
            class_id=self.class_ids,
            data={"class_name": np.array(self.labels, dtype=np.str_)},
        )

    def plot(self, image: "ImageLike | None" = None, *, font: "str | os.PathLike[str] | None" = None) -> "Image.Image":
        """Draw the boxes with their labels and scores on the image.

        Args:
            image: what to draw on; by default the image that they were found in, where it is kept.
            font: a font file to use first; by default the package's own, which have the letters of nearly every
                script, and the system's. A class whose name none of them can draw stands there by its number, with a
                warning.

        Returns:
            An RGB image; ``.save("out.png")`` writes it.

        Raises:
            UsageError: no image is kept and none given, or one of another size; a font that cannot be used.
            LitevisionError: it cannot be read, as for `litevision.image.decode`.
        """
        from litevision.image import decode
        from litevision.image.draw import draw_boxes
        from litevision.image.text import Lettering, warn_of_unnamed

        source = self.image if image is None else image
        if source is None:
            raise UsageError("these detections keep no image to draw on. Give one: plot(image).")
        upright = decode(source)
        if (upright.height, upright.width) != self.image_hw:
            height, width = self.image_hw
            raise UsageError(
                f"an image of {upright.height} x {upright.width} px (height x width); expected the {height} x {width} "
                "that the boxes were found in."
            )
        lettering = Lettering(font)
        warn_of_unnamed(lettering, self.labels)
        captions = [lettering.caption(it.label, it.index, it.score) for it in self]
        return draw_boxes(upright, self.xyxy, captions, self.class_ids, lettering)


def _as_array(name: str, value: Any, dtype: type, expected: str) -> npt.NDArray[Any]:
    try:
        array = np.asarray(value)
        if name == "xyxy" and array.size == 0:
            array = array.reshape(-1, 4)
        return array.astype(dtype, casting="unsafe" if array.size == 0 else "same_kind", copy=False)
    except (TypeError, ValueError) as error:
        raise UsageError(f"{name} cannot be an array of {expected} ({reason_of(error)}).") from None


def box_area(boxes_xyxy: npt.NDArray[_Float]) -> npt.NDArray[_Float]:
    """Area of each box, ``float[N]`` in px²; 0 where an edge lies on the wrong side of its opposite."""
    sides = np.maximum(boxes_xyxy[:, 2:] - boxes_xyxy[:, :2], 0)
    areas: npt.NDArray[_Float] = sides[:, 0] * sides[:, 1]
    return areas


def box_iou(first_xyxy: Boxes, second_xyxy: Boxes) -> Boxes:
    """Intersection over union of each of N boxes with each of M, ``float32[N, M]`` in [0, 1].

    Two boxes without an area have 0.

    Example:
        >>> import numpy as np
        >>> first = np.array([[0, 0, 4, 4]], np.float32)
        >>> box_iou(first, np.array([[0, 0, 4, 2], [8, 8, 9, 9]], np.float32)).tolist()
        [[0.5, 0.0]]
    """
    start = np.maximum(first_xyxy[:, None, :2], second_xyxy[None, :, :2])
    end = np.minimum(first_xyxy[:, None, 2:], second_xyxy[None, :, 2:])
    shared = np.maximum(end - start, 0).prod(axis=2)
    union = box_area(first_xyxy)[:, None] + box_area(second_xyxy)[None, :] - shared
    overlaps: Boxes = np.divide(shared, union, out=np.zeros_like(shared), where=union > 0)
    return overlaps


def box_convert(boxes: npt.NDArray[_Float], in_format: BoxFormat, out_format: BoxFormat) -> npt.NDArray[_Float]:
    """Convert boxes between formats, ``float[N, 4]``.

    Args:
        boxes: ``float[N, 4]``.
        in_format: "xyxy" (corners), "xywh" (top left corner, width and height, as in COCO) or "cxcywh" (centre, width
            and height, as in YOLO).
        out_format: likewise.

    Raises:
        UnknownNameError: no such format.

    Example:
        >>> import numpy as np
        >>> box_convert(np.array([[2, 3, 6, 10]], np.float32), "xyxy", "cxcywh").tolist()
        [[4.0, 6.5, 4.0, 7.0]]
    """
    for name in (in_format, out_format):
        if name not in get_args(BoxFormat):
            raise UnknownNameError.of("box format", name, get_args(BoxFormat))
    if in_format == out_format:
        return boxes.copy()
    start: npt.NDArray[Any] = boxes[:, :2]
    end: npt.NDArray[Any] = boxes[:, 2:]
    if in_format == "xywh":
        end = start + end
    elif in_format == "cxcywh":
        start, end = start - end / 2, start + end / 2
    if out_format == "xywh":
        end = end - start
    elif out_format == "cxcywh":
        start, end = (start + end) / 2, end - start
    return np.concatenate([start, end], axis=1)


def clip_boxes(boxes_xyxy: Boxes, image_hw: tuple[int, int]) -> Boxes:
    """Cut boxes at the edges of an image, ``float32[N, 4]``; one that lay outside has no area then."""
    height, width = image_hw
    return np.clip(boxes_xyxy, 0, np.array([width, height, width, height], np.float32))
