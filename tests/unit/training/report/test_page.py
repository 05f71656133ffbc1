import base64
import io
import math
import re
import subprocess
import sys
import xml.etree.ElementTree as ET
from collections.abc import Callable
from dataclasses import replace
from html.parser import HTMLParser
from itertools import pairwise
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import matplotlib as mpl
import numpy as np
import pytest
from PIL import Image

from litevision.evaluation import Evaluation, Skipped
from litevision.tasks.classification.page import MOST_IMAGES, Overlay, _heated, report_parts
from litevision.training.recipe import Run
from litevision.training.report.page import shown_images, write_report

VOID = {"meta", "img", "br"}
LOADS = {"src", "href", "xlink:href", "srcset", "data", "action", "poster", "background"}


class Page(HTMLParser):
    """A page as a browser takes it: whether its elements are closed, what it loads, what it says."""

    def __init__(self, path: Path) -> None:
        super().__init__()
        self.html = path.read_text("utf-8")
        self.tags: list[str] = []
        self.loads: list[str] = []
        self.attributes: set[str] = set()
        self.ids: list[str] = []
        self.texts: list[str] = []
        self._open: list[str] = []
        self.feed(self.html)
        self.close()
        assert self._open == []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.handle_startendtag(tag, attrs)
        if tag not in VOID:
            self._open.append(tag)

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append(tag)
        for name, value in attrs:
            self.attributes.add(name)
            if name in LOADS:
                self.loads.append(value or "")
            if name == "id":
                self.ids.append(value or "")

    def handle_endtag(self, tag: str) -> None:
        assert self._open.pop() == tag

    def handle_data(self, data: str) -> None:
        self.texts.append(data)

    @property
    def text(self) -> str:
        return " ".join(" ".join(self.texts).split())

    def images(self) -> list[str]:
        return [load for load in self.loads if load.startswith("data:image/jpeg;base64,")]

    def section(self, name: str) -> str:
        found = re.search(rf'<section id="{name}">.*?</section>', self.html, re.DOTALL)
        assert found
        return found[0]

    def cells(self, name: str) -> list[list[str]]:
        """The rows of the first table in a section."""
        body = self.section(name).split("<tbody>")[1].split("</table>")[0]
        return [re.findall(r"<t[hd][^>]*>([^<]*)<", row) for row in body.split("<tr>")[1:]]


@pytest.fixture
def write(tmp_path: Path) -> Callable[..., Page]:
    def write(run: Any, overlays: Any = ()) -> Page:
        path = write_report(tmp_path, run.results, report_parts(run.results, run.evaluations, overlays))
        assert path == tmp_path / "report.html"
        return Page(path)

    return write


@pytest.fixture(scope="module")
def page(plain_run: Any, tmp_path_factory: pytest.TempPathFactory) -> Page:
    """The page of the plain run, with one overlay."""
    parts = report_parts(plain_run.results, plain_run.evaluations, [overlay()])
    return Page(write_report(tmp_path_factory.mktemp("page"), plain_run.results, parts))


def overlay(path: str = "hat/a.jpg", truth: str = "hat", answer: str = "hat") -> Overlay:
    heat = np.zeros((24, 32), np.float32)
    heat[:, 20:] = 1
    return Overlay(Path(path), np.full((24, 32, 3), 128, np.uint8), heat, truth, answer, 0.9)


def test_images_outside_the_data_are_named_and_not_shown(plain_run: Any, tmp_path: Path) -> None:
    parts = report_parts(plain_run.results, plain_run.evaluations, (), lambda path: False)
    page = Page(write_report(tmp_path, plain_run.results, parts))
    assert [load for load in page.loads if load.startswith("data:image/jpeg")] == []
    assert "lies outside the data&#39;s folder" in page.html or "lies outside the data's folder" in page.html


def test_it_loads_nothing_from_anywhere(page: Page) -> None:
    assert [load for load in page.loads if not load.startswith(("data:image/", "#"))] == []
    assert re.findall(r"url\((?!#)", page.html) == []
    assert not {"script", "link", "iframe", "object"} & set(page.tags)
    assert not [name for name in page.attributes if name.startswith("on")]
    # The one address in it is that of the weights, as text.
    assert re.findall(r"https?://[^\s<;]*", page.html) == ["https://example.org/weights"] * 2
    assert "default-src 'none'; img-src data:; style-src 'unsafe-inline'" in page.html


def test_links_and_references_lead_somewhere(page: Page) -> None:
    wanted = {load[1:] for load in page.loads if load.startswith("#")} | set(re.findall(r"url\(#([^)]*)\)", page.html))
    assert len(wanted) > 10
    assert wanted <= set(page.ids)
    drawn = [name for name in page.ids if "-" in name]
    assert len({name.split("-")[0] for name in drawn}) == 6
    assert len(drawn) == len(set(drawn))


