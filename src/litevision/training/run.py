"""A run from its beginning, or from where it was interrupted, to what it leaves."""

import atexit
import functools
import logging
import os
import shutil
import socket
import tempfile
from pathlib import Path
from typing import Any

import torch
import torch.distributed
from lightning_fabric import Fabric
from lightning_fabric.plugins.environments.lightning import LightningEnvironment
from lightning_fabric.strategies.ddp import DDPStrategy
from torch import nn

from litevision.runtime.cpus import available_cpus
from litevision.tasks.base import TrainingSetup
from litevision.training.batch_norm import follow_batches
from litevision.training.batches import EpochOrder
from litevision.training.callbacks import Callback
from litevision.training.checkpoint import NAME as LAST
from litevision.training.checkpoint import read_checkpoint
from litevision.training.diagnosis import require_converged, statistics_in_words
from litevision.training.finish import finish
from litevision.training.image_cache import ImageStores
from litevision.training.loop import BEST, Loop
from litevision.training.plan import AnyPlan
from litevision.training.process import StopRequest, hold_run, keep_freed_memory, resolve_device
from litevision.training.quantization_aware import make_quantization_aware
from litevision.training.remote_run import RunCopy

_MEETING = "LITEVISION_MEETING"  # the folder, in the environment of the processes that the first one starts


class LocalDDP(DDPStrategy):
    """Data parallelism whose processes, where Lightning starts them, meet in a file of a folder that is theirs alone.

    By default the first process listens on every interface of the machine, and does as anyone who connects tells it.
    Processes that something else started, like torchrun, meet as that arranged it.
    """

    def __init__(self, **options: Any) -> None:
        super().__init__(**options)
        if _MEETING not in os.environ and "LOCAL_RANK" not in os.environ:
            os.environ[_MEETING] = tempfile.mkdtemp(prefix="litevision-")  # which nobody else may enter
            atexit.register(shutil.rmtree, os.environ[_MEETING], ignore_errors=True)

    def setup_environment(self) -> None:
        """Joins the other processes."""
        environment, folder = self.cluster_environment, os.environ.get(_MEETING)
        if folder and isinstance(environment, LightningEnvironment) and not torch.distributed.is_initialized():
            cuda = self.root_device.type == "cuda"
            for library in ("GLOO", "NCCL"):
                os.environ.setdefault(f"{library}_SOCKET_IFNAME", _loopback())
            # Lightning leaves a group that is there as it is.
            torch.distributed.init_process_group(
                "nccl" if cuda else "gloo",
                init_method=(Path(folder) / "store").as_uri(),
                rank=environment.local_rank(),
                world_size=self.num_processes,
            )
            if cuda:
                atexit.register(torch.distributed.destroy_process_group)
        super().setup_environment()


def _loopback() -> str:
    return next((name for _, name in socket.if_nameindex() if name.startswith("lo")), "lo")


def make_fabric(recipe_devices: int, precision: str, device: str = "auto") -> Fabric:
    """The device or devices; with several, this process and the others meet here.

    Raises:
        UsageError: a device that is not there.
    """
    logging.getLogger("lightning_fabric").setLevel(logging.WARNING)  # each process would greet
    fabric = Fabric(
        accelerator=resolve_device(device),
        devices=recipe_devices,
        strategy="auto" if recipe_devices == 1 else LocalDDP(),
        precision="bf16-mixed" if precision == "bf16" else "32-true",
    )
    fabric.launch()
    return fabric


def train(plan: AnyPlan, network: nn.Module | None, folder: Path, callback: Callback) -> dict[str, Any]:
    """Trains as planned, and gives the content of ``results.json``.

    Args:
        plan: written into ``folder``; where there are several processes, the first one's counts, and its folder.
        network: what to begin with; None takes up the folder's last checkpoint.
        folder: the run's, for everything that it leaves.
        callback: is called as the training goes on.

    Raises:
        RunStopped: a signal came; the checkpoint is written.
        TrainingError: the run cannot begin, go on or be taken up again, or another process trains it.
    """
    with hold_run(folder):
        return _train(plan, network, folder, callback)


def _train(plan: AnyPlan, network: nn.Module | None, folder: Path, callback: Callback) -> dict[str, Any]:
    keep_freed_memory()
    fabric = make_fabric(plan.recipe.run.devices, plan.recipe.run.precision, plan.recipe.run.device)
    plan, folder = fabric.broadcast((plan, folder))
    recipe = plan.recipe
    _set_threads(recipe.run.devices if fabric.device.type == "cpu" else 1)
    resumed = None if network is not None else read_checkpoint(folder / LAST)
    copy = RunCopy(folder, recipe.run.copy_to) if recipe.run.copy_to and fabric.is_global_zero else None
    folder.mkdir(parents=True, exist_ok=True)  # that of another host need not be shared
    if fabric.is_global_zero:
        _remove_leftovers(folder)
    fabric.barrier()
    stores = ImageStores(plan, folder)
    try:
        setup = plan.task.set_up(plan, stores)
        loop = _loop(plan, plan.config.build() if network is None else network, folder, fabric, setup, copy)
        if resumed is not None:
            loop.load(*resumed)
        loop.write()
        with StopRequest() as stop:
            callback.on_train_start(functools.partial(loop.expected_seconds, len(plan.data.of("validation"))))
            loop.run(callback, stop)
        require_converged(loop.progress, recipe)
        if not fabric.is_global_zero:
            return {}
        _, best = read_checkpoint(folder / BEST)
        early, device = loop.stopped_early, _named(fabric)
        trained = plan.config.build()
        trained.load_state_dict(best["network"])
        statistics = statistics_in_words(recipe, trained, loop.progress, setup.objective.validate)
        results = finish(
            plan, trained, loop.progress, folder, stopped_early=early, device=device, statistics=statistics
        )
        if copy is not None:
            copy.finish()
        return results
    finally:
        stores.close()


def _set_threads(processes: int) -> None:
    """Shares the processors among the processes; of one alone, whoever set ``OMP_NUM_THREADS`` knows better.

    With several, it is torchrun that sets it: to 1, on however large a machine.
    """
    if processes > 1 or "OMP_NUM_THREADS" not in os.environ:
        torch.set_num_threads(max(1, available_cpus() // processes))


def _loop(
    plan: AnyPlan, network: nn.Module, folder: Path, fabric: Fabric, setup: TrainingSetup, copy: RunCopy | None
) -> Loop:
    recipe = plan.recipe
    if plan.start is None:
        follow_batches(network)
    if recipe.model.quantization_aware:
        make_quantization_aware(network)
    order = EpochOrder(
        len(setup.images),
        recipe.schedule.batch_size,
        recipe.run.seed,
        chances=setup.chances,
        rank=fabric.global_rank,
        ranks=fabric.world_size,
    )
    return Loop(fabric, network, setup.objective, recipe, order, setup.images, folder, copy)


def _remove_leftovers(folder: Path) -> None:
    """Removes what a killed run had not written whole, and its images."""
    for leftover in (*folder.glob("cache-*"), *folder.glob(".model.*")):
        shutil.rmtree(leftover, ignore_errors=True)  # which follows no link
    for partial in folder.glob(".*.part"):
        partial.unlink(missing_ok=True)


def _named(fabric: Fabric) -> str:
    if fabric.device.type == "cuda":
        return torch.cuda.get_device_name(fabric.device)
    return fabric.device.type
