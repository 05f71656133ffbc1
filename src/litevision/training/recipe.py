"""A training recipe: every option of a run, in one frozen dataclass that is saved beside its result."""

from collections.abc import Callable
from dataclasses import dataclass, field, replace
from typing import Any, ClassVar, Literal

from litevision.data.dataset import Split
from litevision.errors import UsageError

Precision = Literal["auto", "fp32", "bf16"]

_GROWING = 2 / 3  # of the epochs, in which images grow
_MOST_EPOCHS = 300  # of those that min_steps asks for: each is validated and written


@dataclass(frozen=True, slots=True)
class Model:
    """The network and what it starts from.

    Attributes:
        name: a network's name, ours or another library's.
        dialect: whose form of it; "auto" takes that of the name or of the weights.
        weights: a weight set's name, a weight file or a URL; "default" is the network's default set, "none"
            from scratch.
        width: the paper's alpha.
        in_channels: what the network sees of an image: 3 (RGB) or 1 (its grey value; weights for RGB are adapted); 0
            takes that of the weights, from scratch 3.
        dropout: probability before the classifier.
        size_hw: height and width of the finished model's input, px.
        crop: what makes the input of a whole image: center (the middle is cut out), stretch or letterbox; training
            crops are cut from the image so presented.
        crop_fraction: the part of the shorter side that a center crop keeps. ImageNet's scripts keep 0.875.
        normalisation: imagenet, half ([-1, 1]) or unit ([0, 1]); "auto" takes that of the weights.
        quantization_aware: layers compute with weights and inputs in 8 bits, as ``quantize`` will round them, and the
            validation score is that of the rounded network. From weights of an own run it is a fine-tuning: three
            epochs at a low learning rate, unless the recipe says otherwise.
    """

    name: str = "mobilenet_v2"
    dialect: str = "auto"
    weights: str = "default"
    width: float = 1.0
    in_channels: int = 0
    dropout: float = 0.2
    size_hw: tuple[int, int] = (224, 224)
    crop: Literal["center", "stretch", "letterbox"] = "center"
    crop_fraction: float = 1.0
    normalisation: str = "auto"
    quantization_aware: bool = False