def test_the_head_states_score_interval_and_count(plain_run: Any, page: Page) -> None:
    low, high = plain_run.results["scores"]["test"]["top1_interval"]
    assert "5 of 7 test images were named right: 71.4 %." in page.text
    assert f"expect between {low:.1f} % and {high:.1f} % (95 % Wilson interval)" in page.text
    assert "8.9 MB" in page.text
    assert "2.24 M parameters, 299.53 M MACs" in page.text


def test_the_tables_hold_the_numbers_of_the_results(plain_run: Any, page: Page) -> None:
    assert page.cells("data") == [
        ["hat", "20", "5", "3"],
        ["dress", "21", "5", "3"],
        ["shirt", "22", "5", "3"],
        ["all", "63", "15", "9"],
    ]
    assert page.cells("classes") == [
        ["hat", "2", "1.000", "0.500", "0.667"],
        ["dress", "3", "0.667", "0.667", "0.667"],
        ["shirt", "2", "0.667", "1.000", "0.800"],
    ]
    assert page.cells("confusion") == [["hat", "dress", "1"], ["dress", "shirt", "1"]]
    for key in ("macro_f1", "balanced_accuracy", "ece"):
        assert f"{plain_run.results['scores']['test'][key]:.3f}" in page.html.split("<nav>")[0]


def test_the_matrix_writes_every_count_that_is_not_0(page: Page) -> None:
    section = page.section("confusion")
    numbers = re.findall(r"<text[^>]*>(\d+)</text>", section)
    assert sorted(map(int, numbers)) == [1, 1, 1, 2, 2]


def test_recipe_start_weights_machine_and_versions_are_there(page: Page) -> None:
    text = page.text
    for said in (
        "warmup_epochs = 0.5",
        "[augment]",
        'policy = "trivialaugment"',
        "licence: Apache-2.0",
        "ab" * 32,
        "a processor",
        "versions torch 2.15.0",
        "bf16",
        "litevision 0.1.0",
        "seed 4",
        "check engine onnxruntime 1.31.1",
    ):
        assert said in text


def test_every_plot_says_how_to_read_it(page: Page) -> None:
    assert page.tags.count("svg") == 6  # four curves, the matrix, the calibration
    captions = re.findall(r"</svg>\s*(?:</div>)?\s*<figcaption>([^<]+)</figcaption>", page.html)
    assert [len(caption) > 60 for caption in captions] == [True] * 6
    assert len(re.findall('<svg role="img" aria-label="[^"]+"', page.html)) == 6


def test_mistakes_are_shown_surest_first(page: Page) -> None:
    section = page.section("mistakes")
    assert re.findall(r"<b>(\w+)</b>, named <b class=\"wrong\">(\w+)</b>, ([\d.]+)", section) == [
        ("hat", "dress", "0.90"),
        ("dress", "shirt", "0.73"),
    ]
    assert "class 0/test 0.png" in section
    assert section.count('<img src="data:image/jpeg;base64,') == 2


def test_at_most_so_many_mistakes_and_overlays_are_shown(make_run: Any, write: Any) -> None:
    run = make_run(answers=[(0, 1)] * 40)
    page = write(run, [overlay()] * 30)
    assert page.section("mistakes").count("<img") == MOST_IMAGES
    assert page.section("overlays").count("<img") == 2 * MOST_IMAGES  # each with the plain image beside it


def test_no_mistakes_at_all(make_run: Any, write: Any) -> None:
    page = write(make_run(answers=[(0, 0), (1, 1), (2, 2)]))
    assert "every test image was named right" in page.section("mistakes")
    assert "The most frequent mistakes." not in page.html
    assert "3 of 3 test images were named right: 100.0 %" in page.text
    assert page.images() == []


def test_a_image_that_went_away_leaves_a_gap(make_run: Any, write: Any) -> None:
    run = make_run()
    run.evaluations["test"].paths[0].unlink()
    page = write(run)
    assert page.section("mistakes").count("cannot be read any more") == 1
    assert len(page.images()) == 1


def test_images_that_could_not_be_scored_are_counted(make_run: Any, write: Any, page: Page) -> None:
    run = make_run()
    run.evaluations["test"] = replace(run.evaluations["test"], skipped=(Skipped(Path("a.jpg"), "damaged"),) * 2)
    assert "2 more could not be read and count nowhere." in write(run).text
    assert "count nowhere" not in page.text


def test_a_class_never_answered_and_one_without_images(make_run: Any, write: Any) -> None:
    cells = write(make_run(answers=[(0, 0), (1, 0), (1, 0)])).cells("classes")
    assert cells[1] == ["dress", "2", "–", "0.000", "0.000"]
    assert cells[2] == ["shirt", "0", "–", "–", "–"]


