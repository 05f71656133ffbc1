"""A run's folder as it may come from elsewhere: results that are none are one line."""

import json
from pathlib import Path

import pytest

from litevision import Run
from litevision.errors import TrainingError


@pytest.mark.parametrize(
    "content",
    [
        *("", "null", "[]", "{}", '"a"', '{"task": "detection"}', '{"task": 1, "scores": {}}', "[" * 9000 + "]" * 9000),
        *('{"task": "a", "scores": null}', '{"task": "a", "scores": {"test": 3}}', '{"task": "a", "scores": ["test"]}'),
    ],
)
def test_results_that_are_none_are_one_line(content: str, tmp_path: Path) -> None:
    (tmp_path / "results.json").write_text(content)
    run = Run(tmp_path)
    with pytest.raises(TrainingError, match=r"results\.json: cannot be read as a run's results \(.+\)$"):
        run.metrics.get("top1")
    with pytest.raises(TrainingError, match=r"results\.json: cannot be read as a run's results \(.+\)$"):
        run.task.upper()


@pytest.mark.parametrize("scores", [{}, {"validation": None}, {"test": {}}])
def test_a_run_without_scores_has_no_metrics(scores: object, tmp_path: Path) -> None:
    (tmp_path / "results.json").write_text(json.dumps({"task": "classification", "scores": scores}))
    assert (Run(tmp_path).metrics, Run(tmp_path).split) == ({}, "validation")
