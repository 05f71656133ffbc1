"""The rules that labelled pictures and boxes are held to, and where they are broken."""

from dataclasses import dataclass
from pathlib import Path
from typing import Literal

Severity = Literal["error", "warning", "note"]


@dataclass(frozen=True, slots=True)
class Rule:
    """One thing that `check_data` looks for.

    Attributes:
        name: in kebab-case.
        severity: an "error" spoils the training or its score, a "warning" may, a "note" is dealt with.
        what: what is found.
        advice: what to do about it.
        of_boxes: of labelled boxes alone.
    """

    name: str
    severity: Severity
    what: str
    advice: str
    of_boxes: bool = False


def _of_boxes(name: str, severity: Severity, what: str, advice: str) -> Rule:
    return Rule(name, severity, what, advice, of_boxes=True)


_REPLACE = "Copy or download it again, or remove it."

# fmt: off
RULES: tuple[Rule, ...] = (
    # Files that training cannot read.
    Rule("missing-file", "error", "a row of the CSV file names a file that is not there",
         "Mend the path or remove the row; paths start at the CSV file's folder."),
    Rule("empty-file", "error", "a file of 0 bytes", _REPLACE),
    Rule("not-a-picture", "error", "another kind of file under a picture's name",
         "Convert it to JPEG or PNG, or remove it."),
    Rule("truncated", "error", "a picture that ends too early", _REPLACE),
    Rule("unreadable", "error", "a damaged picture, or a file that may not be read", _REPLACE),
    Rule("too-large", "error", "more pixels or bytes than the limit", "Make it smaller first."),
    # Classes that cannot be learned or scored.
    Rule("empty-class", "error", "a class without pictures", "Add pictures to it or remove its folder."),
    Rule("class-only-in-one-split", "error", "a class that is validated or tested but has no picture in train",
         "Add pictures of it to train, or remove the class; check its spelling."),
    # Labels of boxes that are left out.
    _of_boxes("missing-picture", "error", "labels whose picture is not there; they are left out",
              "Add the picture, or remove its labels."),
    _of_boxes("missing-labels", "error", "a picture that a list of a split names, without its labels; it is left out",
              "Add its label file, or take it off the list."),
    _of_boxes("missing-split", "error", "a folder or list of a split that is named and not there",
              "Mend its path, or remove it."),
    _of_boxes("unreadable-labels", "error", "an empty, damaged or foreign label file; its picture is left out, for "
              "nobody knows what it shows", "Label the picture again, or remove both."),
    _of_boxes("wrong-size", "error", "labels made for another size of the picture, which is left out",
              "Use the picture that was labelled, or scale its boxes and state its size."),
    _of_boxes("listed-twice", "error", "a picture that is listed twice; of two splits, the one that is held out keeps "
              "it", "List it once."),
    _of_boxes("id-twice", "error", "one id for two pictures or two boxes", "Give each its own id."),
    _of_boxes("class-id-conflict", "error", "one id for two classes, or one class under two ids",
              "Give each class one id, the same in every file."),
    _of_boxes("unknown-class", "error", "a box of a class that the list of classes lacks; it is left out",
              "Mend its class, or add the class to the list."),
    _of_boxes("unreadable-box", "error", "a box with a number missing, not finite, or no number; it is left out",
              "Write four numbers."),
    _of_boxes("inverted-box", "error", "a box that ends before it begins (x2 < x1 or y2 < y1); it is left out",
              "Draw it again."),
    _of_boxes("zero-area-box", "error", "a box without width or height; it is left out",
              "Draw it again, or remove it."),
    _of_boxes("outside-box", "error", "a box that lies outside the picture; it is left out",
              "Draw it again, or remove it."),
    # Copies that make a score or a label wrong.
    Rule("duplicate-with-other-label", "error", "a copy of a picture of another class",
         "Keep it in the right class alone."),
    Rule("duplicate-across-splits", "error", "a copy of a picture of another split, so that the score is too good",
         "Keep it in one split alone."),
    Rule("near-duplicate-with-other-label", "warning", "nearly a copy of a picture of another class",
         "Look at both, and keep one class for them."),
    Rule("near-duplicate-across-splits", "warning", "nearly a copy of a picture of another split",
         "Look at both, and keep them in one split."),
    Rule("exact-duplicate", "warning", "a copy of a picture of the same class and split", "Keep one of them."),
    Rule("near-duplicate", "warning", "nearly a copy of a picture of the same class and split",
         "Look at both, and keep one if the other adds nothing."),
    # Classes that are hard to learn or score.
    Rule("too-few-pictures", "warning", "under 10 pictures of a class in train, or none in another split",
         "Add pictures of it."),
    Rule("imbalance", "warning", "the largest class of train has over 10 times the pictures, or boxes, of the smallest",
         "Add pictures of the small classes, or train with class weights or a balanced sampler."),
    # Boxes that are hard to learn or doubtful.
    _of_boxes("class-without-boxes", "warning", "a class of the list that no box has",
              "Label some, or take it off the list."),
    _of_boxes("wrong-class-count", "warning", "another number of classes is stated than are named",
              "Name every class, and state their number."),
    _of_boxes("over-edge-box", "warning", "a box that reaches over 1 px out of the picture; it is cut at the edge",
              "Draw it again if it was meant for another picture."),
    _of_boxes("duplicate-box", "warning", "the same box twice; the second is left out", "Remove one of them."),
    _of_boxes("near-duplicate-box", "warning", "two boxes of one class that share 0.9 of their union; both are kept",
              "Remove one if both are one object."),
    _of_boxes("tiny-box", "warning", "a box with a side under 4 px", "Remove it if it was drawn by accident."),
    _of_boxes("picture-without-labels", "warning", "a picture without labels; in YOLO it shows nothing, else it is "
              "passed over", "Label it, or remove it; an empty label file says that it shows nothing."),
    # Names and places.
    Rule("wrong-extension", "warning", "the content is of another format than the name says",
         "Rename it; litevision goes by the content, other programs may not."),
    Rule("name-case-collision", "warning", "two files or classes whose names differ in case alone",
         "Rename one: many disks cannot hold both."),
    Rule("nested-folder", "warning", "pictures in a folder below a class folder, which are passed over",
         "Move them up into the class folder."),
    Rule("outside-class", "warning", "pictures beside the class folders, which are passed over",
         "Move them into a class folder."),
    # Pictures that show little.
    Rule("tiny", "warning", "the shorter side is under 32 px", "Get a larger version, or remove it."),
    Rule("extreme-shape", "warning", "one side is over 5 times the other", "Cut out what matters."),
    Rule("uniform", "warning", "one colour all over", "Remove it if nothing is to be seen."),
    # What is dealt with, and good to know.
    Rule("unused-folder", "note", "a folder beside the split folders, which is passed over",
         "None needed if that is meant."),
    Rule("unsupported-extension", "note", "a file in a class folder that is no picture by its name, and is passed over",
         "Convert it to JPEG or PNG if it is a picture."),
    Rule("exif-rotated", "note", "EXIF says that the stored picture has to be turned",
         "None needed: litevision turns it; other programs may not."),
    Rule("odd-mode", "note", "not 8-bit RGB or grey: a palette, CMYK, 16 bits or transparency",
         "None needed: it is made RGB, transparency becomes white."),
    Rule("animated", "note", "more than one frame", "None needed: the first frame is used."),
    _of_boxes("not-in-a-split", "note", "labels that no list of a split names, which are passed over",
              "None needed if that is meant."),
    _of_boxes("class-id-gaps", "note", "class ids that do not run on without gaps",
              "None needed: classes are numbered anew from 0, in the order of their ids."),
    _of_boxes("polygon-labels", "note", "outlines in place of boxes", "None needed: the box around each is taken."),
    _of_boxes("turned-boxes", "note", "boxes drawn on the stored picture, which EXIF says has to be turned",
              "None needed: they are turned with it."),
    _of_boxes("ignored-boxes", "note", "boxes marked as difficult or as a crowd",
              "None needed: they are neither learned nor scored."),
    _of_boxes("pictures-without-boxes", "note", "pictures that show none of the classes",
              "None needed: they teach what is none."),
)
# fmt: on

_BY_NAME = {rule.name: rule for rule in RULES}
_PLACE = {rule.name: place for place, rule in enumerate(RULES)}


@dataclass(frozen=True, slots=True)
class Fault:
    """One rule broken at one place.

    Attributes:
        rule: the rule's name.
        path: the file or folder; None where a fault is of none in particular.
        severity: the rule's.
        detail: what was found there.
        advice: the rule's.
        line: the line of a label file, from 1.
    """

    rule: str
    path: Path | None
    severity: Severity
    detail: str
    advice: str
    line: int | None = None

    @classmethod
    def of(cls, rule: str, path: Path | None, detail: str, line: int | None = None) -> "Fault":
        """The fault, with the severity and the advice of its rule."""
        found = _BY_NAME[rule]
        return cls(rule, path, found.severity, detail, found.advice, line)

    @property
    def order(self) -> tuple[int, str, int, str]:
        """Sorts faults as their rules stand in `RULES`, then by path and line."""
        return _PLACE[self.rule], str(self.path or ""), self.line or 0, self.detail
