"""What ``litevision classify`` does, once its command line is read."""

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from litevision.cli._images import command

if TYPE_CHECKING:
    from litevision.cli._images.results import Form
    from litevision.runtime import Bundle
    from litevision.runtime.classifier import Prediction
    from litevision.runtime.results import Result


@dataclass(frozen=True)
class Options(command.Options):
    """The command's options by their names; ``min`` is the least value. `litevision.cli.classify` explains them."""

    model: str = "clothing"
    top: int = field(default=5, metadata={"min": 1})


class Classify(command.Command[Options]):
    """Names what the images show."""

    verb = "classify"

    def form(self) -> "Form":
        from litevision.cli._images.results import Form

        columns = (("path", "<4"), ("rank", ">4"), ("label", "<5"), ("score", ">6"))
        return Form(columns, _cells, ("path", "rank", "index", "label", "score", "ms"), _rows, _plain)

    def job(self, bundle: "Bundle") -> command.Job:
        from functools import partial

        from litevision.runtime.classifier import Classifier, Naming
        from litevision.runtime.results import answer

        task = Naming(Classifier(bundle), self.options.top)
        return command.Job(bundle, partial(answer, task), task.prepare)


def _cells(answer: "Result[Prediction]") -> Iterator[tuple[str, ...]]:
    from litevision.cli._images.results import printable

    name = printable(answer.name)
    for rank, it in enumerate(answer.predictions, start=1):
        yield name, str(rank), printable(it.label), f"{it.score:.4f}"


def _rows(answer: "Result[Prediction]") -> Iterator[tuple[object, ...]]:
    for rank, it in enumerate(answer.predictions, start=1):
        yield answer.name, rank, it.index, it.label, it.score, round(answer.ms, 3)


def _plain(answer: "Result[Prediction]") -> dict[str, Any]:
    return {"predictions": [{"label": it.label, "score": it.score, "index": it.index} for it in answer.predictions]}
