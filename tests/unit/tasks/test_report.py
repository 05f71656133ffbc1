"""What a task says of its scores."""

from types import SimpleNamespace

import pytest

from litevision.evaluation.coco import DetectionScores
from litevision.evaluation.scores import Scores
from litevision.tasks import task_of


@pytest.mark.parametrize(("name", "scores"), [("classification", Scores), ("detection", DetectionScores)])
def test_the_main_score_is_a_figure_of_the_scores(name: str, scores: type) -> None:
    main = task_of(name).main_score
    assert hasattr(scores, main.key) or main.key in scores.__annotations__
    assert main.of(SimpleNamespace(**{main.key: 1})) == 1.0


def test_there_is_no_main_score_where_there_was_nothing_to_find() -> None:
    main = task_of("detection").main_score
    assert main.of(SimpleNamespace(**{main.key: None})) is None
