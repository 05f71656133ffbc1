"""Decodings of detectors that have chosen their boxes already: DETR and its kind, torchvision, NMS-free YOLO."""

import numpy as np

from litevision.adopting.decoding import COCO_CLASSES, Array, Decoding, Fit, MismatchError, Seen
from litevision.exporting.append import NodeAppender, Tensor
from litevision.registry.labels import COCO_UNUSED_IDS
from litevision.runtime.engines.base import Outputs

_LARGEST_UNIT = 2.0
"""Boxes in units of the image reach out of it a little; in px they are far larger."""
_COCO_IDS = 91


def _roles(seen: Seen, rank: int) -> dict[str, str]:
    """The outputs for boxes, scores and labels by their names, of ``rank`` axes for the boxes."""
    words = {"boxes": ("box",), "scores": ("score", "conf"), "labels": ("label", "class", "cls")}
    found: dict[str, str] = {}
    for role, begins in words.items():
        names = [name for name in seen.shapes if any(word in name.lower() for word in begins)]
        if len(names) != 1:
            raise MismatchError("needs three outputs, named boxes, scores and labels")
        found[role] = names[0]
    ranks = {role: len(seen.shapes[name]) for role, name in found.items()}
    if ranks != {"boxes": rank, "scores": rank - 1, "labels": rank - 1} or len(seen.shapes) != len(found):
        form = "[N, K, 4], [N, K] and [N, K]" if rank == 3 else "[K, 4], [K] and [K], without a batch axis"
        raise MismatchError(f"needs three outputs of {form}")
    if seen.shapes[found["boxes"]][-1] != 4:
        raise MismatchError(f"needs boxes of four numbers, got {list(seen.shapes[found['boxes']])}")
    seen.require_shares(found["scores"], seen.values(found["scores"]))
    return found


def _facts(seen: Seen, boxes: Array, classes: Array, *, first: int) -> dict[str, object]:
    """In which units boxes are, and which of our classes each of the file's numbers is; -1 for none."""
    largest = int(classes.max(initial=0))
    table = np.full(first + seen.classes, -1, np.int64)
    table[first:] = np.arange(seen.classes)
    if seen.classes == COCO_CLASSES and first + seen.classes <= largest < _COCO_IDS:
        table = np.full(_COCO_IDS, -1, np.int64)
        table[[it for it in range(_COCO_IDS) if it not in COCO_UNUSED_IDS]] = np.arange(COCO_CLASSES)
    elif classes.min(initial=first) < 0 or largest >= len(table):
        raise MismatchError(f"gives classes up to {largest}, and there are {seen.classes} labels, from {first} on")
    return {"is_unit": bool(np.abs(boxes).max(initial=0) <= _LARGEST_UNIT), "table": table}


def _match_detr(seen: Seen) -> Fit:
    found = _roles(seen, 3)
    facts = _facts(seen, seen.values(found["boxes"]), seen.values(found["labels"]), first=0)
    return Fit(seen.size_hw, seen.classes, found, facts)


def _match_torchvision(seen: Seen) -> Fit:
    found = _roles(seen, 2)
    facts = _facts(seen, seen.values(found["boxes"]), seen.values(found["labels"]), first=1)
    if seen.classes == COCO_CLASSES:  # torchvision's weights count as COCO does
        facts |= _facts(seen, seen.values(found["boxes"]), np.array([_COCO_IDS - 1]), first=1)
    return Fit(seen.size_hw, seen.classes, found, facts)


def _match_end_to_end(seen: Seen) -> Fit:
    name = seen.only("[N, K, 6]", 3)
    if seen.shapes[name][2] != 6:
        raise MismatchError(f"needs rows of x1, y1, x2, y2, score and class, got {list(seen.shapes[name])}")
    classes = seen.values(name, ..., 5)
    if (classes != classes.round()).any() or classes.min() < 0:
        raise MismatchError("needs whole numbers for classes, in the last of six columns")
    seen.require_shares(name, seen.values(name, ..., 4))
    facts = _facts(seen, seen.values(name, ..., slice(0, 4)), classes, first=0)
    return Fit(seen.size_hw, seen.classes, {"rows": name}, facts)


