"""The model card of a detection run, in Markdown."""

import shlex

import tomli_w

from litevision.training.report import facts
from litevision.training.report.card import (
    check_section,
    data_section,
    file_table,
    image_in_words,
    start_section,
    training_section,
    use_section,
    weakest_classes,
)
from litevision.training.report.markdown import bulleted, document, fenced, plain, table
from litevision.training.report.snippet import detection_snippet


def detector_card(results: facts.Results) -> str:
    """What a stranger must know before using the detector, and how to use it; ``results`` as ``results.json`` holds."""
    sections = {
        "What it is": _identity(results),
        "Intended use and limits": _limits(results),
        "Labels": ", ".join(map(plain, results["data"]["classes"])),
        "Data": _data(results),
        "Score": _score(results),
        "Input and output": _input(results),
        "Weights it started from": start_section(results),
        "Check at export": _check(results),
        "How to use it": _use(results),
        "Recipe": fenced("toml", tomli_w.dumps(results["recipe"])),
        "Training": training_section(results),
    }
    return document(results["name"], facts.boxes_in_words(results), sections)


def _identity(results: facts.Results) -> str:
    network = results["network"]
    return (
        f"A detector of {len(results['data']['classes']):,} classes of objects: CenterNet (neck {network['neck']}) on "
        f"{network['architecture']} (dialect {network['dialect']}, width {network['width_mult']:g}), trained with "
        f"litevision {results['litevision']} on {results['created']}.\n\n" + file_table(results)
    )


def _limits(results: facts.Results) -> str:
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
    return bulleted(lines)


def _data(results: facts.Results) -> str:
    skipped = results["data"]["skipped"]
    excluded = sum(one["rule"] == "excluded" for one in skipped)
    left_out = (
        f"Labels in error, which were left out: {len(skipped) - excluded:,}; images left out by the recipe: "
        f"{excluded:,}"
    )
    images = ", ".join(f"{count:,} of {split}" for split, count in results["data"]["images"].items())
    return f"{data_section(results, left_out)}\n\nThe table counts boxes. Images: {images}."


def _score(results: facts.Results) -> str:
    split = facts.judged_split(results)
    if split is None:
        return "Not measured."
    scores = results["scores"][split]
    by_size = ", ".join(f"{size} {facts.share(scores[f'ap_{size}'])}" for size in ("small", "medium", "large"))
    text = (
        f"Measured from the model file, in onnxruntime, on {scores['count']:,} {split} images with "
        f"{scores['boxes']:,} boxes, as COCO does: AP {facts.share(scores['ap'])}, AP50 {facts.share(scores['ap50'])}, "
        f"AP75 {facts.share(scores['ap75'])}; AP by size: {by_size}.\n\n"
    )
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


def _input(results: facts.Results) -> str:
    height, width = results["network"]["size_hw"]
    return (
        f"`images`: uint8, N x {height} x {width} x 3, RGB, any N; normalisation is inside the graph. Outputs, the "
        "surest first: `boxes`, float32, N x K x 4, (x1, y1, x2, y2) in px of that input; `scores`, float32, N x K; "
        f"`classes`, int64, N x K, the place among the labels above. {image_in_words(results)}"
    )


def _check(results: facts.Results) -> str:
    difference = results["bundle"]["check"]["max_abs_diff"]
    return check_section(results, f"every box is there, and scores differ by at most {difference:.2g}")


def _use(results: facts.Results) -> str:
    path = results["bundle"]["path"]
    code = detection_snippet(path, results["preprocess"]["crop"])
    return use_section(f"detect photo.jpg --model {shlex.quote(path)} --save found", code)
