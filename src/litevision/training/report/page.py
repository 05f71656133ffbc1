"""The report of a run: one HTML file that needs nothing else, on paper, on a phone, in the light and in the dark."""

import base64
import io
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt
import tomli_w
from jinja2 import ChoiceLoader, Environment, PackageLoader, StrictUndefined
from PIL import Image

from litevision.data.outside import DataFolder
from litevision.errors import LitevisionError
from litevision.files import atomic_write
from litevision.image import Preprocess
from litevision.image.decode import open_image
from litevision.tasks import DEFAULT, task_of
from litevision.training.report import facts, plots

if TYPE_CHECKING:
    from litevision.training.plan import Plan

NAME = "report.html"
THUMBNAIL_PX = 192
_FIT = Preprocess((THUMBNAIL_PX, THUMBNAIL_PX), THUMBNAIL_PX, "letterbox")
_JPEG_QUALITY = 80
_MOST_SKIPPED = 50


def write_report(folder: Path, results: facts.Results, parts: Mapping[str, Any]) -> Path:
    """Writes ``report.html`` into ``folder``, whole or not at all, and gives its path.

    Args:
        folder: exists already.
        results: as ``results.json`` holds them; a number that is NaN or missing is shown as a dash or a gap.
        parts: what the task's own template, ``page.html`` in its package, is filled with.
    """
    task, epochs = task_of(results.get("task", DEFAULT)), results["epochs"]
    environment = Environment(
        loader=ChoiceLoader([PackageLoader("litevision.training.report", "."), PackageLoader("litevision.tasks", ".")]),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters.update(percent=facts.percent, share=facts.share, millions=facts.in_millions, flat=facts.flat)
    html = environment.get_template(f"{task.name}/page.html").render(
        run=results,
        headline=facts.score_in_words(results),
        warnings=results.get("warnings") or (),
        curves=plots.curves(epochs, results["best_epoch"], task.score_curve) if epochs else [],
        split=facts.judged_split(results),
        start=facts.start_in_words(results),
        learned_from_validation=facts.learned_from_validation(results),
        counts=_counts(results["data"]),
        skipped=results["data"]["skipped"][:_MOST_SKIPPED],
        recipe=tomli_w.dumps(results["recipe"]),
        **parts,
    )
    path = folder / NAME
    with atomic_write(path) as partial:
        # A file name may hold bytes that are no text.
        partial.write_text(html, encoding="utf-8", errors="backslashreplace")
    return path


def _counts(data: Mapping[str, Any]) -> dict[str, Any]:
    """The table of classes by splits, with the sums of its rows and columns."""
    splits = data["counts"]
    rows = list(zip(data["classes"], zip(*splits.values(), strict=True), strict=True))
    return {"splits": list(splits), "rows": rows, "sums": list(map(sum, splits.values()))}


def shown_images(plan: "Plan[Any, Any]") -> Callable[[Path], bool]:
    """Which images a report shows: it is sent on, so that those outside the data's folder stay out of it."""
    if plan.recipe.run.show_outside:
        return lambda path: True
    folder = DataFolder(plan.data.root)
    return lambda path: folder.place_outside(path) is None


def thumbnail(path: Path) -> tuple[str, ...]:
    """The image of a file, reduced; nothing where it cannot be read any more."""
    try:
        image = open_image(path)
        x1, y1, x2, y2 = _FIT.geometry(image.upright_hw).target_xyxy
        return (pixels_uri(_FIT(image)[y1:y2, x1:x2]),)
    except LitevisionError:  # it was there when it was scored
        return ()


def pixels_uri(image_u8_hwc: npt.NDArray[np.uint8]) -> str:
    """Pixels, ``uint8[H, W, 3]``, reduced."""
    image = Image.fromarray(np.ascontiguousarray(image_u8_hwc))
    image.thumbnail((THUMBNAIL_PX, THUMBNAIL_PX))
    return data_uri(image)


def data_uri(image: Image.Image) -> str:
    """The image as a JPEG file inside a URI."""
    out = io.BytesIO()
    image.save(out, "JPEG", quality=_JPEG_QUALITY, optimize=True)
    return f"data:image/jpeg;base64,{base64.b64encode(out.getvalue()).decode()}"
