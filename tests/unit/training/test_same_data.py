"""A resumed run goes on with the data that it was planned with, or says what of it changed."""

import json
import os
from collections.abc import Callable
from pathlib import Path

import pytest

from images import encoded
from litevision.errors import DataError, LitevisionError
from litevision.training.plan import make_plan, read_plan
from litevision.training.recipe_file import make_recipe
from litevision.training.same_data import require_same_data
from shapes import RECIPE, write_shapes
from trainings import coloured, tiny_recipe, write_colours


def planned(data: Path, folder: Path) -> Path:
    recipe = make_recipe(RECIPE, task="detection") if (data / "Annotations").exists() else tiny_recipe()
    make_plan(data, recipe, "mine")[0].write(folder)
    return folder


def resume(run: Path) -> None:
    require_same_data(read_plan(run), run)


def repaint(path: Path, seed: int) -> None:
    """Other content, and neither size nor date tell."""
    before, old = path.stat(), path.read_bytes()
    new = encoded(coloured(0, seed))
    path.write_bytes((new + bytes(len(old)))[: max(len(old), len(new))])
    os.utime(path, ns=(before.st_atime_ns, before.st_mtime_ns))


def swap_two(data: Path) -> None:
    """Each image of two has the other's content: the same bytes, names and sizes in all."""
    one, other = data / "train/blue/0.png", data / "train/red/0.png"
    first, second = one.read_bytes(), other.read_bytes()
    one.write_bytes(second)
    other.write_bytes(first)


def relabel(data: Path) -> None:
    (data / "train/blue/1.png").rename(data / "train/red/moved.png")


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (lambda data: repaint(data / "train/blue/0.png", 99), "1 image has other content (such as "),
        (lambda data: repaint(data / "test/blue/0.png", 99), "1 image has other content (such as "),
        (swap_two, "2 images have other content (such as "),
    ],
)
def test_images_of_other_content_are_counted_and_refused(
    change: Callable[[Path], None], said: str, tmp_path: Path
) -> None:
    data = write_colours(tmp_path / "data", 3)
    run = planned(data, tmp_path / "run")
    resume(run)
    change(data)
    with pytest.raises(DataError) as error:
        resume(run)
    assert said in str(error.value)
    assert "Bring the files back" in str(error.value)
    assert "\n" not in str(error.value)


def test_a_removed_image_is_named(tmp_path: Path) -> None:
    data = write_colours(tmp_path / "data", 3)
    run = planned(data, tmp_path / "run")
    relabel(data)
    with pytest.raises(LitevisionError, match=r"1\.png: gone"):
        resume(run)


def test_added_images_are_said_and_left_out(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    data = write_colours(tmp_path / "data", 3)
    run = planned(data, tmp_path / "run")
    for name in ("new", "newer"):
        (data / f"train/red/{name}.png").write_bytes(encoded(coloured(2, 77)))
    resume(run)
    assert "2 images added since the run was planned (such as" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("old", "new", "said"),
    [
        ("<name>green", "<name>red", "1 image has other labels"),
        ("</annotation>", "<note/></annotation>", None),
    ],
)
def test_changed_labels_of_boxes_are_counted_and_refused(old: str, new: str, said: str | None, tmp_path: Path) -> None:
    data = write_shapes(tmp_path / "data")
    run = planned(data, tmp_path / "run")
    resume(run)
    labels = next(path for path in sorted((data / "Annotations").iterdir()) if old in path.read_text())
    labels.write_text(labels.read_text().replace(old, new, 1))
    if said is None:
        resume(run)
        return
    with pytest.raises(DataError, match=said):
        resume(run)


def test_a_run_that_does_not_know_its_images_says_so(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """As those of 0.1.0."""
    run = planned(write_colours(tmp_path / "data", 3), tmp_path / "run")
    plan = json.loads((run / "plan.json").read_text())
    del plan["digests"]
    (run / "plan.json").write_text(json.dumps(plan))
    resume(run)
    assert "whether they changed is not checked" in capsys.readouterr().err