def test_without_test_images_validation_judges_and_it_says_so(make_run: Any, write: Any) -> None:
    page = write(make_run(splits=("validation",)))
    assert "5 of 7 validation images were named right" in page.text
    assert "these also chose the best epoch, so the score flatters" in page.text
    assert "validation images were named: right answers" in page.section("confusion")


def test_without_any_score(make_run: Any, write: Any) -> None:
    page = write(make_run(splits=()))
    assert "This run has no score" in page.text
    assert 'id="confusion"' not in page.html
    assert "#confusion" not in page.loads


def test_scores_without_their_answers_leave_calibration_and_mistakes_out(make_run: Any, write: Any) -> None:
    run = make_run()
    run.evaluations = {}
    page = write(run)
    assert 'id="classes"' in page.html
    assert not {"calibration", "mistakes"} & set(page.ids)
    assert not {"#calibration", "#mistakes"} & set(page.loads)


@pytest.mark.parametrize("missing", [math.nan, math.inf, None])
def test_losses_that_are_no_numbers(make_run: Any, write: Any, missing: float | None) -> None:
    run = make_run(splits=(), epochs=3)
    run.results["epochs"][1]["train_loss"] = missing
    assert "no numbers" not in write(run).section("curves")
    for epoch in run.results["epochs"]:
        epoch.update(train_loss=missing, validation_loss=missing, images_per_s=missing, data_wait_share=missing)
    curves = write(run).section("curves")
    assert curves.count("<svg") == 4
    assert curves.count(">no numbers</text>") == 3  # loss, speed and wait


def test_no_epoch_one_epoch_and_no_best_one(make_run: Any, write: Any) -> None:
    assert "No epoch was finished." in write(make_run(splits=())).text
    assert "1 epoch." in write(make_run(splits=(), epochs=1)).text


def test_trained_from_scratch(make_run: Any, write: Any) -> None:
    page = write(make_run(start_weights=None))
    assert page.text.count("rained from scratch") == 2
    assert "http" not in page.html.replace("http-equiv", "")


def test_skipped_images_are_named_and_counted(make_run: Any, write: Any, page: Page) -> None:
    run = make_run()
    run.results["data"]["skipped"] = [
        {"path": f"hat/{at}.jpg", "rule": "truncated", "detail": "ends early"} for at in range(60)
    ]
    text = write(run).text
    assert "60 skipped images" in text
    assert "hat/49.jpg : truncated, ends early" in text
    assert "hat/50.jpg" not in text
    assert "and 10 more" in text
    assert "No image was skipped." in page.text


def test_what_data_brings_is_shown_and_never_run(make_run: Any, write: Any) -> None:
    evil = "<script>alert(1)</script>"
    quoted = "\" onerror='x' $a_1$ {{ 7*7 }}"
    run = make_run(
        classes=(evil, quoted, "&amp;"), answers=[(0, 1), (1, 2), (2, 0), (0, 0)], name=evil, machine={evil: evil}
    )
    run.results["data"].update(path=evil, skipped=[{"path": evil, "rule": evil, "detail": quoted}])
    run.results["recipe"]["card"]["data"] = evil
    run.results["start_weights"]["name"] = evil
    page = write(run, [overlay(f"{evil}/{quoted}.jpg", evil, quoted)])
    assert "script" not in page.tags
    assert "onerror" not in page.attributes
    assert page.text.count(evil) >= 12
    assert page.text.count(quoted) >= 6  # the second class, in the matrix too, with its dollars
    assert "&amp;amp;" in page.html
    assert "49" not in re.sub(r"base64,[^\"]*", "", page.section("classes"))


def test_names_that_are_no_text_can_be_shown(make_run: Any, write: Any) -> None:
    page = write(make_run(classes=("caf\udce9", "靴\x07", "🧦" * 40)), [overlay("caf\udce9/a.jpg")])
    assert r"caf\udce9" in page.text
    assert "�" in page.section("confusion")
    assert "🧦" * 27 + "…" in page.section("confusion")
    assert "🧦" * 40 in page.section("classes")


@pytest.mark.parametrize("count", [2, 30, 100, 150])
def test_few_and_many_classes(make_run: Any, write: Any, count: int) -> None:
    classes = [f"class number {label}" for label in range(count)]
    answers = [(label, (label + shift) % count) for label in range(count) for shift in (0, 0, 0, 1)]
    page = write(make_run(classes=classes, answers=answers, splits=("test",)))
    section = page.section("confusion")
    assert len(page.html) < 3e6
    assert ("top-5" in page.text) == (count > 5)
    names = re.findall(r"<text[^>]*>(class number \d+)</text>", section)
    assert sorted(names) == (sorted(classes * 2) if count <= 120 else [])
    sizes = [float(size) for size in re.findall(r"font-size: ([\d.]+)px", section)]
    assert min(sizes) >= 6
    assert len(re.findall(r"<text[^>]*>[13]</text>", section)) == 2 * count


