import csv
import math
from pathlib import Path
from typing import Any

from litevision.files import write_csv
from litevision.tasks import task_of
from litevision.training.finish import write_epochs_csv


def write_classes_csv(path: Path, results: dict[str, Any], split: str) -> None:
    rows = task_of("classification").class_rows(results, split)
    write_csv(path, rows.header, rows.rows)


def rows(path: Path) -> list[dict[str, str]]:
    with path.open(newline="", encoding="utf-8") as file:
        return list(csv.DictReader(file))


def test_epochs_hold_what_the_results_hold(make_run: Any, tmp_path: Path) -> None:
    results = make_run(epochs=3).results
    results["epochs"][1].update(train_loss=None, validation_loss=math.nan, extra=7)
    write_epochs_csv(tmp_path / "epochs.csv", results)
    found = rows(tmp_path / "epochs.csv")
    assert list(found[0]) == [*results["epochs"][0], "extra"]
    assert [(row["epoch"], row["phase"], float(row["lr"])) for row in found] == [
        ("1", "head", 0.002),
        ("2", "all", 0.001),
        ("3", "all", 0.002 / 3),
    ]
    assert [row["train_loss"] for row in found][:2] == ["2.5", ""]
    assert [row["extra"] for row in found] == ["", "7", ""]
    assert math.isnan(float(found[1]["validation_loss"]))


def test_no_epoch_gives_a_header_alone(make_run: Any, tmp_path: Path) -> None:
    write_epochs_csv(tmp_path / "epochs.csv", make_run().results)
    assert (tmp_path / "epochs.csv").read_text() == "epoch\n"


def test_classes_hold_what_the_results_hold(make_run: Any, tmp_path: Path) -> None:
    name = 'a "quoted", name\nof two lines'
    run = make_run(classes=("hat", "dress", name), answers=[(0, 0), (1, 0), (1, 0)])
    write_classes_csv(tmp_path / "classes.csv", run.results, "test")
    third = 1 / 3
    assert rows(tmp_path / "classes.csv") == [
        {"split": "test", "class": "hat", "count": "1", "precision": str(third), "recall": "1.0", "f1": "0.5"},
        {"split": "test", "class": "dress", "count": "2", "precision": "", "recall": "0.0", "f1": "0.0"},
        {"split": "test", "class": name, "count": "0", "precision": "", "recall": "", "f1": ""},
    ]


def test_a_split_without_a_score_gives_a_header_alone(make_run: Any, tmp_path: Path) -> None:
    write_classes_csv(tmp_path / "classes.csv", make_run(splits=("validation",)).results, "test")
    assert (tmp_path / "classes.csv").read_text() == "split,class,count,precision,recall,f1\n"
