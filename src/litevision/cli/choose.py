"""litevision choose: which network fits a budget of time or size on this machine."""

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

if TYPE_CHECKING:
    from collections.abc import Sequence

    from litevision.lab.choose import Budget, Candidate
    from litevision.lab.latency import LatencyModel
    from litevision.runtime.engines import EngineChoice
    from litevision.runtime.machine import Machine


def choose(
    budget: Annotated[
        list[str] | None,
        typer.Option(metavar="5ms|6MB", help="The most an image may take, or a bundle may weigh; give both, or none."),
    ] = None,
    classes: Annotated[int, typer.Option(help="How many classes the network shall tell apart.")] = 1000,
    engine: Annotated[str, typer.Option(help="onnxruntime or openvino.")] = "onnxruntime",
    precision: Annotated[str, typer.Option(help="fp32, or bf16 where engine and processor have it.")] = "fp32",
    threads: Annotated[int | None, typer.Option(help="Threads that compute an image; by default all.")] = None,
    every: Annotated[bool, typer.Option("--all", help="Show what is beaten or beyond the budget, too.")] = False,
    anew: Annotated[bool, typer.Option("--calibrate", help="Measure this machine again.")] = False,
    csv: Annotated[Path | None, typer.Option(metavar="FILE", help="Write all candidates there.")] = None,
    plot: Annotated[Path | None, typer.Option(metavar="FILE.png|svg", help="Draw them there.")] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print one JSON document, with all candidates.")] = False,
) -> None:
    """List the published networks that are the best for their time and size on this machine.

    Nothing is downloaded, and no candidate is run: its milliseconds are predicted from its layers, by rates that this
    machine is measured for once. A network is listed if no other one scores as much in as little time and as few bytes.
    """
    from litevision.cli._shared.outputs import check_plot, check_writable
    from litevision.cli._shared.torch import require_torch

    require_torch("litevision choose")
    from litevision.lab.choose import check_classes, pareto_front, parse_budget, published_candidates
    from litevision.runtime.engines import engine_choice
    from litevision.runtime.machine import Machine

    check_classes(classes)
    budgets = [parse_budget(text) for text in budget or ()]
    choice = engine_choice(engine, precision, threads=threads)
    if csv:
        check_writable(csv)
    if plot:
        check_plot(plot)
    machine = Machine.here()
    model = _model(choice, anew)
    found = sorted(published_candidates(model, classes, on_network=_counting), key=lambda it: it.ms)
    _clear()
    best = pareto_front(found)
    fitting = [it for it in best if all(each.allows(it) for each in budgets)]
    if csv:
        _write(csv, found, best, choice, machine)
    if plot:
        from litevision.lab.choose.plot import plot as draw

        draw(plot, found, best, budgets, f"{_about(choice)}, {classes:,} classes; {machine.cpu}")
        print(f"wrote {plot}", file=sys.stderr)
    if as_json:
        _print_json(found, best, budgets, classes, choice, model, machine)
        return
    shown = found if every else fitting
    if shown:
        _print(shown, best, mark=every)
        print()
    print(_conclusion(found, best, fitting, budgets))
    if fitting and classes != 1000:
        print(f"to train the most exact: {_command(max(fitting, key=lambda it: it.top1))}")
    print(f"top-1 is its publisher's, on ImageNet; ms are predicted for {_about(choice)}")
    print(
        f"of the {model.num_networks} networks made up to calibrate with, half are predicted within "
        f"{model.typical_error:.0%} by the others, the worst within {model.worst_error:.0%}"
    )
    if model.is_disturbed:
        print("other work disturbed the calibration; when it is done, --calibrate measures again")
    print(machine)


def _model(choice: "EngineChoice", anew: bool) -> "LatencyModel":
    from functools import partial

    from litevision.lab.latency import calibrate, latency_model

    def made(choice: "EngineChoice") -> "LatencyModel":
        print(f"measuring this machine in {choice.title}, once; about a minute", file=sys.stderr)
        return calibrate(choice, on_network=partial(_progress, "network"))

    return latency_model(choice, anew=anew, made_by=made)


def _counting(done: int, total: int) -> None:
    _progress("candidate", done, total)