def _detr(nodes: NodeAppender, fit: Fit) -> tuple[Tensor, ...]:
    boxes, scores = nodes.as_float(fit.outputs["boxes"]), nodes.as_float(fit.outputs["scores"])
    return _translated(nodes, boxes, scores, nodes.as_integer(fit.outputs["labels"]), fit)


def _torchvision(nodes: NodeAppender, fit: Fit) -> tuple[Tensor, ...]:
    forms = {"boxes": [1, -1, 4], "scores": [1, -1], "labels": [1, -1]}
    boxes, scores, labels = (
        nodes.op("Reshape", fit.outputs[role], nodes.integers(form)) for role, form in forms.items()
    )
    return _translated(nodes, nodes.as_float(boxes), nodes.as_float(scores), nodes.as_integer(labels), fit)


def _end_to_end(nodes: NodeAppender, fit: Fit) -> tuple[Tensor, ...]:
    rows = nodes.as_float(fit.outputs["rows"])
    scores, classes = (
        nodes.op("Reshape", nodes.slice(rows, column, column + 1, axis=2), nodes.integers([0, -1])) for column in (4, 5)
    )
    return _translated(nodes, nodes.slice(rows, 0, 4, axis=2), scores, nodes.as_integer(classes), fit)


def _translated(nodes: NodeAppender, boxes: Tensor, scores: Tensor, labels: Tensor, fit: Fit) -> tuple[Tensor, ...]:
    """Boxes in px, and our classes; a row whose class has no name has the score 0."""
    if fit.facts["is_unit"]:
        boxes = nodes.op("Mul", boxes, nodes.floats([fit.size_hw[::-1] * 2]))
    table = fit.facts["table"]
    if (table == np.arange(len(table))).all():
        return boxes, scores, labels
    classes = nodes.op("Gather", nodes.integers(np.maximum(table, 0)), labels, axis=0)
    named = nodes.op("Gather", nodes.floats(table >= 0), labels, axis=0)
    return boxes, nodes.op("Mul", scores, named), classes


def _plain_detr(outputs: Outputs, fit: Fit) -> tuple[Array, ...]:
    boxes, scores, labels = (outputs[fit.outputs[role]] for role in ("boxes", "scores", "labels"))
    return _plain_translated(boxes, scores, labels, fit)


def _plain_torchvision(outputs: Outputs, fit: Fit) -> tuple[Array, ...]:
    boxes, scores, labels = (outputs[fit.outputs[role]][None] for role in ("boxes", "scores", "labels"))
    return _plain_translated(boxes, scores, labels, fit)


def _plain_end_to_end(outputs: Outputs, fit: Fit) -> tuple[Array, ...]:
    rows = outputs[fit.outputs["rows"]]
    return _plain_translated(rows[..., :4], rows[..., 4], rows[..., 5], fit)


def _plain_translated(boxes: Array, scores: Array, labels: Array, fit: Fit) -> tuple[Array, ...]:
    if fit.facts["is_unit"]:
        height, width = fit.size_hw
        boxes = boxes * [width, height, width, height]
    classes = fit.facts["table"][labels.astype(np.int64)]
    return boxes, np.where(classes >= 0, scores, 0), np.maximum(classes, 0)


DECODINGS = (
    Decoding(
        "detr",
        "detection",
        "labels [N, K], boxes [N, K, 4] (x1, y1, x2, y2) in px or units of the image, scores [N, K]",
        _match_detr,
        _detr,
        _plain_detr,
    ),
    Decoding(
        "torchvision",
        "detection",
        "boxes [K, 4], scores [K], labels [K] of one image, class 0 the background",
        _match_torchvision,
        _torchvision,
        _plain_torchvision,
    ),
    Decoding(
        "end-to-end",
        "detection",
        "[N, K, 6]: x1, y1, x2, y2 in px, score and class of boxes that need no suppression",
        _match_end_to_end,
        _end_to_end,
        _plain_end_to_end,
    ),
)
