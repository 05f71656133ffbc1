"""Classification as a `litevision.tasks.base.Task`."""

import functools
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar

from litevision.data import LabelledImages, Sample, read_images, read_readable_images
from litevision.errors import DataError, UsageError
from litevision.evaluation import (
    Evaluation,
    Scores,
    as_bundle_score,
    evaluate_bundle,
    fit_calibration,
    like_a_constant,
    scores,
)
from litevision.evaluation.agreement import Agreement, classes_agree
from litevision.image import Preprocess
from litevision.runtime import Bundle, BundleMetadata, Calibration, Check, Classifier, Normalisation, Score
from litevision.runtime.metadata import Task as TaskName
from litevision.runtime.schema import to_dict
from litevision.tasks.base import OnResults, Task, TrainableData, TrainingSetup
from litevision.tasks.classification.recipe import FRESH_DEFAULTS, ClassificationRecipe
from litevision.tasks.classification.score_sheet import FIGURES, score_sheet
from litevision.tasks.report import CardSections, MainScore, Rows, ScoreCurve, ScoreSheet

if TYPE_CHECKING:
    from litevision.exporting.graph import FromRaw
    from litevision.models.config import NetworkConfig
    from litevision.models.network import Network
    from litevision.training.image_cache import ImageStores
    from litevision.training.plan import Plan

# A crop of half an image's area is as large as the training image; more pixels would only be thrown away.
_CACHED_OVER_TRAINED = 1.25


