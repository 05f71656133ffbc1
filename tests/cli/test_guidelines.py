"""litevision guidelines: its tables, its files, and how it refuses."""

import csv
import json
from collections.abc import Callable
from pathlib import Path

import pytest

Run = Callable[..., tuple[int, str, str]]

COLUMNS = ["scale", "network", "widths", "MMACs", "ms", "times", "least", "most", "ARM", "GPU", "verdict", "kernels"]


@pytest.fixture
def guidelines(litevision: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Run:
    """``litevision guidelines``, short, on one thread."""
    monkeypatch.chdir(tmp_path)
    quick = ("--rounds", "2", "--seconds", "0.001", "--threads", "1")
    return lambda *arguments: litevision("guidelines", *quick, *arguments)


def test_table(guidelines: Run) -> None:
    code, out, err = guidelines("G4")
    assert (code, err) == (0, "")
    title, blank, header, *rest = out.splitlines()
    assert (title, blank) == ("G4 few element-wise operations (table 4 of arXiv:1807.11164)", "")
    assert header.split() == COLUMNS
    rows, said = rest[:12], rest[12:]
    assert [row.split()[0] for row in rows] == ["x1"] * 4 + ["x2"] * 4 + ["x4"] * 4
    assert rows[0].split()[1:4] == ["neither", "32,8", "34.1"]
    assert rows[7].endswith("10 Add, 30 Conv, 10 Relu, 20 reorder")
    assert said[:2] == ["", "onnxruntime fp32, 1 thread"]
    assert "onnxruntime 1." in said[2]
    assert said[3].startswith("G4 few element-wise operations: ")
    assert "the paper's table 4: 1.10 on ARM, 1.12 on a GPU" in said[3]
    assert said[5].startswith("G4: the engine fuses 150 of 180 Relu and 0 of 60 Add into convolutions")


def test_json_csv_and_plot(guidelines: Run) -> None:
    code, out, err = guidelines("g4", "--aligned", "--json", "--csv", "rows.csv", "--plot", "it.png")
    found = json.loads(out)
    assert (code, list(found)) == (0, ["engine", "machine", "rows", "findings"])
    assert err == "wrote rows.csv: 12 rows\nwrote it.png\n"
    engine = {"name": "onnxruntime", "precision": "fp32", "threads": 1, "streams": 1}
    assert engine.items() <= found["engine"].items()
    first, second = found["rows"][:2]
    assert (first["variant"], first["verdict"], first["is_first"], first["paper_cpu"]) == ("neither", None, True, None)
    assert second["verdict"] in ("slower", "even", "quicker")
    assert len(second["rounds_ms"]) == len(second["times"]) == 2
    (finding,) = found["findings"]
    assert finding["outcome"] in finding["lines"][0]
    assert finding["paper_cpu"] is None
    with Path("rows.csv").open(newline="") as file:
        rows = list(csv.DictReader(file))
    assert [float(row["median_ms"]) > 0 for row in rows] == [True] * 12
    assert (rows[0]["widths"], rows[0]["engine"]) == ("64 16", "onnxruntime fp32, 1 thread")
    assert Path("it.png").read_bytes().startswith(b"\x89PNG")


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("G9",), "no guideline 'G9'."),
        (("--engine", "torch"), "no engine 'torch'."),
        (("--precision", "bf16"), "onnxruntime does not compute in bf16; expected fp32"),
        (("--rounds", "1"), "1 rounds; expected 2 or more, for the spread is between rounds."),
        (("--seconds", "0"), "0 seconds for each network; expected more than 0."),
        (("--threads", "0"), "0 threads; expected at least 1."),
        (("--plot", "it.gif"), "--plot it.gif: expected a name that ends in .png or .svg."),
        (("--plot", "no/it.png"), "--plot no/it.png: not a file that can be written."),
        (("--csv", "no/it.csv"), "--csv no/it.csv: not a file that can be written."),
    ],
)
def test_what_cannot_be_done_is_one_line(guidelines: Run, arguments: tuple[str, ...], message: str) -> None:
    code, out, err = guidelines(*arguments)
    assert (code, out) == (1, "")
    assert err.startswith(f"error: {message}")
    assert err.count("\n") == 1
    assert list(Path().iterdir()) == []
