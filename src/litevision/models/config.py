"""Network configurations: plain data that can be saved beside the weights."""

import importlib
import json
import math
from abc import ABC, abstractmethod
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, fields, is_dataclass
from typing import TYPE_CHECKING, Any, ClassVar, Self, TypeVar

from litevision.errors import UnknownNameError, UsageError
from litevision.image import Preprocess
from litevision.registry.architectures import ARCHITECTURES, NO_OPTIONS
from litevision.runtime import Architecture
from litevision.runtime.metadata import Activation

if TYPE_CHECKING:
    import torch
    from torch import Tensor

    from litevision.models.kinds import AnyNetwork
    from litevision.models.network import Network

OUTPUT_STRIDES = (8, 16, 32)
RGB = 3
# Far above any network that somebody trains; a configuration may come with a file of a stranger.
MAX_CLASSES, MAX_CHANNELS, MAX_PARTS = 1_000_000, 65_536, 1_000
RowT = TypeVar("RowT")
_STATED = ("output_stride", "rows", "options")  # in a bundle, beside architecture, dialect, width and classes
_CROP_FRACTION = 0.875  # 224 of 256: the evaluation crop of torchvision, slim and most of timm


class ModelConfig(ABC):
    """The configuration of a model of any task: it can be built, and saved as a JSON object and read back.

    What loading and exporting weights do differently for the models of a task, they ask here.

    Attributes:
        KIND: what a message calls the configuration.
        MODEL: what a message calls the model.
        task: the name of its task.
        crop_needs_labels: whether cropping an image changes its labels, as those that are boxes.
    """

    KIND: ClassVar[str]
    MODEL: ClassVar[str]
    task: ClassVar[str]
    crop_needs_labels: ClassVar[bool]

    @abstractmethod
    def build(self, *, device: "torch.device | str | None" = None) -> "AnyNetwork":
        """Builds the model, randomly initialised; on the device ``"meta"`` without memory, for its shapes."""

    @abstractmethod
    def as_network(self) -> "NetworkConfig":
        """Returns the configuration of the ``Network`` that the weights fill; no classes where only its backbone."""

    @abstractmethod
    def backbone_state(self, state: "Mapping[str, Tensor]") -> "dict[str, Tensor]":
        """Returns the part of the model's state dict that ``as_network`` has, by the names there."""

    @staticmethod
    @abstractmethod
    def default_preprocess(size_hw: tuple[int, int]) -> Preprocess:
        """Returns the preprocessing for an input of ``size_hw`` px where nothing else is known."""

    @staticmethod
    def top_k_of(recipe: Mapping[str, Any]) -> int | None:
        """Returns how many boxes the model gives for an image by the tables of a recipe; None where it gives none.

        Raises:
            ValueError: the recipe has no whole number there.
        """
        return None

    @abstractmethod
    def to_architecture(self) -> Architecture:
        """Returns what a bundle says of the model."""

    @property
    def activation(self) -> Activation | None:
        """What makes probabilities of its outputs where the weights do not say it; None where it gives no logits."""
        return None

    @classmethod
    @abstractmethod
    def from_architecture(cls, architecture: Architecture) -> Self:
        """The inverse of ``to_architecture``; raises KeyError, TypeError or ValueError for anything else."""

    @abstractmethod
    def to_dict(self) -> dict[str, Any]:
        """Returns the configuration as plain JSON values."""

    @classmethod
    @abstractmethod
    def from_dict(cls, record: Any) -> Self:
        """The inverse of ``to_dict``; raises AttributeError, KeyError, TypeError or ValueError for anything else."""

    def to_json(self) -> str:
        """Returns ``to_dict`` as the text of a JSON object."""
        return json.dumps(self.to_dict())

    @classmethod
    def from_json(cls, text: str) -> Self:
        """The inverse of ``to_json``.

        Raises:
            UsageError: the text is no configuration of this kind that this version knows.
        """
        try:
            return cls.from_dict(json.loads(text))
        except (AttributeError, KeyError, TypeError, ValueError) as error:
            raise UsageError(f"this is no {cls.KIND} of this version of litevision: {error}") from None


