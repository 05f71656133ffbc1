"""What the model card of a detector says that no other does."""

import json
import shlex
from collections.abc import Mapping, Sequence
from typing import Any

from litevision.image import Crop
from litevision.tasks.report import CardSections
from litevision.training.report import facts
from litevision.training.report.card import data_section, plain, spread_text, table, weakest_classes

_SPREAD = (("AP", "ap", ""), ("AP50", "ap50", ""))
_PROGRAM = """\
import json

import numpy as np
import onnxruntime
from PIL import Image, ImageOps

session = onnxruntime.InferenceSession({path})
about = json.loads(session.get_modelmeta().custom_metadata_map["litevision"])
height, width = about["preprocess"]["size_hw"]
how = Image.Resampling[about["preprocess"]["interpolation"].upper()]
photo = ImageOps.exif_transpose(Image.open("photo.jpg")).convert("RGB")
{fit}
found = session.run(["boxes", "scores", "classes"], {{"images": np.asarray(image)[None]}})
for box, score, index in zip(*(each[0] for each in found)):
    if score >= about["score_thresholds"][index]:
        box = (box - shift) / scale  # px of the photo
        print(f"{{score:.3f}} {{about['labels'][index]}} {{box.round(1).tolist()}}")
"""

_FIT: dict[Crop, str] = {
    "stretch": """\
image = photo.resize((width, height), how)
scale, shift = np.array([width / photo.width, height / photo.height] * 2), 0""",
    "letterbox": """\
image = ImageOps.pad(photo, (width, height), how, color=(114, 114, 114))
inside = ImageOps.contain(photo, (width, height)).size
scale = np.array([inside[0] / photo.width, inside[1] / photo.height] * 2)
shift = np.array([round((width - inside[0]) / 2), round((height - inside[1]) / 2)] * 2)""",
}


def card_sections(results: facts.Results, seeds: Sequence[facts.Results] = ()) -> CardSections:
    """The sections of a detector's card; ``seeds`` are the scores of the same recipe with one seed each."""
    network, path = results["network"], results["bundle"]["path"]
    height, width = network["size_hw"]
    return CardSections(
        what_it_is=f"A detector of {len(results['data']['classes']):,} classes of objects: "
        f"{built_on(network)}{network['architecture']} (dialect {network['dialect']}, width "
        f"{network['width_mult']:g}), trained with litevision {results['litevision']} on {results['created']}.",
        limits=_limits(results),
        data=_data(results),
        score=_score(results, seeds),
        input_title="Input and output",
        input=f"`images`: uint8, N x {height} x {width} x 3, RGB, any N; normalisation is inside the graph. Outputs, "
        "the surest first: `boxes`, float32, N x K x 4, (x1, y1, x2, y2) in px of that input; `scores`, float32, "
        "N x K; `classes`, int64, N x K, the place among the labels above.",
        check=f"every box is there, and scores differ by at most {results['bundle']['check']['max_abs_diff']:.2g}",
        command=f"detect photo.jpg --model {shlex.quote(path)} --save found",
        code=snippet(path, results["preprocess"]["crop"]),
    )


def built_on(network: Mapping[str, Any]) -> str:
    """What stands on the backbone, to be followed by its name; empty where the name says it."""
    return f"CenterNet (neck {network['neck']}) on " if "neck" in network else ""


def _limits(results: facts.Results) -> list[str]:
    lines = [
        "For finding objects in images like those that it was trained on, at about the size that they have there.",
        "It finds nothing that its labels do not name, and it misses objects and sees some that are not there: the "
        "table below says how many.",
        f"It gives at most {results['recipe']['detection']['top_k']} boxes for an image.",
        "Images that look different (another camera, light or background) are searched less well than the score "
        "below says; measure it on yours with `litevision evaluate`.",
        "Not for decisions about people, nor where a missed object does harm and nobody looks.",
    ]
    if weakest := weakest_classes(results, "ap50", facts.share):
        lines.append(f"The classes that it is weakest at, with their AP50: {weakest}.")
    return lines


def _data(results: facts.Results) -> str:
    skipped = results["data"]["skipped"]
    excluded = sum(one["rule"] == "excluded" for one in skipped)
    left_out = (
        f"Labels in error, which were left out: {len(skipped) - excluded:,}; images left out by the recipe: "
        f"{excluded:,}"
    )
    images = ", ".join(f"{count:,} of {split}" for split, count in results["data"]["images"].items())
    return f"{data_section(results, left_out)}\n\nThe table counts boxes. Images: {images}."


def _score(results: facts.Results, seeds: Sequence[facts.Results]) -> str:
    split = facts.judged_split(results)
    if split is None:
        return "Not measured."
    scores = results["scores"][split]
    by_size = ", ".join(f"{size} {facts.share(scores[f'ap_{size}'])}" for size in ("small", "medium", "large"))
    text = (
        f"Measured from the model file, in onnxruntime, on {scores['count']:,} {split} images with "
        f"{scores['boxes']:,} boxes, as COCO does: AP {facts.share(scores['ap'])}{_interval(scores, 'ap')}, AP50 "
        f"{facts.share(scores['ap50'])}{_interval(scores, 'ap50')}, AP75 "
        f"{facts.share(scores['ap75'])}; AP by size: {by_size}.\n\n"
    )
    if seeds:
        text += f"{spread_text(results, seeds, _SPREAD, digits=3)}\n\n"
    rows = [
        (
            plain(row["name"]),
            f"{row['count']:,}",
            facts.share(row["ap"]),
            facts.share(row["ap50"]),
            facts.share(at["threshold"]),
            *(facts.share(at[key]) for key in ("precision", "recall", "f1")),
        )
        for row, at in zip(scores["per_class"], results["at_thresholds"], strict=True)
    ]
    seen = " (which were trained on)" if facts.learned_from_validation(results) else ""
    header = ("class", f"{split} boxes", "AP", "AP50", "threshold", "precision", "recall", "F1")
    return (
        text
        + table(header, rows, numbers_from=1)
        + f"\n\nThreshold: the score from which on a box counts, chosen on the validation images{seen} and kept in "
        "the model file; precision, recall and F1 are those at it, at IoU 0.5."
    )


def _interval(scores: facts.Results, name: str) -> str:
    interval = scores.get(f"{name}_interval")
    low, high = map(facts.share, interval) if interval else ("", "")
    return f" (95 % bootstrap interval {low} to {high})" if interval else ""


def snippet(path: str, crop: Crop) -> str:
    """A Python program that finds objects in ``photo.jpg`` with the bundle at ``path``."""
    return _PROGRAM.format(path=json.dumps(path), fit=_FIT[crop])
