"""One word for one thing, the field's own: what docs/glossary.md retires does not come back."""

import re
from functools import cache
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
SRC = ROOT / "src/litevision"
TEXTS = sorted(path for path in SRC.rglob("*") if path.suffix in (".py", ".toml", ".md", ".html", ".jinja", ".j2"))

# Where a real photo is meant, or an old file's key is read: the line must match, whole files are never excused.
ALLOWED = {
    "photo": r"photo\.jpg|classify photos/|image/photos|/ \"photos\"|\bphoto(\.\w+|, \(| = )|asarray\(photo\)"
    r"|photos/1\.jpg|of the photo\b|photos of garments|# Photos to check|\._photo|\"--photos\"|crop\(|min\(photo",
    "picture": r"FORMERLY|_RENAMED|\"pictures?\"",
    "trunk": r"\"trunk_lr\"|FORMERLY|_RENAMED",
}
# Names that the glossary replaced, where no other meaning of the word could be meant.
RETIRED = {
    "xyxy_from_xywh": "box_convert",
    "look_at": "inspect_image",
    "works_of_ledger": "ledger_workload",
    "works_of_graph": "graph_workload",
    "squarest": "balanced_widths",
    "is_disturbed": "is_noisy",
    "Teller": "ConsoleListener",
    "misfits": "mismatches",
    "WeightLayout": "LayoutRow",
    "made_up_networks": "synthetic_networks",
    "PictureStore": "ImageCache",
    "intersection_over_union": "box_iou",
    "head_epochs": "freeze_backbone_epochs",
    "PassingError": "TransientError",
    "to_record": "to_dict",
    "of_record": "from_dict",
    "to_plain": "to_dict",
    "from_plain": "from_dict",
    "same_bytes": "exact_duplicates",
    "places_of": "label_indices",
    "samples_of": "select_split",
}
OLD_KEYS = re.compile(r"_RENAMED|FORMERLY|^    \(\"\w+\", \"\w+\"\): \"\w+\",$")


@cache
def lines() -> list[tuple[str, str]]:
    """Every line of the sources with its place."""
    return [
        (f"{path.relative_to(ROOT)}:{number}", line)
        for path in TEXTS
        for number, line in enumerate(path.read_text("utf-8").splitlines(), start=1)
    ]


@pytest.mark.parametrize("word", ALLOWED)
def test_image_and_backbone_are_the_words(word: str) -> None:
    allowed = re.compile(ALLOWED[word])
    found = [
        f"{place}: {line.strip()}"
        for place, line in lines()
        if re.search(word, line, re.IGNORECASE) and not allowed.search(line)
    ]
    assert found == []


def test_a_word_outside_of_its_place_is_seen() -> None:
    assert not re.search(ALLOWED["photo"], "one photo, decoded and answered")
    assert not re.search(ALLOWED["picture"], "pictures a second")
    assert re.search(ALLOWED["photo"], '    litevision.load("model.onnx").classify("photo.jpg")')


@pytest.mark.parametrize("name", RETIRED)
def test_retired_names_do_not_come_back(name: str) -> None:
    word = re.compile(rf"\b{name}\b")
    found = [f"{place}: {line.strip()}" for place, line in lines() if word.search(line) and not OLD_KEYS.search(line)]
    assert found == [], f"say {RETIRED[name]}"


def test_at_most_one_file_is_called_records() -> None:
    assert len([path for path in TEXTS if path.name == "records.py"]) <= 1