@dataclass(frozen=True)
class NetworkConfig(ModelConfig):
    """The configuration of a network.

    Attributes:
        architecture: a name of ``litevision.registry.ARCHITECTURES``.
        dialect: one of that architecture's dialects.
        width_mult: the paper's alpha; above 0.
        num_classes: 0 leaves the classifier out, and the network gives its pooled features.
        in_channels: channels of the input; 3 for RGB.
        output_stride: 8, 16 or 32. Once the running stride reaches it, later strides become dilation.
        dropout: probability of dropping a feature before the classifier; None takes the dialect's own.
        rows: the family's rows in place of its paper's table.
        final_endpoint: the endpoint to stop at; the network then gives that map and has no head.
        options: arguments of this family's builder alone.
    """

    KIND: ClassVar[str] = "network configuration"
    MODEL: ClassVar[str] = "classifier"
    task: ClassVar[str] = "classification"
    crop_needs_labels: ClassVar[bool] = False

    architecture: str
    dialect: str
    width_mult: float = 1.0
    num_classes: int = 1000
    in_channels: int = 3
    output_stride: int = 32
    dropout: float | None = None
    rows: tuple[Any, ...] | None = None
    final_endpoint: str | None = None
    options: Mapping[str, Any] = field(default_factory=lambda: NO_OPTIONS, hash=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "options", dict(self.options))  # a mapping proxy cannot be copied with the network
        if self.architecture not in ARCHITECTURES:
            raise UnknownNameError.of("model", self.architecture, ARCHITECTURES, see="'litevision models'")
        dialects = ARCHITECTURES[self.architecture].dialects
        if self.dialect not in dialects:
            raise UnknownNameError.of(f"dialect of {self.architecture}", self.dialect, dialects)
        if not (self.width_mult > 0 and math.isfinite(self.width_mult)):
            raise UsageError(f"width_mult must be a number above 0, got {self.width_mult}")
        if type(self.num_classes) is not int or self.num_classes < 0:
            raise UsageError(f"num_classes must be a whole number, 0 (features) or more, got {self.num_classes}")
        if type(self.in_channels) is not int or self.in_channels < 1:
            raise UsageError(f"in_channels must be a whole number, 1 or more, got {self.in_channels}")
        for what, most in (("num_classes", MAX_CLASSES), ("in_channels", MAX_CHANNELS)):
            if getattr(self, what) > most:
                raise UsageError(f"{what} must be {most:,} at most, got {getattr(self, what)}")
        if self.output_stride not in OUTPUT_STRIDES:
            raise UsageError(f"output_stride must be 8, 16 or 32, got {self.output_stride}")
        if self.dropout is not None and not 0 <= self.dropout < 1:
            raise UsageError(f"dropout must be a probability from 0 to below 1, got {self.dropout}")
        if self.rows is not None and not self.rows:
            raise UsageError("rows must hold at least one row, got none")

    def build(self, *, device: "torch.device | str | None" = None) -> "Network":
        """Builds the network, randomly initialised; as ``litevision.models.build`` does."""
        from litevision.models.factory import build

        return build(self, device=device)

    def as_network(self) -> "NetworkConfig":
        """Returns itself."""
        return self

    def backbone_state(self, state: "Mapping[str, Tensor]") -> "dict[str, Tensor]":
        """Returns all of ``state``."""
        return dict(state)

    @staticmethod
    def default_preprocess(size_hw: tuple[int, int]) -> Preprocess:
        """Returns ImageNet's evaluation crop for an input of ``size_hw``: 224 px of a shorter side of 256."""
        return Preprocess(size_hw, round(min(size_hw) / _CROP_FRACTION), "center", "bilinear")

    def to_architecture(self) -> Architecture:
        """Returns what a bundle says of the classifier."""
        record = self.to_dict()
        arguments = {key: record[key] for key in _STATED}
        if self.in_channels != RGB:
            arguments["in_channels"] = self.in_channels
        return Architecture(self.architecture, self.dialect, self.width_mult, self.num_classes, arguments)

    @property
    def activation(self) -> Activation:
        """A sigmoid of a single logit, whose softmax is 1 whatever it is; else a softmax."""
        return "sigmoid" if self.num_classes == 1 else "softmax"

    @classmethod
    def from_architecture(cls, architecture: Architecture) -> "NetworkConfig":
        return cls.from_dict(
            {
                "architecture": architecture.name,
                "dialect": architecture.dialect,
                "width_mult": architecture.width_mult,
                "num_classes": architecture.num_classes,
                **{key: architecture.arguments[key] for key in _STATED},
                "in_channels": architecture.arguments.get("in_channels", RGB),
            }
        )

    def rows_or(self, table: tuple[RowT, ...], kinds: tuple[type[RowT], ...] = ()) -> tuple[RowT, ...]:
        """Returns the rows to build: its own, else those of the family's ``table``.

        Args:
            kinds: of the family's rows; by default those in ``table``.

        Raises:
            UsageError: a row of another kind.
        """
        if self.rows is None:
            return table
        kinds = kinds or tuple(dict.fromkeys(type(row) for row in table))
        for row in self.rows:
            if not isinstance(row, kinds):
                expected = " or ".join(kind.__name__ for kind in kinds)
                raise UsageError(f"rows of {self.architecture} must be {expected} records, got {type(row).__name__}")
        return self.rows

    def require_dialect(self, option: str, *dialects: str) -> None:
        """Raises ``UsageError`` unless the network has one of ``dialects``, to which ``option`` belongs."""
        if self.dialect not in dialects:
            raise UsageError(
                f"{option} is of {self.architecture} in the dialect {' or '.join(dialects)}, got {self.dialect!r}"
            )

    def to_dict(self) -> dict[str, Any]:
        """Returns the configuration as plain JSON values; a row becomes its class name with its fields."""
        record = {one.name: getattr(self, one.name) for one in fields(self)}
        record["rows"] = None if self.rows is None else [[type(row).__name__, asdict(row)] for row in self.rows]
        return record

    @classmethod
    def from_dict(cls, record: Any) -> "NetworkConfig":
        family = importlib.import_module(f"litevision.models.{ARCHITECTURES[record['architecture']].family}")
        kinds = {name: kind for name, kind in vars(family).items() if isinstance(kind, type) and is_dataclass(kind)}
        rows = record["rows"]
        made = None if rows is None else tuple(kinds[kind](**given) for kind, given in rows)
        return cls(**{**record, "rows": made})
