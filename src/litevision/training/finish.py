"""What a run leaves: the checked bundle, its scores in the engine that will run it, tables, a card and a report."""

import json
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import torch

from litevision import __version__
from litevision.cost import ledger
from litevision.data import SPLITS
from litevision.evaluation import Evaluation, as_bundle_score, evaluate_bundle, scores
from litevision.exporting.bundle import add_score, export_bundle
from litevision.files import atomic_write, sha256_of
from litevision.image import Preprocess
from litevision.models.network import Network
from litevision.runtime import Bundle, Check, Classifier, Normalisation, Weights
from litevision.runtime.cpus import available_cpus
from litevision.runtime.machine import Machine
from litevision.runtime.records import to_dict
from litevision.training.checkpoint import Progress
from litevision.training.optimise import Trainable
from litevision.training.plan import AnyPlan, ClassificationPlan
from litevision.training.recipe import Recipe
from litevision.training.recipe_file import recipe_tables
from litevision.training.report.card import model_card
from litevision.training.report.gradcam import grad_cam
from litevision.training.report.images import Overlay
from litevision.training.report.page import write_report
from litevision.training.report.tables import write_epochs_csv, write_per_class_csv

BUNDLE, RESULTS, CARD = "model.onnx", "results.json", "model_card.md"
MEASURED_BY = f"litevision {__version__} in onnxruntime"
_CHECKED_WITH = 16
_OVERLAYS_RIGHT, _OVERLAYS_WRONG = 6, 6


def finish(
    plan: ClassificationPlan,
    network: Network,
    progress: Progress,
    folder: Path,
    *,
    stopped_early: bool,
    device: str,
    averaged: Sequence[tuple[str, Recipe]] = (),
) -> dict[str, Any]:
    """Writes everything into ``folder`` and gives the content of ``results.json``.

    Args:
        plan: what was planned.
        network: the best weights.
        progress: what was done.
        device: what trained, as the report names it.
        averaged: the names and recipes of the runs of whose weights these are the mean.
    """
    network = network.eval()
    bundle = folder / BUNDLE
    _export(plan, network, bundle)
    classifier = Classifier(Bundle.open(bundle, threads=1, streams=available_cpus()))
    evaluations = {
        split: evaluate_bundle(classifier, plan.data.of(split), plan.data.classes, split=split)
        for split in ("validation", "test")
        if plan.data.of(split)
    }
    judged = "test" if "test" in evaluations else "validation"
    dataset = f"{plan.data.root.name}, {judged} split"
    score = as_bundle_score(scores(evaluations[judged]), dataset, plan.preprocess.size_hw, MEASURED_BY)
    check = add_score(bundle, score).check
    results = {
        **described(plan, network, device),
        **how_it_went(progress, stopped_early=stopped_early),
        "averaged": [
            {"name": name, "recipe": recipe_tables(_without_folders(recipe), plan.task), "seed": recipe.run.seed}
            for name, recipe in averaged
        ],
        "scores": {
            split: scores(evaluations[split]).to_dict() if split in evaluations else None
            for split in ("validation", "test")
        },
        "bundle": bundle_record(bundle, check),
    }
    write_epochs_csv(folder / "epochs.csv", results)
    write_per_class_csv(folder / "classes.csv", results, judged)
    with atomic_write(folder / CARD) as partial:
        partial.write_text(model_card(results), "utf-8")
    overlays = _overlays(network, classifier.preprocess, plan.normalisation, evaluations[judged])
    write_report(folder, results, evaluations, overlays)
    write_results(folder, results)
    return results


def _export(plan: ClassificationPlan, network: Network, bundle: Path) -> None:
    export_bundle(
        network,
        bundle,
        labels=plan.data.classes,
        preprocess=plan.preprocess,
        normalisation=plan.normalisation,
        weights=trained_weights(plan, bundle.parent / "best.ckpt"),
        training_data=training_data(plan),
        check_images=check_images(plan),
    )


def trained_weights(plan: AnyPlan, checkpoint: Path) -> Weights:
    """What a bundle says of weights that this run trained."""
    start = plan.start
    trained = f"trained by litevision {__version__}"
    return Weights(
        name=plan.name,
        provenance=f"{trained} from {start.name}: {start.provenance}" if start else f"{trained} from a fresh start",
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
    """The part of ``results.json`` that tells of the epochs."""
    return {
        "epochs": progress.epochs,
        "best_epoch": progress.best_epoch,
        "stopped_early": stopped_early,
        "interruptions": progress.interruptions,
    }


def bundle_record(bundle: Path, check: Check) -> dict[str, Any]:
    """The part of ``results.json`` that tells of the bundle."""
    return {
        "path": BUNDLE,
        "bytes": bundle.stat().st_size,
        "sha256": sha256_of(bundle),
        "check": to_dict(check),
    }


def write_results(folder: Path, results: dict[str, Any]) -> None:
    """Writes ``results.json``, which says that the run is finished."""
    with atomic_write(folder / RESULTS) as partial:
        partial.write_text(json.dumps(results, indent=1, ensure_ascii=False), "utf-8")


def described(plan: AnyPlan, network: Trainable, device: str) -> dict[str, Any]:
    """The part of ``results.json`` that is known before any score."""
    config, data = plan.backbone, plan.data
    height, width = plan.preprocess.size_hw
    cost = ledger(network, (height, width))
    return {
        "format_version": 1,
        "task": plan.task,
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
            "skipped": [{"path": one.path, "rule": one.rule, "detail": one.detail} for one in plan.skipped],
        },
        "recipe": recipe_tables(_without_folders(plan.recipe), plan.task),
        "network": {
            "architecture": config.architecture,
            "dialect": config.dialect,
            "width_mult": config.width_mult,
            "num_params": cost.num_params,
            "macs": cost.macs,
            "size_hw": [height, width],
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
    """The recipe with files by their names alone: a card goes where this machine's folders mean nothing."""

    def name_of(source: str) -> str:
        return Path(source).name if Path(source).is_file() else source

    return replace(
        recipe,
        model=replace(recipe.model, weights=name_of(recipe.model.weights)),
        loss=replace(recipe.loss, teacher=name_of(recipe.loss.teacher)),
    )


def _overlays(
    network: Network, preprocess: Preprocess, normalisation: Normalisation, evaluation: Evaluation
) -> list[Overlay]:
    """Where the network looked: in the surest mistakes, and in the surest right answers of some classes."""
    best = evaluation.probabilities.argmax(1)
    scored = evaluation.probabilities.max(1)
    order = (-scored).argsort(kind="stable")
    wrong = [index for index in order if best[index] != evaluation.labels[index]][:_OVERLAYS_WRONG]
    right: dict[int, int] = {}
    for index in order:
        if best[index] == evaluation.labels[index]:
            right.setdefault(int(best[index]), int(index))
    overlays = []
    mean, std = torch.tensor(normalisation.mean).view(3, 1, 1), torch.tensor(normalisation.std).view(3, 1, 1)
    for index in [*wrong, *list(right.values())[:_OVERLAYS_RIGHT]]:
        image_u8_hwc = preprocess(evaluation.paths[index])
        image = (torch.from_numpy(image_u8_hwc).permute(2, 0, 1) / 255 - mean) / std
        heat = grad_cam(network, image[None], torch.tensor([int(best[index])]))[0].numpy()
        truth, answer = evaluation.classes[evaluation.labels[index]], evaluation.classes[best[index]]
        overlays.append(Overlay(evaluation.paths[index], image_u8_hwc, heat, truth, answer, float(scored[index])))
    return overlays
