"""What is said of a guideline, and its image."""

from pathlib import Path

import pytest
from PIL import Image

from litevision.lab.guidelines import VariantTiming, findings
from litevision.lab.guidelines.designs import DESIGNS
from litevision.lab.guidelines.plot import plot


def rows(
    times: tuple[float, ...], kernels: dict[str, int], fused: dict[str, int], guideline: str = "G4"
) -> list[VariantTiming]:
    def one(variant: str, times: tuple[float, ...], *, is_first: bool) -> VariantTiming:
        return VariantTiming(guideline, variant, 1, (32, 8), 100, kernels, fused, times, 1.0, times, 1.1, 1.2, is_first)

    return [one("neither", (1.0,) * len(times), is_first=True), one("ReLU", times, is_first=False)]


@pytest.mark.parametrize(
    ("times", "outcome"),
    [((1.1, 1.2), "holds"), ((0.9, 1.2), "inside the spread"), ((0.8, 0.9), "does not hold")],
)
def test_outcomes(times: tuple[float, ...], outcome: str) -> None:
    (finding,) = findings(DESIGNS[3:], rows(times, {"Conv": 30}, {}))
    assert finding.outcome == outcome
    assert finding.lines[0].startswith(
        f"G4 few element-wise operations: {outcome} here. With ReLU or shortcut it takes "
    )


def test_the_figures_are_named() -> None:
    (finding,) = findings(DESIGNS[3:], rows((1.1, 1.2, 1.4), {"Conv": 30}, {}))
    assert (
        "1.20 times as long (1.10 to 1.40 over 3 rounds; the paper's table 4: 1.10 on ARM, 1.20 on a GPU)."
        in (finding.lines[0])
    )
    assert finding.lines[1] == ("G4: of 1 rows 1 are slower than the first, 0 are quicker, 0 are inside the spread.")
    assert len(finding.lines) == 2


@pytest.mark.parametrize(
    ("times", "kernels", "line"),
    [
        (
            (0.9, 1.1),
            {"Conv": 30},
            "G4: the engine fuses 60 of 60 Relu into convolutions, none is a kernel of its own; "
            "the effect is fused away.",
        ),
        (
            (1.1, 1.2),
            {"Conv": 30},
            "G4: the engine fuses 60 of 60 Relu into convolutions, none is a kernel of its own.",
        ),
        (
            (0.9, 1.1),
            {"Conv": 30, "Relu": 10},
            "G4: the engine fuses 60 of 80 Relu into convolutions, the others are kernels of their own.",
        ),
    ],
)
def test_what_is_fused_is_said(times: tuple[float, ...], kernels: dict[str, int], line: str) -> None:
    (finding,) = findings(DESIGNS[3:], rows(times, kernels, {"Relu": 30}))
    assert finding.lines[2] == line


def test_another_layout_is_said() -> None:
    first, other = rows((1.1, 1.2), {"Conv": 10}, {}), rows((1.1, 1.2), {"plain Conv": 10}, {})
    (finding,) = findings(DESIGNS[3:], [first[0], other[1]])
    assert finding.lines[-1].startswith("G4: onnxruntime computes 1 of these 2 networks in its plain layout")


@pytest.mark.parametrize("name", ["it.png", "it.SVG"])
def test_the_plot(tmp_path: Path, name: str) -> None:
    found = [*rows((1.1, 1.2), {}, {}, "G1"), *rows((0.9, 1.2), {}, {}, "G4")]
    plot(tmp_path / name, findings((DESIGNS[0], DESIGNS[3]), found), found, "here")
    if name.endswith("png"):
        with Image.open(tmp_path / name) as image:
            assert min(image.size) > 300
    else:
        assert "<svg" in (tmp_path / name).read_text()
    assert [path.name for path in tmp_path.iterdir()] == [name]
