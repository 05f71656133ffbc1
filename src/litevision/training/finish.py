"""What a run leaves: the checked bundle, its scores in the engine that will run it, tables, a card and a report."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any, NamedTuple

import torch
from torch import nn

from litevision import __version__
from litevision.cost.ledger import ledger
from litevision.data import SPLITS, Split
from litevision.exporting.bundle import add_score, export_bundle
from litevision.files import atomic_write, json_text, sha256_of, write_csv
from litevision.runtime import Bundle, Check, Weights
from litevision.runtime.cpus import available_cpus
from litevision.runtime.machine import Machine
from litevision.runtime.schema import to_dict
from litevision.training.checkpoint import Progress
from litevision.training.diagnosis import warnings_of
from litevision.training.plan import AnyPlan
from litevision.training.recipe import Recipe
from litevision.training.recipe_file import recipe_tables
from litevision.training.report.card import model_card
from litevision.training.report.facts import Results
from litevision.training.report.page import write_report
from litevision.training.result import BUNDLE, CARD, RESULTS

MEASURED_BY = f"litevision {__version__} in onnxruntime"
_CHECKED_WITH = 16
_HELD_OUT: tuple[Split, ...] = ("validation", "test")


class Averaged(NamedTuple):
    """One of the runs of whose weights a network is the mean; ``scores`` are its task's main score by split."""

    name: str
    recipe: Recipe
    scores: Mapping[str, float]


def finish(
    plan: AnyPlan,
    network: nn.Module,
    progress: Progress,
    folder: Path,
    *,
    stopped_early: bool,
    device: str,
    averaged: Sequence[Averaged] = (),
    statistics: str = "",
) -> dict[str, Any]:
    """Writes everything into ``folder`` and gives the content of ``results.json``.

    Args:
        plan: what was planned.
        network: the best weights.
        progress: what was done.
        folder: the run's.
        stopped_early: whether validation ended the run before its last epoch.
        device: what trained, as the report names it.
        averaged: the runs of whose weights these are the mean.
        statistics: what is wrong with those of batch normalisation, in words.
    """
    network, task, data = network.eval(), plan.task, plan.data
    bundle = folder / BUNDLE
    export_bundle(
        network,
        bundle,
        labels=data.classes,
        preprocess=plan.preprocess,
        normalisation=plan.normalisation,
        weights=trained_weights(plan, folder / "best.ckpt"),
        training_data=training_data(plan),
        check_images=check_images(plan),
        options=task.export_options(plan.recipe),
    )
    predictor = task.open(Bundle.open(bundle, threads=1, streams=available_cpus()))
    evaluations: dict[str, Any] = {
        split: task.evaluate(predictor, data.of(split), data.classes, split=split)
        for split in _HELD_OUT
        if sum(data.counts(split))
    }
    scores = {split: task.scores(evaluation) for split, evaluation in evaluations.items()}
    judged = "test" if "test" in scores else "validation"
    # The test images decide nothing, so that their score is that of images never seen.
    chosen = task.chosen_on(evaluations["validation"], f"{data.root.name}, validation split")
    dataset = f"{data.root.name}, {judged} split"
    score = task.bundle_score(scores[judged], dataset, plan.preprocess.size_hw, MEASURED_BY)
    check = add_score(bundle, score, chosen).check
    results = {
        **described(plan, network, device),
        **how_it_went(progress, stopped_early=stopped_early),
        **task.describe_chosen(evaluations[judged], chosen),
        "averaged": [
            {
                "name": run.name,
                "recipe": recipe_tables(_without_folders(run.recipe)),
                "seed": run.recipe.run.seed,
                "scores": dict(run.scores),
            }
            for run in averaged
        ],
        "scores": {split: scores[split].to_dict() if split in scores else None for split in _HELD_OUT},
        "bundle": bundle_record(bundle, check),
        "warnings": [
            *task.warnings(data, plan.recipe),
            *warnings_of(
                plan,
                network,
                progress,
                task.learned_nothing(evaluations["validation"], scores["validation"]),
                statistics,
            ),
            *_no_better(averaged, task.main_score.of(scores["validation"]), plan),
        ],
    }
    write_epochs_csv(folder / "epochs.csv", results)
    classes = task.class_rows(results, judged)
    write_csv(folder / "classes.csv", classes.header, classes.rows)
    with atomic_write(folder / CARD) as partial:
        partial.write_text(model_card(results), "utf-8")
    write_report(folder, results, task.report_parts(plan, network, results, evaluations))
    write_results(folder, results)
    return results


