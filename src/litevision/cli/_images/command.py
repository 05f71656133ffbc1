"""What a command over many images is: its options, how it answers and how its answers are written."""

from abc import ABC, abstractmethod
from collections.abc import Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, ClassVar, Generic, NamedTuple, TypeVar

if TYPE_CHECKING:
    from litevision.cli._images.results import Form, Writer
    from litevision.runtime import Bundle
    from litevision.runtime.pipeline import Work
    from litevision.runtime.video import Preparer


@dataclass(frozen=True)
class Options:
    """Options by their names, which `litevision.cli._images.options` explains; ``min`` is the least value."""

    inputs: tuple[str, ...]
    model: str
    recursive: bool = False
    frames: bool = False
    every: float = 1.0
    json: bool = False
    jsonl: bool = False
    csv: str | None = None
    strict: bool = False
    engine: str = "auto"
    precision: str | None = None
    workers: int | None = field(default=None, metadata={"min": 1})
    batch: int | None = field(default=None, metadata={"min": 1})


Given = TypeVar("Given", bound=Options)


class Job(NamedTuple):
    """What is done with the images, once the bundle is open.

    Attributes:
        bundle: the model.
        work: answers images.
        preparer: makes the model's input of a frame of a video or an animation.
    """

    bundle: "Bundle"
    work: "Work[Any]"
    preparer: "Preparer"


class Command(ABC, Generic[Given]):
    """A command over many images.

    Attributes:
        verb: its name.
        options: what was asked for.
    """

    verb: ClassVar[str]

    def __init__(self, options: Given) -> None:
        self.options = options

    @abstractmethod
    def form(self) -> "Form":
        """How its answers are written."""

    @abstractmethod
    def job(self, bundle: "Bundle") -> Job:
        """What it does with the images.

        Raises:
            BundleError: a bundle that cannot do it.
        """

    def targets(self) -> Sequence[str]:
        """The files and folders that it writes."""
        return [self.options.csv] if self.options.csv not in (None, "-") else []

    def writers(self, stack: ExitStack) -> "list[Writer]":
        """What writes its answers besides what every command has; what they open is closed by ``stack``."""
        return []