def _progress(what: str, done: int, total: int) -> None:
    if sys.stderr.isatty():
        print(f"\r{what} {done + 1} of {total}", end="\033[K", file=sys.stderr, flush=True)


def _clear() -> None:
    if sys.stderr.isatty():
        print(end="\r\033[K", file=sys.stderr)


def _about(choice: "EngineChoice") -> str:
    return f"{choice.title}, {choice.threads} thread{'s' if choice.threads > 1 else ''}, batch 1"


def _print(candidates: "Sequence[Candidate]", best: "Sequence[Candidate]", *, mark: bool) -> None:
    from litevision.cli._shared.table import Align, print_table

    columns: dict[str, Align] = {"network": "left", "dialect": "left"}
    columns |= dict.fromkeys(("width", "size", "top-1", "ms", "MB", "MMACs"), "right")
    columns |= {"weights": "left"}
    if mark:
        columns |= {"": "left"}
    rows = [
        (
            it.name,
            it.dialect,
            f"{it.width_mult:g}",
            "x".join(map(str, dict.fromkeys(it.size_hw))),
            f"{it.top1:.1f}",
            f"{it.ms:.2f}",
            f"{it.num_bytes / 1e6:.1f}",
            f"{it.macs / 1e6:.0f}",
            it.weights,
            *(("frontier" if it in best else "",) if mark else ()),
        )
        for it in candidates
    ]
    print_table(columns, rows)


def _conclusion(
    found: "Sequence[Candidate]",
    best: "Sequence[Candidate]",
    fitting: "Sequence[Candidate]",
    budgets: "Sequence[Budget]",
) -> str:
    within = " and ".join(map(str, budgets))
    if not fitting:
        quickest, smallest = min(found, key=lambda it: it.ms), min(found, key=lambda it: it.num_bytes)
        return (
            f"none of {len(found)} candidates fits into {within}; the quickest takes {quickest.ms:.2f} ms "
            f"({quickest.weights}), the smallest {smallest.num_bytes / 1e6:.1f} MB ({smallest.weights})"
        )
    where = f" {'is' if len(fitting) == 1 else 'are'} within {within}" if budgets else ""
    of = f", {len(fitting)} of these{where}" if budgets else ""
    return f"{len(best)} of {len(found)} candidates are beaten by none in score, time and size together{of}"


def _command(candidate: "Candidate") -> str:
    """What trains it on somebody's own images."""
    from litevision.registry import ALIASES

    has_width = candidate.width_mult == 1 or candidate.name in ALIASES
    width = "" if has_width else f" --set model.width={candidate.width_mult:g}"
    size = "x".join(map(str, dict.fromkeys(candidate.size_hw)))
    model = f"--model {candidate.name} --weights {candidate.weights}"
    return f"litevision train DATA {model} --size {size}{width}"


def _record(candidate: "Candidate", best: "Sequence[Candidate]") -> dict[str, Any]:
    from dataclasses import asdict

    height, width = candidate.size_hw
    return {**asdict(candidate), "size_hw": f"{height}x{width}", "frontier": candidate in best}


def _write(
    file: Path,
    found: "Sequence[Candidate]",
    best: "Sequence[Candidate]",
    choice: "EngineChoice",
    machine: "Machine",
) -> None:
    from litevision.cli._shared.outputs import write_csv

    records = [{**_record(it, best), "engine": _about(choice), "machine": str(machine)} for it in found]
    write_csv(file, list(records[0]), [list(record.values()) for record in records])
    print(f"wrote {file}: {len(records)} rows", file=sys.stderr)


def _print_json(
    found: "Sequence[Candidate]",
    best: "Sequence[Candidate]",
    budgets: "Sequence[Budget]",
    classes: int,
    choice: "EngineChoice",
    model: "LatencyModel",
    machine: "Machine",
) -> None:
    import json
    from dataclasses import asdict

    plain = {
        "classes": classes,
        "budgets": [asdict(each) for each in budgets],
        "engine": asdict(choice),
        "machine": asdict(machine),
        "calibration": asdict(model),
        "candidates": [
            {
                **asdict(it),
                "frontier": it in best,
                "fits": all(each.allows(it) for each in budgets),
                "train": _command(it),
            }
            for it in found
        ],
    }
    print(json.dumps(plain))
