"""The options of a recipe that classification alone has."""

from collections.abc import Callable
from dataclasses import dataclass, field, replace
from typing import Any, ClassVar, Literal

from litevision.errors import UsageError
from litevision.training.recipe import Balance, Range, Recipe


@dataclass(frozen=True, slots=True)
class Augment:
    """What is done to training images, drawn anew in each epoch.

    Attributes:
        size_px: side of a training image; 0 for the model's own size. A smaller one is quicker, and a network
            trained on enlarged crops sees objects at the size that it meets in whole images (Touvron et al. 2019,
            "Fixing the train-test resolution discrepancy").
        crop_scale: least and greatest part of an image's area that is cut out.
        flip: mirrors every second image.
        policy: none, trivialaugment (Mueller and Hutter 2021), or randaugment (Cubuk et al. 2020; 2 steps of
            magnitude 9).
        erasing: probability of erasing a rectangle (Zhong et al. 2020).
        mixup: alpha of mixup (Zhang et al. 2018); 0 for none.
        cutmix: alpha of CutMix (Yun et al. 2019); 0 for none. With both, each batch draws one of them.
    """

    size_px: int = 0
    crop_scale: tuple[float, float] = (0.35, 1.0)
    flip: bool = True
    policy: Literal["none", "trivialaugment", "randaugment"] = "trivialaugment"
    erasing: float = 0.1
    mixup: float = 0.0
    cutmix: float = 0.0


@dataclass(frozen=True, slots=True)
class Loss(Balance):
    """What is made small.

    Attributes:
        label_smoothing: part of each label that is spread over all classes (Szegedy et al. 2016).
        teacher: a bundle, weight set or weight file to learn from as well (Hinton et al. 2015); "none" for none.
        teacher_weight: the teacher's part of the loss.
        teacher_temperature: what both sides' logits are divided by.
    """

    label_smoothing: float = 0.1
    teacher: str = "none"
    teacher_weight: float = 0.5
    teacher_temperature: float = 2.0


FRESH_DEFAULTS: dict[str, dict[str, Any]] = {
    "schedule": {
        "epochs": 60,
        "min_steps": 1500,
        "freeze_backbone_epochs": 0,
        "first_size": 1.0,
        "batch_size": 16,
        "warmup_epochs": 2.0,
    },
    "optimizer": {"lr": 5e-3, "backbone_lr_mult": 1.0, "layer_decay": 1.0},
    "augment": {"crop_scale": [0.6, 1.0], "policy": "none", "erasing": 0.0},
}
"""What a recipe begins with where the network is trained from scratch.

No part of it knows anything to be kept. It learns slowly at first, least of all from strongly augmented images.
"""


@dataclass(frozen=True, slots=True)
class ClassificationRecipe(Recipe):
    """Every option of a run that trains a classifier."""

    task: ClassVar[str] = "classification"

    augment: Augment = field(default_factory=Augment)
    loss: Loss = field(default_factory=Loss)

    @property
    def train_size_hw(self) -> tuple[int, int]:
        """Height and width of a training image, px."""
        side = self.augment.size_px
        return (side, side) if side else self.model.size_hw

    @property
    def keeps_features(self) -> bool:
        """Whether the loss of a frozen network needs no more of an image than its features."""
        return not self.augment.mixup and not self.augment.cutmix and self.loss.teacher == "none"

    def ranges(self) -> tuple[Range, ...]:
        """The bounded options that only classification has."""
        augment, loss = self.augment, self.loss
        return (
            ("augment.size_px", augment.size_px, 0, 4096),
            ("augment.erasing", augment.erasing, 0, 1),
            ("augment.mixup", augment.mixup, 0, 1e3),
            ("augment.cutmix", augment.cutmix, 0, 1e3),
            ("loss.label_smoothing", loss.label_smoothing, 0, 1),
            ("loss.teacher_weight", loss.teacher_weight, 0, 1),
            ("loss.teacher_temperature", loss.teacher_temperature, 1e-3, 1e3),
        )

    def check(self) -> None:
        """Raises `UsageError` for parts of an area that do not fit each other."""
        low, high = self.augment.crop_scale
        if not 0 < low <= high <= 1:
            raise UsageError(
                f"augment.crop_scale is [{low:g}, {high:g}]; expected two parts of an area, the smaller first"
            )

    def with_sources(self, rename: Callable[[str], str]) -> "ClassificationRecipe":
        """The recipe with each name of weights, which may be a file, given to ``rename``."""
        return replace(
            self,
            model=replace(self.model, weights=rename(self.model.weights)),
            loss=replace(self.loss, teacher=rename(self.loss.teacher)),
        )