def test_the_numbers_of_a_full_matrix_of_many_classes_are_left_to_the_colours(make_run: Any, write: Any) -> None:
    count = 80
    answers = [(truth, answer) for truth in range(count) for answer in range(count)]
    run = make_run(classes=[f"c{label}" for label in range(count)], answers=[(0, 0)])
    probabilities = np.zeros((len(answers), count), np.float32)
    probabilities[np.arange(len(answers)), [answer for _, answer in answers]] = 1
    paths = run.evaluations["test"].paths * len(answers)
    labels = np.array([truth for truth, _ in answers])
    run.evaluations["test"] = Evaluation("test", run.evaluations["test"].classes, paths, labels, probabilities)
    run.results["scores"]["test"]["confusion"] = [[1] * count] * count
    page = write(run)
    assert re.findall(r"<text[^>]*>1</text>", page.section("confusion")) == []
    assert len(page.html) < 3e6


def test_drawings_are_well_formed_and_take_the_pages_colours(page: Page) -> None:
    drawings = re.findall(r"<svg.*?</svg>", page.html, re.DOTALL)
    for drawing in drawings:
        ET.fromstring(drawing.replace("<svg", '<svg xmlns:xlink="x"', 1))
        assert "currentColor" in drawing
        assert "var(--blue)" in drawing or "<image" in drawing
        coloured = re.findall(r"<(\w+)[^>]*(?:fill|stroke): (#\w+)", drawing)
        assert set(coloured) <= {("text", "#ffffff")}  # on the strong cells of the matrix
    assert "#010203" not in page.html
    declared = set(re.findall(r"(--\w+):", page.html))
    assert set(re.findall(r"var\((--\w+)\)", page.html)) <= declared


def test_the_same_results_give_the_same_file(make_run: Any, write: Any) -> None:
    run = make_run(epochs=2)
    assert write(run).html == write(run).html


def test_nothing_of_matplotlib_stays_changed(make_run: Any, write: Any) -> None:
    def settings() -> dict[str, Any]:
        return {name: mpl.rcParams[name] for name in mpl.rcParams if name != "backend"}  # reading that chooses one

    before = settings()
    write(make_run())
    assert settings() == before


def test_no_window_system_is_touched() -> None:
    program = (
        "import sys; from litevision.training.report import page, plots; "
        "plots.confusion_matrix([[1, 0], [0, 2]], 'ab'); print({'matplotlib.pyplot', 'tkinter'} & set(sys.modules))"
    )
    done = subprocess.run([sys.executable, "-W", "error", "-c", program], capture_output=True, text=True, check=True)
    assert done.stdout == "set()\n"


def test_a_report_that_fails_leaves_the_old_one(make_run: Any, write: Any, tmp_path: Path) -> None:
    write(make_run())
    before = (tmp_path / "report.html").read_bytes()
    run = make_run()
    del run.results["network"]["macs"]
    with pytest.raises(Exception, match="macs"):
        write(run)
    assert (tmp_path / "report.html").read_bytes() == before
    assert [path.name for path in tmp_path.iterdir() if path.is_file()] == ["report.html"]


def test_heat_shows_where_it_is(make_run: Any, write: Any) -> None:
    page = write(make_run(splits=()), [overlay()])
    plain, heated = (
        np.asarray(Image.open(io.BytesIO(base64.b64decode(uri.split(",")[1])))).astype(float) for uri in page.images()
    )
    assert np.abs(plain - 128).max() < 4
    cold, hot = heated[:, :16].mean((0, 1)), heated[:, 24:].mean((0, 1))
    assert hot.mean() > cold.mean() + 50
    assert hot[0] > hot[2] + 30  # yellow


def test_the_warmer_the_lighter() -> None:
    ramp = np.linspace(0, 1, 16, dtype=np.float32)[None]
    light = _heated(np.full((1, 16, 3), 90, np.uint8), ramp)[0] @ [0.299, 0.587, 0.114]
    assert all(after > before for before, after in pairwise(light))


@pytest.mark.parametrize("show_outside", [False, True])
def test_images_outside_the_data_are_shown_where_it_is_said(tmp_path: Path, show_outside: bool) -> None:
    (tmp_path / "ds").mkdir()
    recipe = SimpleNamespace(run=replace(Run(), show_outside=show_outside))
    plan: Any = SimpleNamespace(recipe=recipe, data=SimpleNamespace(root=tmp_path / "ds"))
    shown = shown_images(plan)
    assert [shown(tmp_path / name) for name in ("ds/cat/0.png", "far/0.png", "ds/../far/0.png")] == [
        True,
        show_outside,
        show_outside,
    ]
