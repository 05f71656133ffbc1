"""The model card of a run, in Markdown that shows what it is given, whatever that is."""

import html
import re
import statistics
from collections.abc import Callable, Iterable, Mapping, Sequence

import tomli_w

from litevision.tables import pluralise
from litevision.tasks import DEFAULT, task_of
from litevision.training.report import facts

_WEAKEST = 3
_SPECIAL = re.compile(r"([\\`*_\[\]|#~])")
_UNKNOWN = "unknown"  # as the recipe says it where nobody told


def model_card(results: facts.Results, seeds: Sequence[facts.Results] = ()) -> str:
    """What a stranger must know before using the model, and how to use it.

    Args:
        results: as ``results.json`` holds them. The bundle's ``preprocess``, and the data's ``description`` and
            ``licence``, are read where they are there.
        seeds: scores, on the same images, of the same recipe with one seed each.
    """
    task = task_of(results.get("task", DEFAULT))
    given = task.card_sections(results, seeds)
    warnings = results.get("warnings") or ()
    sections = {
        **({"Warnings": bulleted(list(map(plain, warnings)))} if warnings else {}),
        "What it is": f"{given.what_it_is}\n\n{file_table(results)}",
        "Intended use and limits": bulleted(given.limits),
        "Labels": ", ".join(map(plain, results["data"]["classes"])),
        "Data": given.data,
        "Score": given.score,
        given.input_title: f"{given.input} {image_in_words(results)}",
        "Weights it started from": start_section(results),
        "Check at export": check_section(results, given.check),
        "How to use it": use_section(given.command, given.code),
        **_recipes(results),
        "Training": training_section(results),
    }
    return document(results["name"], facts.score_in_words(results), sections)


def spread_text(
    results: facts.Results, seeds: Sequence[facts.Results], figures: Iterable[tuple[str, str, str]], *, digits: int
) -> str:
    """What the same recipe scores with other seeds, on average and each.

    Args:
        results: of the run whose card it is.
        seeds: the scores of each run.
        figures: of each score its name, its key, and its unit with a space before it.
        digits: behind the point.
    """
    averaged = results.get("averaged")
    what = "One run of the first recipe below, not averaged with others," if averaged else "The same recipe"
    told = []
    for name, key, unit in figures:
        values = [seed[key] for seed in seeds]
        mean = f"{name} {statistics.fmean(values):.{digits}f}{unit}"
        if len(values) > 1:
            each = ", ".join(f"{value:.{digits}f}" for value in values)
            mean += f" on average, standard deviation {statistics.stdev(values):.{digits}f} ({each})"
        told.append(mean)
    return f"{what} with {pluralise(len(seeds), 'seed') if len(seeds) > 1 else 'one seed'}: {'; '.join(told)}."


def file_table(results: facts.Results) -> str:
    """The model file, how large and how dear it is."""
    network, bundle = results["network"], results["bundle"]
    return (
        table(
            ("file", "size", "parameters", "MACs", "sha256"),
            [
                (
                    plain(bundle["path"]),
                    f"{bundle['bytes'] / 1e6:.1f} MB",
                    f"{network['num_params']:,}",
                    f"{network['macs']:,}",
                    bundle["sha256"],
                )
            ],
        )
        + "\n\nOne MAC is one multiply-add, for one image."
    )


def weakest_classes(results: facts.Results, figure: str, shown: Callable[[float], str]) -> str:
    """The classes whose ``figure`` is lowest on the images that the run is judged by, the lowest first."""
    split = facts.judged_split(results)
    per_class = results["scores"][split]["per_class"] if split else []
    measured = sorted((row for row in per_class if row[figure] is not None), key=lambda row: row[figure])
    return ", ".join(f"{plain(row['name'])} ({shown(row[figure])})" for row in measured[:_WEAKEST])


def data_section(results: facts.Results, left_out: str | None = None) -> str:
    """What was learned from, by class and split, and what was ``left_out``; by default images."""
    data = results["data"]
    description, licence = data.get("description", _UNKNOWN), data.get("licence", _UNKNOWN)
    splits = data["counts"]
    rows = [(plain(name), *row) for name, row in zip(data["classes"], zip(*splits.values(), strict=True), strict=True)]
    made = "split by litevision, each class on its own" if data["made_splits"] else "split as they came"
    what = "" if description == _UNKNOWN else f" {plain(description).rstrip('.')}."
    skipped = len(data["skipped"])
    left_out = left_out or f"{pluralise(skipped)} could not be used"
    text = f"Folder or table: {plain(data['path'])}, {made}.{what} Licence: {plain(licence)}. {left_out}."
    if facts.learned_from_validation(results):
        text += " Once every choice was made, the validation images were trained on too; they judge nothing here."
    return f"{text}\n\n" + table(("class", *splits), [*rows, ("all", *map(sum, splits.values()))], numbers_from=1)


