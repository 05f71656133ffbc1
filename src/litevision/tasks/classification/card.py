"""What the model card of a classifier says that no other does."""

import json
import shlex
from collections.abc import Sequence

from litevision.image import Crop
from litevision.runtime import Calibration
from litevision.tasks.report import CardSections
from litevision.training.report import facts
from litevision.training.report.card import data_section, plain, spread_text, table, weakest_classes

_SPREAD = (("top-1", "top1", " %"),)
_PROGRAM = """\
import json

import numpy as np
import onnxruntime
from PIL import Image, ImageOps

session = onnxruntime.InferenceSession({path})
about = json.loads(session.get_modelmeta().custom_metadata_map["litevision"])
preprocess = about["preprocess"]
height, width = preprocess["size_hw"]
how = Image.Resampling[preprocess["interpolation"].upper()]
photo = ImageOps.exif_transpose(Image.open("photo.jpg")).convert("RGB")
{fit}
(scores,) = session.run(["probabilities"], {{"images": np.asarray(photo)[None]}})[0]
for index in np.argsort(-scores)[:5]:
    print(f"{{scores[index]:.4f}} {{about['labels'][index]}}")
"""

_FIT: dict[Crop, str] = {
    "center": """\
size, short = preprocess["resize_px"], min(photo.size)
photo = photo.resize((size * photo.width // short, size * photo.height // short), how)
left, top = round((photo.width - width) / 2), round((photo.height - height) / 2)
photo = photo.crop((left, top, left + width, top + height))""",
    "stretch": "photo = photo.resize((width, height), how)",
    "letterbox": "photo = ImageOps.pad(photo, (width, height), how, color=(114, 114, 114))",
}


def card_sections(results: facts.Results, seeds: Sequence[facts.Results] = ()) -> CardSections:
    """The sections of a classifier's card; ``seeds`` are the scores of the same recipe with one seed each."""
    network, check, path = results["network"], results["bundle"]["check"], results["bundle"]["path"]
    height, width = network["size_hw"]
    return CardSections(
        what_it_is=f"A classifier of images with {len(results['data']['classes']):,} classes: "
        f"{network['architecture']} (dialect {network['dialect']}, width {network['width_mult']:g}), trained with "
        f"litevision {results['litevision']} on {results['created']}.",
        limits=_limits(results),
        data=data_section(results),
        score=_score(results, seeds),
        input_title="Input",
        input=f"`images`: uint8, N x {height} x {width} x 3, RGB, any N; normalisation is inside the graph. Output "
        f"`probabilities`: float32, N x {len(results['data']['classes'])}, in the order of the labels above.",
        check=f"probabilities differ by at most {check['max_abs_diff']:.2g}, "
        f"{facts.percent(100 * check['top1_agreement'])} of the top answers agree",
        command=f"classify photo.jpg --model {shlex.quote(path)}",
        code=snippet(path, (results.get("preprocess") or {}).get("crop", "center")),
    )


def calibration_in_words(calibration: Calibration) -> str:
    """When a classifier is unsure, and how that was found, as sentences."""
    return (
        f"An answer counts as unsure where the confidence in it is below {calibration.unsure_below:g}. The confidence "
        f"is the best class's probability at a temperature of {calibration.temperature:g}, which was fitted, as was "
        f"that limit, on {calibration.fitted_on}. The scores themselves are without it."
    )


def _calibrated(results: facts.Results) -> str:
    record = dict(results["calibration"])
    share = facts.percent(100 * record.pop("unsure_share"))
    return f"{calibration_in_words(Calibration(**record))} By that, {share} of the images above are unsure.\n\n"


def _limits(results: facts.Results) -> list[str]:
    lines = [
        "For naming images like those that it was trained on: one thing, one name.",
        "Every image gets one of the labels, also one that shows none of them; a low score, and the word unsure, are "
        "the only hints.",
        "Images that look different (another camera, light, background or culture) are named less well than the "
        "score below says; measure it on yours with `litevision evaluate`.",
        "Not for decisions about people, nor where a wrong name does harm and nobody looks.",
    ]
    if weakest := weakest_classes(results, "recall", lambda recall: facts.percent(100 * recall, 0)):
        lines.append(f"The classes that it misses most, with how many of their images it finds: {weakest}.")
    return lines


def _score(results: facts.Results, seeds: Sequence[facts.Results]) -> str:
    split = facts.judged_split(results)
    if split is None:
        return "Not measured."
    scores = results["scores"][split]
    top5 = "" if scores["top5"] is None else f", top-5 {facts.percent(scores['top5'])}"
    low, high = scores["top1_interval"]
    text = (
        f"Measured from the model file, in onnxruntime, on {scores['count']:,} {split} images: top-1 "
        f"{facts.percent(scores['top1'])} (95 % Wilson interval {facts.percent(low)} to {facts.percent(high)}){top5}, "
        f"macro F1 {facts.share(scores['macro_f1'])}, balanced accuracy {facts.share(scores['balanced_accuracy'])}, "
        f"expected calibration error {facts.share(scores['ece'])}.\n\n"
    )
    if results.get("calibration"):
        text += _calibrated(results)
    if seeds:
        text += f"{spread_text(results, seeds, _SPREAD, digits=1)}\n\n"
    rows = [
        (plain(row["name"]), f"{row['count']:,}", *(facts.share(row[key]) for key in ("precision", "recall", "f1")))
        for row in scores["per_class"]
    ]
    return text + table(("class", f"{split} images", "precision", "recall", "F1"), rows, numbers_from=1)


def snippet(path: str, crop: Crop) -> str:
    """A Python program that names ``photo.jpg`` with the bundle at ``path``, whose images are cropped by ``crop``."""
    return _PROGRAM.format(path=json.dumps(path), fit=_FIT[crop])