def _no_better(averaged: Sequence[Averaged], score: float | None, plan: AnyPlan) -> Iterator[str]:
    """Says that averaging did not pay: the best of the runs does better on validation images that none learned."""
    known = [run for run in averaged if "validation" in run.scores]
    best = max(known, key=lambda run: run.scores["validation"], default=None)
    if best is None or score is None or "validation" in plan.recipe.schedule.splits:
        return
    if best.scores["validation"] > score:
        shown = plan.task.main_score.shown
        yield (
            f"averaging did not pay: {shown(score)} on the validation images, where {best.name} alone has "
            f"{shown(best.scores['validation'])}. Use that run."
        )


def write_epochs_csv(path: Path, results: Results) -> None:
    """Writes one row for each epoch, with everything that the results say of it; what one lacks stays empty."""
    epochs = results["epochs"]
    header = list(dict.fromkeys(key for epoch in epochs for key in epoch)) or ["epoch"]
    write_csv(path, header, ([epoch.get(key) for key in header] for epoch in epochs))


def trained_weights(plan: AnyPlan, checkpoint: Path) -> Weights:
    """What a bundle says of weights that this run trained."""
    start = plan.start
    trained = f"trained by litevision {__version__}"
    return Weights(
        name=plan.name,
        provenance=f"{trained} from {start.name}: {start.provenance}" if start else f"{trained} from scratch",
        licence=start.licence if start else "its trainer's",
        sha256=sha256_of(checkpoint),
    )


def training_data(plan: AnyPlan) -> str:
    """What a bundle says of the images that it was trained on."""
    data, card = plan.data, plan.recipe.card
    count = len(data.of(*plan.recipe.schedule.splits))
    return f"{count} images of {len(data.classes)} classes: {card.data} (licence: {card.data_licence})"


def check_images(plan: AnyPlan) -> list[Path]:
    """Some validation images, of all classes alike, to check the bundle with."""
    paths = [sample.path for sample in plan.data.of("validation")]
    return paths[:: max(1, len(paths) // _CHECKED_WITH)][:_CHECKED_WITH]


def how_it_went(progress: Progress, *, stopped_early: bool) -> dict[str, Any]:
    """The part of ``results.json`` on the epochs."""
    return {
        "epochs": progress.epochs,
        "best_epoch": progress.best_epoch,
        "stopped_early": stopped_early,
        "interruptions": progress.interruptions,
    }


def bundle_record(bundle: Path, check: Check) -> dict[str, Any]:
    """The part of ``results.json`` on the bundle."""
    return {
        "path": BUNDLE,
        "bytes": bundle.stat().st_size,
        "sha256": sha256_of(bundle),
        "check": to_dict(check),
    }


def write_results(folder: Path, results: dict[str, Any]) -> None:
    """Writes ``results.json``, which says that the run is finished."""
    with atomic_write(folder / RESULTS) as partial:
        # A file name may hold bytes that are no text; as an escape they are JSON all the same.
        partial.write_text(json_text(results, indent=1), "utf-8", errors="backslashreplace")


def described(plan: AnyPlan, network: Any, device: str) -> dict[str, Any]:
    """The part of ``results.json`` that is known before any score."""
    config, data = plan.backbone, plan.data
    height, width = plan.preprocess.size_hw
    cost = ledger(network, (height, width))
    return {
        "format_version": 1,
        "task": plan.task.name,
        "name": plan.name,
        "created": plan.created,
        "litevision": __version__,
        "data": {
            "path": data.root.name,
            "description": plan.recipe.card.data,
            "licence": plan.recipe.card.data_licence,
            "classes": list(data.classes),
            "counts": {split: list(data.counts(split)) for split in SPLITS},
            "made_splits": data.made_splits,
            **plan.task.describe_data(data),
            "skipped": [{"path": one.path, "rule": one.rule, "detail": one.detail} for one in plan.skipped],
        },
        "recipe": recipe_tables(_without_folders(plan.recipe)),
        "network": {
            "architecture": config.architecture,
            "dialect": config.dialect,
            "width_mult": config.width_mult,
            "num_params": cost.num_params,
            "macs": cost.macs,
            "size_hw": [height, width],
            **plan.task.describe_config(plan.config),
        },
        "preprocess": to_dict(plan.preprocess),
        "start_weights": None if plan.start is None else to_dict(plan.start),
        "machine": {
            "cpu": Machine.here().cpu,
            "device": device,
            "threads": torch.get_num_threads(),
            "precision": plan.recipe.run.precision,
            "torch": torch.__version__,
        },
        "seed": plan.recipe.run.seed,
    }


def _without_folders(recipe: Recipe) -> Recipe:
    """The recipe with files and folders by their names alone, and without the address of a copy, as in a card."""

    def name_of(source: str) -> str:
        return Path(source).name if Path(source).exists() else source

    return replace(recipe, run=replace(recipe.run, copy_to="")).with_sources(name_of)
