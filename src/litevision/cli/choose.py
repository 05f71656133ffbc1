"""litevision choose: which network fits a budget of time or size on this machine."""

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar

from litevision import console
from litevision.cli.fields import (
    csv_option,
    engine_option,
    json_flag,
    plot_option,
    precision_option,
    threads_option,
)
from litevision.cli.parser import flag, option

if TYPE_CHECKING:
    from collections.abc import Sequence

    from litevision.lab.choose import Budget, Candidate
    from litevision.lab.latency import LatencyModel
    from litevision.runtime.engines import EngineChoice
    from litevision.runtime.machine import Machine


@dataclass(frozen=True, kw_only=True)
class ChooseOptions:
    """List the published networks that are Pareto-optimal in score, time and size on this machine.

    Nothing is downloaded, and no candidate is run: its milliseconds are predicted from its layers, by rates that this
    machine is measured for once. A network is listed if no other one scores as much in as little time and as few bytes.
    """

    examples: ClassVar = ("litevision choose --budget 5ms", "litevision choose --budget 6MB --classes 10")
    budget: tuple[str, ...] = option(
        (), metavar="5ms|6MB", help="Milliseconds that an image may take, or size of the bundle; may be given for both."
    )
    classes: int = option(1000, help="Number of classes that the network shall tell apart.")
    engine: str = engine_option()
    precision: str = precision_option()
    threads: int | None = threads_option()
    all: bool = flag(help="Also show what is not Pareto-optimal or beyond the budget.")
    calibrate: bool = flag(help="Measure this machine again.")
    csv: Path | None = csv_option("Write all candidates into this file.")
    plot: Path | None = plot_option()
    json: bool = json_flag("Print one JSON document, with all candidates.")


def run(options: ChooseOptions) -> int:
    """Predict, choose, print and write."""
    from litevision.cli.checks import check_plot, check_writable, require_torch

    require_torch("litevision choose")
    from litevision.cli.progress import progress_bar
    from litevision.lab.choose import check_classes, pareto_front, parse_budget, published_candidates
    from litevision.runtime.engines import engine_choice
    from litevision.runtime.machine import Machine

    check_classes(options.classes)
    budgets = [parse_budget(text) for text in options.budget]
    choice = engine_choice(options.engine, options.precision, threads=options.threads)
    if options.csv:
        check_writable(options.csv)
    if options.plot:
        check_plot(options.plot)
    machine = Machine.here()
    model = _model(choice, options.calibrate)
    with progress_bar("predict") as on_network:
        candidates = published_candidates(model, options.classes, on_network=on_network)
    found = sorted(candidates, key=lambda it: it.ms)
    best = pareto_front(found)
    fitting = [it for it in best if all(each.allows(it) for each in budgets)]
    if options.csv:
        _write(options.csv, found, best, choice, machine)
    if options.plot:
        from litevision.lab.choose.plot import plot

        plot(options.plot, found, best, budgets, f"{_about(choice)}, {options.classes:,} classes; {machine.cpu}")
        console.note(f"wrote {options.plot}")
    if options.json:
        _print_json(found, best, budgets, options.classes, choice, model, machine)
        return 0
    shown = found if options.all else fitting
    if shown:
        _print(shown, best, mark=options.all)
        print()
    print(_conclusion(found, best, fitting, budgets))
    if fitting and options.classes != 1000:
        print(f"to train the most exact: {_command(max(fitting, key=lambda it: it.top1))}")
    print(f"top-1 is its publisher's, on ImageNet; ms are predicted for {_about(choice)}")
    print(
        f"of the {model.num_networks} networks made up to calibrate with, half are predicted within "
        f"{model.typical_error:.0%} by the others, the worst within {model.worst_error:.0%}"
    )
    if model.is_noisy:
        print("other work disturbed the calibration; when it is done, --calibrate measures again")
    print(machine)
    return 0


def _model(choice: "EngineChoice", anew: bool) -> "LatencyModel":
    from litevision.cli.progress import progress_bar
    from litevision.lab.latency import calibrate, latency_model

    def made(choice: "EngineChoice") -> "LatencyModel":
        console.note(f"measuring this machine in {choice.title}, once; about a minute")
        with progress_bar("calibrate") as on_network:
            return calibrate(choice, on_network=on_network)

    return latency_model(choice, anew=anew, made_by=made)


def _about(choice: "EngineChoice") -> str:
    return f"{choice.title}, {choice.threads} thread{'s' if choice.threads > 1 else ''}, batch 1"


def _print(candidates: "Sequence[Candidate]", best: "Sequence[Candidate]", *, mark: bool) -> None:
    from litevision.cli.tables import print_table
    from litevision.tables import Align

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
    from litevision.cli.tables import write_records

    write_records(file, [{**_record(it, best), "engine": _about(choice), "machine": str(machine)} for it in found])


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
