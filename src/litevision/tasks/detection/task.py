"""Detection as a `litevision.tasks.base.Task`."""

import functools
from collections.abc import Callable, Collection, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np

from litevision.data import DetectionSample, LabelledBoxes, read_boxes
from litevision.errors import UsageError
from litevision.evaluation.agreement import Agreement, boxes_agree
from litevision.evaluation.coco import DetectionScores, as_detection_score, detection_scores, require_coco
from litevision.evaluation.curves import at_thresholds, best_thresholds
from litevision.evaluation.detection import DetectionEvaluation, evaluate_detector
from litevision.image import Preprocess
from litevision.registry import DETECTORS
from litevision.runtime import Bundle, BundleMetadata, Check, DetectionScore, Detector, Normalisation
from litevision.runtime.detector import DEFAULT_SCORE_THRESHOLD
from litevision.runtime.metadata import Task as TaskName
from litevision.tables import pluralise
from litevision.tasks.base import OnResults, Task, TrainableData, TrainingSetup
from litevision.tasks.detection.data import boxes_from_dict, boxes_to_dict, read_trainable, truth_of
from litevision.tasks.detection.recipe import DETECTION_DEFAULTS, FRESH_DEFAULTS, DetectionRecipe
from litevision.tasks.detection.score_sheet import class_rows, score_line, score_sentence, score_sheet
from litevision.tasks.report import CardSections, MainScore, Rows, ScoreCurve, ScoreSheet

if TYPE_CHECKING:
    from litevision.exporting.graph import FromRaw
    from litevision.models.centernet import CenterNet, CenterNetConfig
    from litevision.models.nanodet import NanoDetConfig
    from litevision.training.image_cache import ImageStores
    from litevision.training.plan import Plan

_NOTHING_FOUND = 5e-4  # an AP50 that is 0.000
_TRAINED_ON_COCO = {
    "shufflenet_v2_x1_0": "nanodet_plus_m.rangilyu_coco_r416",
    "shufflenet_v2_x1_5": "nanodet_plus_m_x1_5.rangilyu_coco_r416",
}
_OF_OTHERS = {
    *(f"model.{key}" for key in ("dialect", "width", "in_channels", "dropout", "normalisation", "quantization_aware")),
    *(f"detection.{key}" for key in ("neck", "neck_channels", "head_channels", "radius", "center_radius")),
    *(f"detection.{key}" for key in ("size_weight", "offset_weight", "iou_weight")),
}
"""Options that a NanoDet does not take, or that ask for a network of another form."""


