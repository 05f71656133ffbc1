"""Every network against a small file: its sizes, its maps, and logits of weights that follow from layers' names."""

import copy
import json
from pathlib import Path
from typing import Any

import pytest
import torch

from litevision.cost.ledger import ledger
from litevision.models import build, configure
from networks import NETWORKS, filled, images

FOLDER = Path(__file__).parent / "expected"
ODD_HW = (65, 97)  # where the dialects' paddings differ
DIGITS = 6


def found(name: str, dialect: str) -> dict[str, Any]:
    costs = ledger(build(configure(name, dialect=dialect), device="meta"), (224, 224))
    network = copy.deepcopy(filled(name, dialect)).double()
    with torch.inference_mode():
        endpoints = network.forward_endpoints(images(1, (64, 64), dtype=torch.float64))
        logits = network(images(1, ODD_HW, dtype=torch.float64))[0, :8].tolist()
    return {
        "num_params": costs.num_params,
        "num_buffers": costs.num_buffers,
        "macs_224": costs.macs,
        "endpoints_64": {end.name: list(endpoints[end.name].shape[1:]) for end in network.endpoints},
        "logits_65x97_of_10_classes": [float(f"{logit:.{DIGITS}g}") for logit in logits],
    }


def text_of(record: dict[str, Any]) -> str:
    """JSON with one endpoint a line."""
    lines = [f'  "{key}": {json.dumps(value)}' for key, value in record.items() if key != "endpoints_64"]
    shapes = ",\n".join(f'    "{name}": {shape}' for name, shape in record["endpoints_64"].items())
    lines.insert(3, f'  "endpoints_64": {{\n{shapes}\n  }}')
    return "{\n" + ",\n".join(lines) + "\n}\n"


@pytest.mark.parametrize(("name", "dialect"), NETWORKS)
def test_is_as_expected(name: str, dialect: str, pytestconfig: pytest.Config) -> None:
    file, now = FOLDER / f"{name}-{dialect}.json", found(name, dialect)
    if pytestconfig.getoption("--accept"):
        FOLDER.mkdir(exist_ok=True)
        file.write_text(text_of(now))
    advice = (
        f"{file.name} differs; if the change is meant, run: pytest --accept tests/test_expected.py, and read the diff"
    )
    assert file.is_file(), advice
    expected = json.loads(file.read_text())
    logits, expected_logits = now.pop("logits_65x97_of_10_classes"), expected.pop("logits_65x97_of_10_classes")
    assert now == expected, advice
    # The last of 6 digits may be rounded otherwise where another processor sums in another order.
    assert logits == pytest.approx(expected_logits, rel=2e-5, abs=1e-6), advice


def test_no_file_is_left_over() -> None:
    assert {file.stem for file in FOLDER.iterdir()} == {f"{name}-{dialect}" for name, dialect in NETWORKS}