class Classification(Task):
    """One image, one class."""

    name: ClassVar[TaskName] = "classification"
    verb: ClassVar[str] = "classify"
    counted: ClassVar[str] = "images"
    head_name: ClassVar[str] = "classifier"
    head_name_short: ClassVar[str] = "classifier"
    data_name: ClassVar[str] = "labelled images"
    main_score: ClassVar[MainScore] = MainScore("top-1, %", "top1", max_drop=1.0, min_agreement=0.95)

    def read(self, path: Path) -> LabelledImages:
        """The labelled images at ``path``."""
        return read_images(path, readable_only=True)

    def read_trainable(self, path: Path, recipe: Any) -> TrainableData:
        """The images that can be read; of a teacher in ``recipe``, its faults."""
        data, issues = read_readable_images(path)
        _require_trainable(data, len(issues))
        if recipe.loss.teacher != "none":
            from litevision.tasks.classification.teacher import open_teacher

            open_teacher(recipe.loss.teacher, data.classes)  # for its faults alone
        return TrainableData(data, issues)

    def data_to_dict(self, data: LabelledImages) -> dict[str, Any]:
        """The data as plain JSON values."""
        return {
            "root": str(data.root),
            "classes": data.classes,
            "made_splits": data.made_splits,
            "samples": [[str(sample.path), sample.label, sample.split] for sample in data.samples],
        }

    def data_from_dict(self, record: Mapping[str, Any]) -> LabelledImages:
        """The inverse of `data_to_dict`; raises KeyError, TypeError or ValueError for anything else."""
        samples = tuple(Sample(Path(file), label, split) for file, label, split in record["samples"])
        return LabelledImages(Path(record["root"]), tuple(record["classes"]), samples, record["made_splits"])

    def truth(self, sample: Sample, classes: Sequence[str]) -> str:
        """The class."""
        return classes[sample.label]

    @property
    def recipe(self) -> type[ClassificationRecipe]:
        """The recipe's type."""
        return ClassificationRecipe

    @property
    def fresh_defaults(self) -> Mapping[str, Mapping[str, Any]]:
        """More epochs of smaller batches, all parts at one learning rate."""
        return FRESH_DEFAULTS

    @property
    def config(self) -> "type[NetworkConfig]":
        """The type of the networks' configuration."""
        from litevision.models.config import NetworkConfig

        return NetworkConfig

    def network(self, backbone: "Network", recipe: Any, num_classes: int) -> "Network":
        """``backbone`` itself, which is a classifier."""
        return backbone

    def read_for_training(self, plan: "Plan[LabelledImages, NetworkConfig]") -> Callable[[Path], Any]:
        """What training crops are cut from: the image as it is, or stretched or letterboxed as the model sees it."""
        from litevision.training.image_cache import read_reduced

        height, width = (round(side * _CACHED_OVER_TRAINED) for side in plan.recipe.train_size_hw)
        if plan.recipe.model.crop == "center":
            return functools.partial(read_reduced, shorter_px=max(height, width))
        return replace(plan.preprocess, size_hw=(height, width))

    def set_up(self, plan: "Plan[LabelledImages, NetworkConfig]", stores: "ImageStores") -> TrainingSetup:
        """Objective and images of a run."""
        from litevision.tasks.classification.objective import ClassificationObjective, image_transform
        from litevision.tasks.classification.teacher import open_teacher
        from litevision.training.balance import class_chances
        from litevision.training.batches import TrainingImages

        recipe, data = plan.recipe, plan.data
        labels = [sample.label for sample in data.of(*recipe.schedule.splits)]
        teacher = None if recipe.loss.teacher == "none" else open_teacher(recipe.loss.teacher, data.classes)
        objective = ClassificationObjective(
            recipe,
            plan.normalisation,
            data.counts(*recipe.schedule.splits),
            data.of("validation"),
            stores.validation,
            teacher,
            plan.config.in_channels,
        )
        transform_to = functools.partial(image_transform, recipe.augment)
        images = TrainingImages(stores.train, labels, transform_to, recipe.train_size_hw)
        return TrainingSetup(objective, images, class_chances(labels) if recipe.loss.sampler == "balanced" else None)

    def image_options_in_words(self, recipe: Any) -> str:
        """What is done to training images, in words."""
        augment = recipe.augment
        extras: list[str] = [augment.policy] if augment.policy != "none" else []
        extras += [f"{key} {value:g}" for key in ("erasing", "mixup", "cutmix") if (value := getattr(augment, key))]
        return ", ".join([f"crops of {augment.crop_scale[0]:g} to {augment.crop_scale[1]:g}", *extras])

    def loss_options_in_words(self, recipe: Any) -> str:
        """What of the loss is worth a word."""
        return f"label smoothing {recipe.loss.label_smoothing:g}"

    def epoch_in_words(self, record: Mapping[str, Any]) -> str:
        """The validation score in an epoch's record, in words."""
        return f"top-1 {record['validation_top1']:.1f} %"

    def refuse_to_export(self, network: Any, preprocess: Preprocess, options: Mapping[str, Any]) -> None:
        """Raises `UsageError` for a network without a classifier."""
        if network.config.num_classes == 0 or network.config.final_endpoint is not None:
            raise UsageError(
                "a bundle needs a classifier: build the network with num_classes and without final_endpoint"
            )
        if network.config.num_classes == 1 and options.get("activation") == "softmax":
            raise UsageError(
                "the network has one logit, whose softmax is 1 for every image; expected the activation sigmoid"
            )

    def raw_network(self, network: Any, normalisation: Normalisation, options: Mapping[str, Any]) -> "FromRaw":
        """``network`` from raw images to probabilities."""
        from litevision.tasks.classification.export import RawToProbabilities

        return RawToProbabilities(network, normalisation, options.get("activation") or network.config.activation)

    def check_bundle(
        self, path: Path, network: Any, normalisation: Normalisation, check_images: Sequence[Any]
    ) -> Check:
        """Compares the probabilities of the bundle and of ``network``."""
        from litevision.tasks.classification.export import check_bundle

        return check_bundle(path, network, normalisation, check_images)

    def compare_bundles(self, expected: Bundle, got: Bundle, images: Sequence[Any], tolerance: float) -> Check:
        """Compares the probabilities."""
        from litevision.exporting.compare import compare_probabilities

        return compare_probabilities(expected, got, images, tolerance)

    def open(self, bundle: Bundle) -> Classifier:
        """The classifier in a bundle."""
        return Classifier(bundle)

    def evaluate(
        self,
        predictor: Classifier,
        samples: Sequence[Sample],
        classes: Sequence[str],
        *,
        split: str,
        on_results: OnResults | None = None,
    ) -> Evaluation:
        """What ``predictor`` answers to labelled ``samples``."""
        return evaluate_bundle(predictor, samples, classes, split=split, on_results=on_results)

    def scores(self, evaluation: Evaluation) -> Scores:
        """How good the answers are."""
        return scores(evaluation)

    def unlabelled(self, paths: Sequence[Path]) -> Sequence[Sample]:
        """Images of the first class, for want of a better one."""
        return [Sample(path, 0, "test") for path in paths]

    def agreement(self, before: Evaluation, after: Evaluation, metadata: BundleMetadata) -> Agreement:
        """Compares the best classes and the probabilities."""
        return classes_agree(before.probabilities, after.probabilities, before.classes)

    def bundle_score(self, scores: Scores, dataset: str, size_hw: tuple[int, int], measured_by: str) -> Score:
        """The score that a bundle's metadata carries."""
        return as_bundle_score(scores, dataset, size_hw, measured_by)

    def score_sheet(self, data: LabelledImages, evaluation: Evaluation, scores: Scores) -> ScoreSheet:
        """The scores as a person reads them."""
        return score_sheet(evaluation, scores)

    def learned_nothing(self, evaluation: Evaluation, scores: Scores) -> str:
        """One answer to every image, or answers no better than that."""
        return like_a_constant(evaluation)

    def chosen_on(self, evaluation: Evaluation, dataset: str) -> dict[str, Any]:
        """The calibration, where there are enough images for one."""
        return {"calibration": fit_calibration(evaluation, f"{len(evaluation.labels):,} images of {dataset}")}

    def describe_chosen(self, evaluation: Evaluation, chosen: Mapping[str, Any]) -> dict[str, Any]:
        """The calibration, and the share of images whose answer is unsure by it."""
        calibration: Calibration | None = chosen["calibration"]
        if calibration is None:
            return {}
        unsure = calibration.confidences(evaluation.probabilities) < calibration.unsure_below
        return {"calibration": {**to_dict(calibration), "unsure_share": float(unsure.mean())}}

    def class_rows(self, results: Mapping[str, Any], split: str) -> Rows:
        """Each class with its images, precision, recall and F1, an undefined one left empty."""
        scores = results["scores"].get(split)
        keys = ("count", *FIGURES)
        rows = [(split, row["name"], *map(row.get, keys)) for row in scores["per_class"]] if scores else []
        return Rows(("split", "class", *keys), rows)

    def score_sentence(self, split: str, scores: Mapping[str, Any]) -> str:
        """The count, the share and its interval."""
        from litevision.training.report.facts import percent

        low, high = scores["top1_interval"]
        right = sum(row[label] for label, row in enumerate(scores["confusion"]))
        return (
            f"{right:,} of {scores['count']:,} {split} images were named right: {percent(scores['top1'])}. Of many "
            f"more such images, expect between {percent(low)} and {percent(high)} (95 % Wilson interval)."
        )

    def score_line(self, split: str, scores: Mapping[str, Any]) -> str:
        """The score of a split in one line."""
        low, high = scores["top1_interval"]
        return (
            f"{split}: top-1 {scores['top1']:.2f} % of {scores['count']} images "
            f"(95 % interval {low:.1f} to {high:.1f}), macro F1 {scores['macro_f1']:.3f}"
        )

    def card_sections(self, results: Mapping[str, Any], seeds: Sequence[Mapping[str, Any]] = ()) -> CardSections:
        """What of the model card differs by task."""
        from litevision.tasks.classification.card import card_sections

        return card_sections(results, seeds)

    @property
    def score_curve(self) -> ScoreCurve:
        """The plot of top-1."""
        return ScoreCurve(
            "validation top-1, %",
            {"validation_top1": ""},
            "The share of validation images named right, higher is better: where it no longer rises, more epochs gain "
            "nothing.",
        )

    def report_parts(
        self, plan: "Plan[LabelledImages, NetworkConfig]", network: Any, results: Mapping[str, Any], evaluations: Any
    ) -> dict[str, Any]:
        """What the report's template is filled with."""
        from litevision.tasks.classification.page import make_overlays, report_parts
        from litevision.training.report.facts import judged_split
        from litevision.training.report.page import shown_images

        split, shown = judged_split(results), shown_images(plan)
        overlays = make_overlays(network, plan.preprocess, plan.normalisation, evaluations[split]) if split else []
        return report_parts(results, evaluations, [one for one in overlays if shown(one.path)], shown)


def _require_trainable(data: LabelledImages, skipped: int) -> None:
    left_out = f"; {skipped} could not be read ('litevision check-data' names them)" if skipped else ""
    if len(data.classes) < 2:
        raise DataError(f"{data.root}: {len(data.classes)} class; expected at least 2, a folder each{left_out}")
    for obstacle in data.obstacles():
        raise DataError(f"{data.root}: {obstacle}{left_out}")


TASK = Classification()