class DetectionTask(Task):
    """Where objects are in an image, and what they are. What is trained is a CenterNet, or a NanoDet by its name."""

    name: ClassVar[TaskName] = "detection"
    verb: ClassVar[str] = "detect"
    counted: ClassVar[str] = "boxes"
    head_name: ClassVar[str] = "neck and heads"
    head_name_short: ClassVar[str] = "heads"
    data_name: ClassVar[str] = "images with boxes, whose own options are in [detection] and [loss]"
    main_score: ClassVar[MainScore] = MainScore("AP", "ap", max_drop=0.01, min_agreement=0.9)

    def read(self, path: Path) -> LabelledBoxes:
        """The images with boxes at ``path``."""
        return read_boxes(path)

    def read_trainable(self, path: Path, recipe: Any) -> TrainableData:
        """The images with boxes, less those that ``recipe`` excludes, and its backgrounds."""
        if recipe.model.crop == "center":
            raise UsageError('the crop \'center\' cuts objects off; expected model.crop = "letterbox" or "stretch"')
        options = recipe.detection
        return read_trainable(path, options.exclude, options.most_images, options.backgrounds)

    def data_to_dict(self, data: LabelledBoxes) -> dict[str, Any]:
        """The data as plain JSON values."""
        return boxes_to_dict(data)

    def data_from_dict(self, record: Mapping[str, Any]) -> LabelledBoxes:
        """The inverse of `data_to_dict`; raises KeyError, TypeError or ValueError for anything else."""
        return boxes_from_dict(record)

    def truth(self, sample: DetectionSample, classes: Sequence[str]) -> list[tuple[Any, ...]]:
        """Class and corners of each box, and whether it is ignored, in their order."""
        return truth_of(sample, classes)

    @property
    def recipe(self) -> type[DetectionRecipe]:
        """The recipe's type."""
        return DetectionRecipe

    @property
    def defaults(self) -> Mapping[str, Mapping[str, Any]]:
        """Larger inputs, letterboxed, and more epochs of smaller batches."""
        return DETECTION_DEFAULTS

    @property
    def fresh_defaults(self) -> Mapping[str, Mapping[str, Any]]:
        """More epochs, all parts at one learning rate."""
        return FRESH_DEFAULTS

    @property
    def config(self) -> "type[CenterNetConfig]":
        """The type of the networks' configuration."""
        from litevision.models.centernet import CenterNetConfig

        return CenterNetConfig

    def network(self, backbone: Any, recipe: Any, num_classes: int) -> "CenterNet":
        """A detector on ``backbone``; its neck and heads begin from scratch."""
        from litevision.models.centernet import CenterNet, CenterNetConfig

        options = recipe.detection
        detector = CenterNet(
            CenterNetConfig(
                backbone.config,
                num_classes,
                neck=options.neck,
                neck_channels=options.neck_channels or None,
                head_channels=None if options.head_channels < 0 else options.head_channels,
            )
        )
        detector.take_backbone(backbone)
        return detector

    def named_config(self, name: str, num_classes: int, in_channels: int) -> "NanoDetConfig | None":
        """The NanoDet of that name."""
        from litevision.models.nanodet import FORMS, NanoDetConfig

        return NanoDetConfig(name, num_classes, in_channels) if name in FORMS else None

    def better_start(self, name: str | None, stated: Collection[str]) -> str | None:
        """The COCO-trained NanoDet on that backbone; without a name, the first, unless an option is none of its."""
        if name is not None:
            return _TRAINED_ON_COCO.get(name)
        return None if _OF_OTHERS & set(stated) else next(iter(_TRAINED_ON_COCO.values()))

    def inherited_options(self, config: Any) -> dict[str, dict[str, Any]]:
        """How the detector is built on its backbone; nothing where its name says it."""
        if not hasattr(config, "backbone"):
            return {}
        options = {
            "neck": config.neck,
            "neck_channels": config.neck_channels or 0,
            "head_channels": -1 if config.head_channels is None else config.head_channels,
        }
        return {"detection": options}

    def read_for_training(self, plan: "Plan[LabelledBoxes, Any]") -> Callable[[Path], Any]:
        """The whole image at the size from which training images are made."""
        from litevision.tasks.detection.objective import read_for_training

        return functools.partial(read_for_training, plan.preprocess, plan.recipe.detection.scale[1])

    def set_up(self, plan: "Plan[LabelledBoxes, Any]", stores: "ImageStores") -> TrainingSetup:
        """Objective and images of a run."""
        from litevision.tasks.detection.heads import heads_of
        from litevision.tasks.detection.objective import DetectionImages, DetectionObjective
        from litevision.training.balance import class_weights, repeat_factors

        recipe, classes, splits = plan.recipe, plan.data.classes, plan.recipe.schedule.splits
        samples, validation = plan.data.of(*splits), plan.data.of("validation")
        weights = class_weights(plan.data.counts(*splits)) if recipe.loss.class_weights == "balanced" else None
        heads = heads_of(plan.config, recipe.detection)
        objective = DetectionObjective(
            heads,
            plan.preprocess,
            plan.normalisation,
            classes,
            validation,
            stores.validation,
            weights,
            plan.config.in_channels,
        )
        images = DetectionImages(stores.train, samples, recipe.detection, plan.preprocess, heads)
        shown = [set(sample.labels[~sample.ignored].tolist()) for sample in samples]
        chances = repeat_factors(shown) if recipe.loss.sampler == "balanced" else None
        return TrainingSetup(objective, images, chances)

    def image_options_in_words(self, recipe: Any) -> str:
        """What is done to training images, in words."""
        options = recipe.detection
        extras = [key.replace("_", " ") for key in ("flip", "flip_vertical", "rot90") if getattr(options, key)]
        extras += [f"{key} {value:g}" for key in ("colour", "hue", "mosaic") if (value := getattr(options, key))]
        if options.scale != (1.0, 1.0):
            extras.insert(0, f"scaled by {options.scale[0]:g} to {options.scale[1]:g}")
        if options.backgrounds:
            extras.append(f"backgrounds from {options.backgrounds}")
        return ", ".join(extras) or "as they are"

    def warnings(self, data: LabelledBoxes, recipe: Any) -> Sequence[str]:
        """More objects in an image than the detector gives boxes."""
        top_k = recipe.detection.top_k
        images, lost, most = data.crowded(top_k)
        shown = f"{pluralise(images, 'image')} {'shows' if images == 1 else 'show'} more objects than the {top_k} boxes"
        advice = f"{lost:,} objects can never be found. Train with --set detection.top_k={most}"
        return (f"{shown} that detection.top_k allows: {advice}.",) if images else ()

    def start_in_words(self, recipe: Any) -> str:
        """What stands on the backbone, where the name does not say it."""
        if recipe.model.name in DETECTORS:
            return ""
        return f"CenterNet (neck {recipe.detection.neck}) on "

    def epoch_in_words(self, record: Mapping[str, Any]) -> str:
        """The validation score in an epoch's record, in words."""
        return f"AP50 {record['validation_ap50']:.3f}  AP {record['validation_ap']:.3f}"

    def refuse_to_export(self, network: Any, preprocess: Preprocess, options: Mapping[str, Any]) -> None:
        """Raises `UsageError` for a crop that cuts objects off, or a detector of no boxes."""
        if preprocess.crop == "center":
            raise UsageError("the crop 'center' cuts objects off; a detection bundle needs 'letterbox' or 'stretch'")
        if options.get("top_k", 1) < 1:
            raise UsageError(f"top_k must be 1 or more, got {options['top_k']}")

    def raw_network(self, network: Any, normalisation: Normalisation, options: Mapping[str, Any]) -> "FromRaw":
        """``network`` from raw images to boxes; ``top_k`` of them, 100 unless the options say another number."""
        from litevision.tasks.detection.export import raw_detector

        return raw_detector(network, normalisation, options.get("top_k", 100))

    def check_bundle(
        self, path: Path, network: Any, normalisation: Normalisation, check_images: Sequence[Any]
    ) -> Check:
        """Compares the boxes of the bundle and of ``network``."""
        from litevision.tasks.detection.export import check_detection_bundle

        return check_detection_bundle(path, network, normalisation, check_images)

    def export_options(self, recipe: Any) -> dict[str, Any]:
        """How many boxes the graph gives."""
        return {"top_k": recipe.detection.top_k}

    def require_scoring(self) -> None:
        """Raises `MissingExtraError` where faster-coco-eval is not installed."""
        require_coco()

    def compare_bundles(self, expected: Bundle, got: Bundle, images: Sequence[Any], tolerance: float) -> Check:
        """Compares the boxes that count."""
        from litevision.exporting.compare import compare_boxes

        return compare_boxes(expected, got, images, tolerance)

    def open(self, bundle: Bundle) -> Detector:
        """The detector in a bundle."""
        return Detector(bundle)

    def evaluate(
        self,
        predictor: Detector,
        samples: Sequence[DetectionSample],
        classes: Sequence[str],
        *,
        split: str,
        on_results: OnResults | None = None,
    ) -> DetectionEvaluation:
        """What ``predictor`` finds in labelled ``samples``."""
        return evaluate_detector(predictor, samples, classes, split=split, on_results=on_results)

    def scores(self, evaluation: DetectionEvaluation) -> DetectionScores:
        """How good the boxes are."""
        return detection_scores(evaluation, intervals=True)

    def unlabelled(self, paths: Sequence[Path]) -> Sequence[DetectionSample]:
        """Images without boxes."""
        none = np.zeros(0, np.int64)
        return [DetectionSample(it, np.zeros((0, 4), np.float32), none, none > 0, "test", (1, 1)) for it in paths]

    def agreement(self, before: DetectionEvaluation, after: DetectionEvaluation, metadata: BundleMetadata) -> Agreement:
        """Compares the boxes that count."""
        thresholds = metadata.score_thresholds or [DEFAULT_SCORE_THRESHOLD] * len(before.classes)
        return boxes_agree(before.found, after.found, before.classes, thresholds)

    def bundle_score(
        self, scores: DetectionScores, dataset: str, size_hw: tuple[int, int], measured_by: str
    ) -> DetectionScore:
        """The score that a bundle's metadata carries."""
        return as_detection_score(scores, dataset, size_hw, measured_by)

    def score_sheet(self, data: LabelledBoxes, evaluation: DetectionEvaluation, scores: DetectionScores) -> ScoreSheet:
        """The scores as a person reads them."""
        return score_sheet(data, evaluation, scores)

    def learned_nothing(self, evaluation: DetectionEvaluation, scores: DetectionScores) -> str:
        """No object that is found."""
        found_none = scores.boxes and (scores.ap50 or 0.0) < _NOTHING_FOUND
        return f"AP50 is 0, none of {scores.boxes:,} objects is found" if found_none else ""

    def chosen_on(self, evaluation: DetectionEvaluation, dataset: str) -> dict[str, Any]:
        """The score of each class at which F1 is highest."""
        return {"score_thresholds": best_thresholds(evaluation, DEFAULT_SCORE_THRESHOLD)}

    def describe_chosen(self, evaluation: DetectionEvaluation, chosen: Mapping[str, Any]) -> dict[str, Any]:
        """The thresholds, and precision, recall and F1 at them."""
        thresholds = chosen["score_thresholds"]
        return {"thresholds": list(thresholds), "at_thresholds": at_thresholds(evaluation, thresholds)}

    def describe_data(self, data: LabelledBoxes) -> dict[str, Any]:
        """How many images each split has, as the counts are those of boxes."""
        from litevision.data import SPLITS

        return {"images": {split: len(data.of(split)) for split in SPLITS}}

    def describe_config(self, config: Any) -> dict[str, Any]:
        """How the detector is built on its backbone; nothing where its name says it."""
        if not hasattr(config, "backbone"):
            return {}
        return {"neck": config.neck, "neck_channels": config.neck_channels, "head_channels": config.head_channels}

    def class_rows(self, results: Mapping[str, Any], split: str) -> Rows:
        """Each class with its boxes, AP, and what comes of its threshold."""
        return class_rows(results, split)

    def score_sentence(self, split: str, scores: Mapping[str, Any]) -> str:
        """The count, AP50 and AP with their intervals."""
        return score_sentence(split, scores)

    def score_line(self, split: str, scores: Mapping[str, Any]) -> str:
        """The score of a split in one line."""
        return score_line(split, scores)

    def card_sections(self, results: Mapping[str, Any], seeds: Sequence[Mapping[str, Any]] = ()) -> CardSections:
        """What of the model card differs by task."""
        from litevision.tasks.detection.card import card_sections

        return card_sections(results, seeds)

    @property
    def score_curve(self) -> ScoreCurve:
        """The plot of AP and AP50."""
        return ScoreCurve(
            "validation AP",
            {"validation_ap50": "at IoU 0.5", "validation_ap": "over all IoU"},
            "Average precision on the validation images, higher is better: where it no longer rises, more epochs gain "
            "nothing.",
        )

    def report_parts(
        self, plan: "Plan[LabelledBoxes, Any]", network: Any, results: Mapping[str, Any], evaluations: Any
    ) -> dict[str, Any]:
        """What the report's template is filled with."""
        from litevision.tasks.detection.page import report_parts
        from litevision.training.report.page import shown_images

        return report_parts(results, evaluations, shown_images(plan))


TASK = DetectionTask()