def image_in_words(results: facts.Results) -> str:
    """What makes the model's input of an image."""
    preprocess = results.get("preprocess")
    if preprocess is None:
        return "How an image is resized and cropped stands in the file, under `litevision`."
    how = {
        "center": f"resized to a shorter side of {preprocess['resize_px']} px, then cropped in the middle",
        "stretch": "resized straight to this size",
        "letterbox": "fitted inside this size and padded with grey 114",
    }
    return f"An image is turned upright and {how[preprocess['crop']]} ({preprocess['interpolation']})."


def start_section(results: facts.Results) -> str:
    """Where the first weights came from."""
    start = results["start_weights"]
    if not start:
        return facts.start_in_words(results)
    return table(
        ("weights", "provenance", "licence", "sha256"),
        [tuple(plain(start[key]) for key in ("name", "provenance", "licence", "sha256"))],
    )


def check_section(results: facts.Results, found: str) -> str:
    """What the model file was compared with, and what was ``found``."""
    check = results["bundle"]["check"]
    return (
        f"The model file was compared with the trained network on {check['images']} images in "
        f"{plain(check['engine'])}: {found}."
    )


def use_section(command: str, code: str) -> str:
    """How to use the model file: litevision's ``command``, and Python ``code`` without litevision."""
    command = f"litevision {command}\n"
    return (
        f"With litevision (`pip install litevision`, no torch):\n\n{fenced('sh', command)}\n\n"
        f"With numpy, Pillow and onnxruntime alone:\n\n{fenced('python', code)}"
    )


def _recipes(results: facts.Results) -> dict[str, str]:
    """The recipe, or that of each run whose weights were averaged."""
    averaged = results.get("averaged") or []
    if not averaged:
        return {"Recipe": fenced("toml", tomli_w.dumps(results["recipe"]))}
    return {f"Recipe of {plain(run['name'])}": fenced("toml", tomli_w.dumps(run["recipe"])) for run in averaged}


def training_section(results: facts.Results) -> str:
    """How long it took, and on what machine."""
    averaged = results.get("averaged") or []
    if averaged:
        names = ", ".join(plain(run["name"]) for run in averaged)
        return (
            f"The mean of the weights of {len(averaged)} runs from the same start, {names} (Wortsman et al. 2022, "
            "arXiv:2203.05482); the statistics of batch normalisation were then measured anew on training images. "
            "The validation images chose the runs."
        )
    epochs = results["epochs"]
    minutes = sum(facts.finite(epoch.get("seconds")) for epoch in epochs) / 60
    took = (
        f" in {pluralise(round(minutes), 'minute') if minutes >= 1 else 'under a minute'}" if minutes == minutes else ""
    )
    best = f"; epoch {results['best_epoch']} was kept" if results["best_epoch"] else ""
    machine = "; ".join(f"{key}: {plain(value)}" for key, value in facts.flat(results["machine"]))
    return f"{pluralise(len(epochs), 'epoch')}{took}{best}; seed {results['seed']}; {machine}."


def document(title: str, summary: str, sections: Mapping[str, str]) -> str:
    """A document of sections by their titles."""
    body = "\n\n".join(f"## {name}\n\n{text}" for name, text in sections.items())
    return f"# {plain(title)}\n\n{summary}\n\n{body}\n"


def table(header: Sequence[str], rows: Sequence[Sequence[object]], *, numbers_from: int | None = None) -> str:
    """A Markdown table; columns from ``numbers_from`` on are set flush right."""
    right = range(len(header) if numbers_from is None else numbers_from, len(header))
    rules = ["---:" if column in right else "---" for column in range(len(header))]
    return "\n".join(f"| {' | '.join(map(str, row))} |" for row in (header, rules, *rows))


def bulleted(lines: Iterable[str]) -> str:
    """A list of points."""
    return "\n".join(f"- {line}" for line in lines)


def plain(text: object) -> str:
    """``text`` so that Markdown and HTML show it as it is."""
    one_line = " ".join(str(text).encode("utf-8", "backslashreplace").decode().split())
    return _SPECIAL.sub(r"\\\1", html.escape(one_line, quote=False))


def fenced(language: str, text: str) -> str:
    """A code block whose fence is longer than any in ``text``."""
    fence = "`" * max(3, 1 + max(map(len, re.findall("`+", text)), default=0))
    return f"{fence}{language}\n{text}{fence}"
