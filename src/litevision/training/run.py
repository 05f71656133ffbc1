"""A run from its beginning, or from where it was interrupted, to what it leaves."""

import functools
import logging
import os
import shutil
import tempfile
from dataclasses import replace
from pathlib import Path
from typing import Any

import torch
from lightning_fabric import Fabric

from litevision.models.centernet import CenterNet, CenterNetConfig
from litevision.models.config import NetworkConfig
from litevision.models.factory import build
from litevision.runtime.cpus import available_cpus
from litevision.training.augment import image_transform
from litevision.training.batches import EpochOrder, TrainingImages
from litevision.training.checkpoint import NAME as LAST
from litevision.training.checkpoint import read_checkpoint
from litevision.training.classification import ClassificationTask, preprocessed
from litevision.training.detection.finish import finish_detection
from litevision.training.detection.task import DetectionImages, DetectionTask, read_for_training
from litevision.training.finish import finish
from litevision.training.loop import BEST, Listener, Loop
from litevision.training.meeting import LocalDDP
from litevision.training.optimise import Trainable
from litevision.training.plan import AnyPlan, DetectionPlan
from litevision.training.process import hold_run, keep_freed_memory
from litevision.training.stopping import StopRequest
from litevision.training.store import Imagestore, Read, read_reduced
from litevision.training.teacher import open_teacher

# A crop of half an image's area is as large as the training image; more pixels would only be thrown away.
_CACHED_OVER_TRAINED = 1.25
RESULTS = "results.json"


def make_fabric(recipe_devices: int, precision: str) -> Fabric:
    """The device or devices; with several, this process and the others meet here."""
    logging.getLogger("lightning_fabric").setLevel(logging.WARNING)  # each process would greet
    fabric = Fabric(
        accelerator="cuda" if torch.cuda.is_available() else "cpu",
        devices=recipe_devices,
        strategy="auto" if recipe_devices == 1 else LocalDDP(),
        precision="bf16-mixed" if precision == "bf16" else "32-true",
    )
    fabric.launch()
    return fabric


def train(plan: AnyPlan, network: Trainable | None, folder: Path, listener: Listener) -> dict[str, Any]:
    """Trains as planned, and gives the content of ``results.json``.

    Args:
        plan: written into ``folder``; where there are several processes, the first one's counts, and its folder.
        network: what to begin with; None takes up the folder's last checkpoint.
        folder: the run's, for everything that it leaves.

    Raises:
        RunStopped: a signal came; the checkpoint is written.
        TrainingError: the run cannot begin, go on or be taken up again, or another process trains it.
    """
    with hold_run(folder):
        return _train(plan, network, folder, listener)


def _train(plan: AnyPlan, network: Trainable | None, folder: Path, listener: Listener) -> dict[str, Any]:
    keep_freed_memory()
    fabric = make_fabric(plan.recipe.run.devices, plan.recipe.run.precision)
    plan, folder = fabric.broadcast((plan, folder))
    recipe = plan.recipe
    _set_threads(recipe.run.devices if fabric.device.type == "cpu" else 1)
    resumed = None if network is not None else read_checkpoint(folder / LAST)
    if fabric.is_global_zero:
        _remove_leftovers(folder)
    fabric.barrier()
    stores = _Stores(plan, folder)
    try:
        loop = _loop(plan, _built(plan.config) if network is None else network, folder, fabric, stores)
        if resumed is not None:
            loop.load(*resumed)
        loop.write()
        with StopRequest() as stop:
            loop.run(listener, stop)
        if not fabric.is_global_zero:
            return {}
        _, best = read_checkpoint(folder / BEST)
        early, device = loop.stopped_early, _named(fabric)
        if isinstance(plan, DetectionPlan):
            detector = CenterNet(plan.config)
            detector.load_state_dict(best["network"])
            return finish_detection(plan, detector, loop.progress, folder, stopped_early=early, device=device)
        trained = build(plan.config)
        trained.load_state_dict(best["network"])
        return finish(plan, trained, loop.progress, folder, stopped_early=early, device=device)
    finally:
        stores.close()


def _built(config: NetworkConfig | CenterNetConfig) -> Trainable:
    return CenterNet(config) if isinstance(config, CenterNetConfig) else build(config)


