"""The rules that labelled pictures are held to, and where they are broken."""

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
    """

    name: str
    severity: Severity
    what: str
    advice: str


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
    Rule("imbalance", "warning", "the largest class of train has over 10 times the pictures of the smallest",
         "Add pictures of the small classes, or train with class weights or a balanced sampler."),
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
    """

    rule: str
    path: Path | None
    severity: Severity
    detail: str
    advice: str

    @classmethod
    def of(cls, rule: str, path: Path | None, detail: str) -> "Fault":
        """The fault, with the severity and the advice of its rule."""
        found = _BY_NAME[rule]
        return cls(rule, path, found.severity, detail, found.advice)

    @property
    def order(self) -> tuple[int, str, str]:
        """Sorts faults as their rules stand in `RULES`, then by path."""
        return _PLACE[self.rule], str(self.path or ""), self.detail