@dataclass(frozen=True, slots=True)
class Schedule:
    """How long, and how fast.

    Attributes:
        epochs: passes over the training images, those of the head included.
        min_steps: steps that a training has at least: with few images it gets more epochs than ``epochs``, up to 300,
            unless these are asked for.
        freeze_backbone_epochs: of these, the first that train the classifier alone, the backbone frozen.
        frozen_passes: how often the classifier learns from the images of each of these epochs: what the frozen backbone
            answers is computed once and kept. 1 where the loss needs the images (mixup, a teacher), of detectors, and
            with several processes.
        first_size: side of the training images at the start, as a fraction of that at the end (progressive resizing);
            they grow in steps of 32 px, and the last third of the epochs has them whole. 1 for one size.
        batch_size: images a step and process.
        warmup_epochs: in which the learning rate grows linearly, from 0 and, for the backbone, from where it thaws.
        final_lr: what the cosine ends at, as a fraction of the learning rate.
        patience: epochs without a better validation score after which to stop; 0 never stops early.
        keep: which epoch's weights are scored and exported: best, by the validation images, or last.
        train_on: train, or train+validation, for the last run, when every choice is made: it learns from the validation
            images too and keeps its last epoch; its validation score judges nothing any more.
    """

    epochs: int = 12
    min_steps: int = 0
    freeze_backbone_epochs: int = 1
    frozen_passes: int = 1
    first_size: float = 1.0
    batch_size: int = 32
    warmup_epochs: float = 1.0
    final_lr: float = 0.01
    patience: int = 0
    keep: Literal["best", "last"] = "best"
    train_on: Literal["train", "train+validation"] = "train"

    def epochs_for(self, images: int, devices: int) -> int:
        """The epochs of a training on some images, by as many processes."""
        batch = min(self.batch_size, max(1, images // devices))
        wanted = -(-self.min_steps // max(1, images // (batch * devices)))
        return max(self.epochs, min(wanted, _MOST_EPOCHS))

    @property
    def splits(self) -> tuple[Split, ...]:
        """The splits that are trained on."""
        return ("train", "validation") if self.train_on == "train+validation" else ("train",)

    @property
    def chooses(self) -> bool:
        """Whether the validation images choose the best epoch; else it is the last one."""
        return self.keep == "best" and "validation" not in self.splits


@dataclass(frozen=True, slots=True)
class Optimizer:
    """What a step does.

    Attributes:
        name: adamw or sgd (with Nesterov momentum).
        lr: the classifier's learning rate, for a batch of any size.
        backbone_lr_mult: the learning rate of the backbone's last part, as a fraction of ``lr``.
        layer_decay: each part of the backbone learns at this fraction of the part after it; 1 for all alike.
        weight_decay: of kernels; biases and batch normalisation have none.
        momentum: SGD's; AdamW's first beta.
        clip_norm: gradients are scaled down to this norm; 0 leaves them.
        freeze_bn: keeps the statistics of batch normalisation that came with the weights.
    """

    name: Literal["adamw", "sgd"] = "adamw"
    lr: float = 2e-3
    backbone_lr_mult: float = 0.5
    layer_decay: float = 0.9
    weight_decay: float = 0.05
    momentum: float = 0.9
    clip_norm: float = 1.0
    freeze_bn: bool = False


@dataclass(frozen=True, slots=True)
class Balance:
    """What is done where some classes have many more images, or boxes, than others.

    Attributes:
        class_weights: none, or balanced: each class counts in inverse proportion to its images, or boxes.
        sampler: shuffle (each image once an epoch) or balanced (each class equally often; of boxes, images that show a
            rare class more often, by the square root of how rare it is).
    """

    class_weights: Literal["none", "balanced"] = "none"
    sampler: Literal["shuffle", "balanced"] = "shuffle"


@dataclass(frozen=True, slots=True)
class Run:
    """How the machine is used, and what is kept.

    Attributes:
        seed: of the order, the augmentation and the fresh weights; a split that is made here does not depend on it.
        ema_decay: of the moving average of the weights that is scored and exported; 0 for none.
        precision: fp32, bf16, or auto: bf16 where it is quicker.
        channels_last: keeps a pixel's channels together in memory; quicker on CPUs.
        compile: passes the network through ``torch.compile``.
        device: auto (a CUDA GPU where there is one, else the CPU), cpu, cuda or mps (Apple's GPU).
        devices: processes, each with a device of its own.
        workers: processes that read images, per device; -1 for one per two cores.
        cache_mb: bound of the cache of decoded training images.
        checkpoint_minutes: a checkpoint is written at each epoch's end, and in between this often.
        show_outside: whether the report shows images that lie outside the data's folder, too.
        copy_to: an address, such as s3://bucket/runs, in which a copy of the run's folder follows each checkpoint; none
            where it is empty.
    """

    seed: int = 0
    ema_decay: float = 0.998
    precision: Precision = "auto"
    channels_last: bool = True
    compile: bool = False
    device: Literal["auto", "cpu", "cuda", "mps"] = "auto"
    devices: int = 1
    workers: int = -1
    cache_mb: int = 4096
    checkpoint_minutes: float = 5.0
    show_outside: bool = False
    copy_to: str = ""


@dataclass(frozen=True, slots=True)
class Card:
    """What the model card says of things that files do not tell; "unknown" where nobody says.

    Attributes:
        data: what the images are and where they come from.
        data_licence: their licence.
        weights: where the starting weights come from; "auto" takes what the registry knows.
        weights_licence: their licence; "auto" likewise.
    """

    data: str = "unknown"
    data_licence: str = "unknown"
    weights: str = "auto"
    weights_licence: str = "auto"


@dataclass(frozen=True, slots=True)
class Adapted:
    """An option that follows from the data.

    Attributes:
        key: ``table.key``.
        value: what it is set to, as in a recipe.
        why: in words.
    """

    key: str
    value: Any
    why: str


Range = tuple[str, float, float, float]
"""A bounded option: name, value, least, most."""


@dataclass(frozen=True, slots=True)
class Recipe:
    """Every option of a run that all tasks have; each task's own recipe adds its tables."""

    task: ClassVar[str]

    model: Model = field(default_factory=Model)
    schedule: Schedule = field(default_factory=Schedule)
    optimizer: Optimizer = field(default_factory=Optimizer)
    run: Run = field(default_factory=Run)
    card: Card = field(default_factory=Card)

    def __post_init__(self) -> None:
        for name, value, least, most in (*_ranges(self), *self.ranges()):
            if not least <= value <= most:
                raise UsageError(f"{name} is {value:g}; expected {_interval(least, most)}")
        if self.schedule.freeze_backbone_epochs > self.schedule.epochs:
            raise UsageError(
                f"schedule.freeze_backbone_epochs is {self.schedule.freeze_backbone_epochs}; expected at most "
                f"schedule.epochs, {self.schedule.epochs}"
            )
        if self.schedule.patience and not self.schedule.chooses:
            other = 'keep = "last"' if self.schedule.keep == "last" else 'train_on = "train+validation"'
            raise UsageError(
                "schedule.patience waits for a better validation score, which means nothing with "
                f"schedule.{other}; set one of the two back"
            )
        self.check()

    def ranges(self) -> tuple[Range, ...]:
        """The bounded options that only this task has."""
        return ()

    def adapted(self, data: Any) -> tuple[Adapted, ...]:
        """The options that should follow from the data, whoever set them; none unless a task knows better."""
        return ()

    def check(self) -> None:
        """Raises `UsageError` for options of this task that do not fit each other."""

    def located(self) -> "Recipe":
        """The recipe with absolute paths of the folders it names beside the data, whatever folder a run goes on in."""
        return self

    def with_sources(self, rename: Callable[[str], str]) -> "Recipe":
        """The recipe with each name of weights, which may be a file, given to ``rename``."""
        return replace(self, model=replace(self.model, weights=rename(self.model.weights)))

    @property
    def train_size_hw(self) -> tuple[int, int]:
        """Height and width of a training image, px; at the end, where they grow."""
        return self.model.size_hw

    @property
    def keeps_features(self) -> bool:
        """Whether a head can learn from kept features of a frozen backbone."""
        return False

    def train_size_in(self, epoch: int) -> tuple[int, int]:
        """Height and width of a training image in an epoch, counted from 0."""
        schedule, (height, width) = self.schedule, self.train_size_hw
        growing = _GROWING * (schedule.epochs - 1)
        if schedule.first_size == 1 or epoch >= growing:
            return height, width
        factor = schedule.first_size + (1 - schedule.first_size) * epoch / growing
        return _stepped(height * factor, height), _stepped(width * factor, width)


def _stepped(side: float, most: int) -> int:
    """The side in whole cells of the coarsest map, 32 px."""
    return min(most, max(32, 32 * round(side / 32)))


_INF = float("inf")


def _ranges(recipe: Recipe) -> tuple[Range, ...]:
    """Each bounded option: name, value, least, most."""
    model, schedule, optimizer, run = recipe.model, recipe.schedule, recipe.optimizer, recipe.run
    return (
        ("model.width", model.width, 1e-3, 16),
        ("model.in_channels", model.in_channels, 0, 3),
        ("model.dropout", model.dropout, 0, 0.99),
        ("model.size_hw", min(model.size_hw), 16, 4096),
        ("model.crop_fraction", model.crop_fraction, 0.1, 1),
        ("schedule.epochs", schedule.epochs, 1, _INF),
        ("schedule.min_steps", schedule.min_steps, 0, _INF),
        ("schedule.freeze_backbone_epochs", schedule.freeze_backbone_epochs, 0, _INF),
        ("schedule.frozen_passes", schedule.frozen_passes, 1, 1000),
        ("schedule.first_size", schedule.first_size, 0.1, 1),
        ("schedule.batch_size", schedule.batch_size, 1, _INF),
        ("schedule.warmup_epochs", schedule.warmup_epochs, 0, _INF),
        ("schedule.final_lr", schedule.final_lr, 0, 1),
        ("schedule.patience", schedule.patience, 0, _INF),
        ("optimizer.lr", optimizer.lr, 1e-12, 1e3),
        ("optimizer.backbone_lr_mult", optimizer.backbone_lr_mult, 0, 1e3),
        ("optimizer.layer_decay", optimizer.layer_decay, 1e-3, 1),
        ("optimizer.weight_decay", optimizer.weight_decay, 0, 1e3),
        ("optimizer.momentum", optimizer.momentum, 0, 0.9999),
        ("optimizer.clip_norm", optimizer.clip_norm, 0, _INF),
        ("run.seed", run.seed, 0, 2**31 - 1),
        ("run.ema_decay", run.ema_decay, 0, 0.999999),
        ("run.devices", run.devices, 1, 4096),
        ("run.workers", run.workers, -1, 256),
        ("run.cache_mb", run.cache_mb, 0, _INF),
        ("run.checkpoint_minutes", run.checkpoint_minutes, 0, _INF),
    )


def _interval(least: float, most: float) -> str:
    return f"at least {least:g}" if most == _INF else f"a number from {least:g} to {most:g}"