def _set_threads(processes: int) -> None:
    """Shares the processors among the processes; of one alone, whoever set ``OMP_NUM_THREADS`` knows better.

    With several, it is torchrun that sets it: to 1, on however large a machine.
    """
    if processes > 1 or "OMP_NUM_THREADS" not in os.environ:
        torch.set_num_threads(max(1, available_cpus() // processes))


class _Stores:
    """The images in memory's reach: those to train on, reduced, and those to validate with, ready."""

    def __init__(self, plan: AnyPlan, run: Path) -> None:
        """Keeps them in a new folder in the folder ``run``, which `close` removes."""
        self._folder = folder = Path(tempfile.mkdtemp(prefix="cache-", dir=run))
        recipe = plan.recipe
        limit_bytes = recipe.run.cache_mb * 1_000_000 // recipe.run.devices
        self.train = Imagestore(
            folder / "train",
            [sample.path for sample in plan.data.of(*recipe.schedule.splits)],
            _training_reader(plan),
            limit_bytes,
        )
        self.validation = Imagestore(
            folder / "validation",
            [sample.path for sample in plan.data.of("validation")],
            functools.partial(preprocessed, plan.preprocess),
            limit_bytes,
        )

    def close(self) -> None:
        shutil.rmtree(self._folder, ignore_errors=True)


def _training_reader(plan: AnyPlan) -> Read:
    """What training crops are cut from: the image as it is, or stretched or letterboxed as the model sees it."""
    if isinstance(plan, DetectionPlan):
        return functools.partial(read_for_training, plan.preprocess, plan.recipe.detection.scale[1])
    height, width = (round(side * _CACHED_OVER_TRAINED) for side in plan.recipe.train_size_hw)
    if plan.recipe.model.crop == "center":
        return functools.partial(read_reduced, shorter_px=max(height, width))
    return functools.partial(preprocessed, replace(plan.preprocess, size_hw=(height, width)))


def _loop(plan: AnyPlan, network: Trainable, folder: Path, fabric: Fabric, stores: _Stores) -> Loop:
    if isinstance(plan, DetectionPlan):
        return _detection_loop(plan, network, folder, fabric, stores)
    recipe, data = plan.recipe, plan.data
    labels = [sample.label for sample in data.of(*recipe.schedule.splits)]
    teacher = None if recipe.loss.teacher == "none" else open_teacher(recipe.loss.teacher, data.classes)
    task = ClassificationTask(
        recipe,
        plan.normalisation,
        data.counts(*recipe.schedule.splits),
        data.of("validation"),
        stores.validation,
        teacher,
    )
    order = EpochOrder(
        labels,
        recipe.schedule.batch_size,
        recipe.run.seed,
        balanced=recipe.loss.sampler == "balanced",
        rank=fabric.global_rank,
        ranks=fabric.world_size,
    )
    images = TrainingImages(stores.train, labels, image_transform(recipe.augment, recipe.train_size_hw))
    return Loop(fabric, network, task, recipe, order, images, folder)


def _detection_loop(plan: DetectionPlan, network: Trainable, folder: Path, fabric: Fabric, stores: _Stores) -> Loop:
    recipe, classes = plan.recipe, plan.data.classes
    samples, validation = plan.data.of(*recipe.schedule.splits), plan.data.of("validation")
    task = DetectionTask(recipe.detection, plan.preprocess, plan.normalisation, classes, validation, stores.validation)
    images = DetectionImages(stores.train, samples, recipe.detection, plan.preprocess, len(classes))
    order = EpochOrder(
        [0] * len(samples),  # no image is of one class
        recipe.schedule.batch_size,
        recipe.run.seed,
        rank=fabric.global_rank,
        ranks=fabric.world_size,
    )
    return Loop(fabric, network, task, recipe, order, images, folder)


def _remove_leftovers(folder: Path) -> None:
    """Removes what a killed run had not written whole, and its images."""
    for leftover in (*folder.glob("cache-*"), *folder.glob(".model.*")):
        shutil.rmtree(leftover, ignore_errors=True)  # which follows no link
    for partial in folder.glob(".*.part"):
        partial.unlink(missing_ok=True)


def _named(fabric: Fabric) -> str:
    if fabric.device.type == "cuda":
        return torch.cuda.get_device_name(fabric.device)
    return "cpu"
