"""The page: whole in itself, with bars that add up."""

import re
from dataclasses import replace
from pathlib import Path

import pytest

from litevision.lab.profile.layers import BETWEEN, is_overcorrected
from litevision.lab.profile.page import Roofline, bars, write_page
from litevision.lab.profile.timings import Bound, LayerKind, LayerTime, Peaks, Profile, ProfilerCost, TimeStats
from litevision.runtime.engines import engine_choice
from litevision.runtime.machine import Machine

MACHINE = Machine("a processor", 2, 2, None, "Linux", {"litevision": "1"})


def row(
    name: str, ms: float, kind: LayerKind = "layer", block: str = "", size: str = "", macs: int | None = None
) -> LayerTime:
    bound: Bound | None = "compute" if macs else None
    moved, of_bound = (macs // 4, 0.5) if macs else (None, None)
    category = "conv" if kind == "layer" else kind
    time = TimeStats(ms, 0.1)
    return LayerTime(name, kind, "", category, block, size, (name,), (name,), time, macs, moved, bound, of_bound)


@pytest.fixture
def found() -> Profile:
    rows = (
        row("one.<b>", 1.0, block="one", size="8x8", macs=10_000_000),
        row("two.a", 2.0, block="two", size="8x8", macs=100_000_000),
        row("two.layout", 0.5, kind="reorder", block="two", size="4x4"),
        row(BETWEEN, 0.5, kind="between"),
    )
    spread = TimeStats(4.0, 0.2)
    peaks = Peaks(100.0, ((1_000, 90.0), (100_000_000, 20.0)))
    choice = engine_choice("onnxruntime", threads=2)
    about = ("folder/<model>.onnx", MACHINE, choice, "engine 1", {"images": (1, 8, 8, 3)})
    return Profile(*about, rows, spread, spread, ProfilerCost(), 9, peaks, ())


def test_each_bar_is_the_whole_run(found: Profile) -> None:
    by_size, by_block, by_layer = (parts for _, parts in bars(found))
    for parts in (by_size, by_block, by_layer):
        assert sum(part.width for part in parts) == pytest.approx(1000)
        assert [part.x for part in parts[1:]] == pytest.approx([part.x + part.width for part in parts[:-1]])
    assert [(part.label, round(part.width)) for part in by_size] == [
        ("8x8", 750),
        ("4x4", 125),
        ("between kernels", 125),
    ]
    assert [(part.label, round(part.width)) for part in by_block] == [
        ("one", 250),
        ("two", 625),
        ("between kernels", 125),
    ]
    assert [part.title for part in by_layer][:2] == ["one.<b>: 1.000 ms, 25.0%", "two.a: 2.000 ms, 50.0%"]


def test_dots_lie_where_their_figures_are(found: Profile) -> None:
    plot = Roofline(found)
    large, small = plot.dots  # the larger first, so that it does not hide the other
    assert large.radius > small.radius
    assert (large.x, large.y) == pytest.approx((plot.x(4.0), plot.y(50.0)))
    assert plot.left < small.x <= large.x < plot.right
    assert plot.top < plot.roof < large.y < small.y < plot.bottom
    (_, _, _, memory_x, memory_y), (_, _, _, cache_x, _) = plot.slopes
    assert (memory_x, memory_y) == pytest.approx((plot.x(5.0), plot.roof))
    assert cache_x < memory_x


def test_the_page_needs_nothing_else_and_escapes_names(found: Profile, tmp_path: Path) -> None:
    write_page(tmp_path / "page.html", found)
    html = (tmp_path / "page.html").read_text()
    assert "default-src 'none'" in html
    assert re.findall(r"(?:src|href)=|https?:|@import|<script", html) == []
    assert "&lt;model&gt;.onnx: where the time goes" in html
    assert "<b>:" not in html
    assert "one.&lt;b&gt;" in html
    assert len(re.findall("<circle", html)) == 2
    assert "other work disturbed" not in html
    assert [path.name for path in tmp_path.iterdir()] == ["page.html"]


def test_a_page_of_no_multiply_adds_is_drawn(found: Profile, tmp_path: Path) -> None:
    bare = Profile(**{**{name: getattr(found, name) for name in found.__dataclass_fields__}, "rows": found.rows[2:]})
    write_page(tmp_path / "page.html", bare)
    html = (tmp_path / "page.html").read_text()
    assert "<circle" not in html
    assert "other work disturbed" in html  # the rows are 1 ms of 4


@pytest.mark.parametrize("cache_gb_per_s", [90.0, 2500.0])
def test_every_line_lies_within_the_plot(found: Profile, cache_gb_per_s: float) -> None:
    """Whatever the machine: 16 cores have a cache forty times as fast as their memory."""
    peaks = Peaks(1000.0, ((1_000, cache_gb_per_s), (100_000_000, 60.0)))
    plot = Roofline(replace(found, peaks=peaks))
    for _, x1, y1, x2, y2 in plot.slopes:
        assert plot.left <= x1 < x2 <= plot.right
        assert plot.bottom >= y1 > y2 >= plot.top


def test_a_dot_above_the_measured_peak_is_said_to_be_one(found: Profile, tmp_path: Path) -> None:
    for peak, said in ((100.0, False), (10.0, True)):
        write_page(tmp_path / "page.html", replace(found, peaks=Peaks(peak, ((1_000, 90.0), (100_000_000, 20.0)))))
        assert ("dots above it show that other work disturbed" in (tmp_path / "page.html").read_text()) == said


def test_what_recording_took_is_left_in_where_hardly_anything_else_would_be_left(found: Profile) -> None:
    assert not is_overcorrected(found.rows, [4.0] * 3)
    assert is_overcorrected(found.rows, [9.0] * 3)
    assert "raw times, with the profiler's cost in them" in str(replace(found, is_raw=True))
    assert "raw times" not in str(found)
