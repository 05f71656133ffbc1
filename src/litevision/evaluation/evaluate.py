"""``litevision.evaluate``: how good a model is on labelled images, in the engine that will run it. No torch."""

import os
from pathlib import Path
from typing import TYPE_CHECKING

from litevision.evaluation.samples import select_split
from litevision.evaluation.scores import Scores
from litevision.hub import HasBundle, Model, find_bundle, load
from litevision.runtime import Bundle
from litevision.runtime.cpus import available_cpus
from litevision.tasks import task_of, task_of_data

if TYPE_CHECKING:
    from litevision.evaluation.coco import DetectionScores


def evaluate(
    model: Model,
    data: str | os.PathLike[str],
    *,
    split: str | None = None,
    size: int | tuple[int, int] | None = None,
    engine: str | None = None,
    precision: str | None = None,
    device: str = "auto",
) -> "Scores | DetectionScores":
    """Scores a model on labelled images, with its own preprocessing.

    Classes are matched with the model's labels by name. An image that cannot be read counts nowhere.

    Args:
        model: a shipped or published name, a bundle, a run or its folder.
        data: labelled images for a classifier, images with boxes for a detector; as for `litevision.train`.
        split: "train", "validation", "test" or "all"; the first of test, validation and all that has images unless
            given.
        size: the input's side in px, or its height and width, for which the model is exported first, which needs torch;
            a model often scores higher at a larger input than it was trained with. Its own size unless given.
        engine: as for `litevision.load`.
        precision: as for `litevision.load`.
        device: as for `litevision.load`.

    Returns:
        Top-1, F1 and calibration of a classifier; COCO's average precisions of a detector. Both have ``per_class``
        and ``to_dict()``.

    Raises:
        UnknownNameError: classes that the model does not know.
        BundleError: a model of another task than the labels'.
        UsageError: a split without images.

    Example:
        >>> import litevision
        >>> litevision.evaluate("clothing", "clothes/").top1  # doctest: +SKIP
        93.5
    """
    if size is not None:
        from litevision.exporting.export import resized

        while isinstance(model, HasBundle):
            model = model.bundle
        path = model.path if isinstance(model, Bundle) else find_bundle(model)
        with resized(path, size) as made:
            return evaluate(made, data, split=split, engine=engine, precision=precision, device=device)
    task = task_of_data(data)
    task.require_scoring()
    labelled = task.read(Path(data))
    chosen, samples = select_split(labelled, split)
    predictor = load(model, engine=engine, precision=precision, threads=1, streams=available_cpus(), device=device)
    if task_of(predictor.bundle.metadata) is not task:
        predictor = task.open(predictor.bundle)  # which says what is expected
    scores: Scores | DetectionScores = task.scores(task.evaluate(predictor, samples, labelled.classes, split=chosen))
    return scores
