"""litevision classify: name what pictures show."""

import sys
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from litevision.errors import FileMissingError, ImageError, LitevisionError, UsageError

if TYPE_CHECKING:
    from litevision.runtime import Classifier, Prediction

    # A picture's path, and what became of it.
    Outcome = tuple[str, list[Prediction] | LitevisionError]

_PROGRESS_FROM = 20  # fewer pictures are done before anyone wonders


def classify(
    inputs: Annotated[list[str], typer.Argument(metavar="PHOTO|FOLDER", help="Pictures, or folders of pictures.")],
    model: Annotated[str, typer.Option(help="A model's name, or the path of a bundle (.onnx).")] = "mobilenet_v2",
    top: Annotated[int, typer.Option(min=1, help="How many classes to name.")] = 5,
    recursive: Annotated[bool, typer.Option("--recursive", help="Look into folders in folders.")] = False,
    as_json: Annotated[bool, typer.Option("--json", help="Print one JSON document.")] = False,
    csv: Annotated[Path | None, typer.Option(metavar="FILE", help="Write path,rank,index,label,score there.")] = None,
) -> None:
    """Name what pictures show, with scores from 0 to 1.

    A picture that cannot be read is reported, the others are still named, and the exit code is 1.
    """
    import json

    if csv:
        _check_writable(csv)
    outcomes = list(_outcomes(inputs, model, top, recursive=recursive))
    errors = [answer for _, answer in outcomes if isinstance(answer, LitevisionError)]
    if errors and len(outcomes) == 1:
        raise errors[0]
    for error in errors:
        print(f"error: {error}", file=sys.stderr)
    if csv:
        _write_csv(csv, outcomes)
        print(f"wrote {csv}: {len(outcomes) - len(errors)} pictures", file=sys.stderr)
    if as_json:
        print(json.dumps({"model": model, "results": [_plain(path, answer) for path, answer in outcomes]}))
    elif not csv:
        _print_table(outcomes)
    if errors:
        raise typer.Exit(1)


def _outcomes(inputs: list[str], model: str, top: int, *, recursive: bool) -> Iterator["Outcome"]:
    found = [(path, error) for given in inputs for path, error in _find(given, recursive=recursive)]
    hidden = len(found) < _PROGRESS_FROM or not sys.stderr.isatty()
    classifier = None
    with typer.progressbar(found, label="classify", file=sys.stderr, hidden=hidden) as steps:
        for path, error in steps:
            if error is not None:
                yield path, error
                continue
            # Here, because a wrong path should not cost the download of a model.
            classifier = classifier or _load(model)
            try:
                yield path, classifier.classify(path, top)
            except (ImageError, FileMissingError) as unreadable:
                yield path, unreadable


def _find(given: str, *, recursive: bool) -> list[tuple[str, LitevisionError | None]]:
    from litevision.image import list_pictures

    try:
        return [(str(path), None) for path in list_pictures(given, recursive=recursive)]
    except LitevisionError as error:
        return [(given, error)]


def _load(model: str) -> "Classifier":
    from litevision.runtime import load

    if model.lower().endswith(".onnx"):
        return load(model)
    from litevision.export.cached import bundle_for

    return load(bundle_for(model))


def _plain(path: str, answer: "list[Prediction] | LitevisionError") -> dict[str, Any]:
    from dataclasses import asdict

    if isinstance(answer, LitevisionError):
        return {"path": path, "error": str(answer)}
    return {"path": path, "predictions": [asdict(prediction) for prediction in answer]}


def _rows(outcomes: list["Outcome"]) -> Iterator[tuple[str, int, "Prediction"]]:
    """Path, rank and prediction; what could not be read has no rows."""
    for path, answer in outcomes:
        if not isinstance(answer, LitevisionError):
            yield from ((path, rank, prediction) for rank, prediction in enumerate(answer, start=1))


def _print_table(outcomes: list["Outcome"]) -> None:
    rows = [(_printable(path), str(rank), it.label, f"{it.score:.4f}") for path, rank, it in _rows(outcomes)]
    if not rows:
        return
    rows.insert(0, ("path", "rank", "label", "score"))
    path_width, label_width = (max(len(row[column]) for row in rows) for column in (0, 2))
    for path, rank, label, score in rows:
        print(f"{path:<{path_width}}  {rank:>4}  {label:<{label_width}}  {score:>6}")


def _printable(path: str) -> str:
    """The path with line breaks, terminal codes and undecodable bytes escaped."""
    return path if path.isprintable() else repr(path)[1:-1]


def _check_writable(file: Path) -> None:
    """Refuses what cannot be written, before the work rather than after it."""
    import os

    if file.is_dir() or not file.parent.is_dir() or not os.access(file.parent, os.W_OK):
        raise UsageError(f"--csv {file}: not a file that can be written. Give one in an existing folder.")


def _write_csv(file: Path, outcomes: list["Outcome"]) -> None:
    """Writes beside ``file`` first, so that nobody ever reads a half-written one."""
    import csv
    import os

    partial = file.with_name(f".{file.name}.{os.getpid()}.part")
    try:
        with partial.open("w", encoding="utf-8", errors="surrogateescape", newline="") as stream:
            writer = csv.writer(stream, lineterminator="\n")
            writer.writerow(("path", "rank", "index", "label", "score"))
            writer.writerows((path, rank, it.index, it.label, it.score) for path, rank, it in _rows(outcomes))
        partial.replace(file)
    finally:
        partial.unlink(missing_ok=True)
