"""One network from several runs of one start: the mean of their weights.

Source: Wortsman et al. 2022, "Model soups" (arXiv:2203.05482), the uniform soup. Runs that begin with the same weights
end near enough to each other for their mean to be a good network, often a better one than each, at the cost of one.
"""

import os
from collections.abc import Sequence
from contextlib import closing
from dataclasses import replace
from pathlib import Path

import torch
from torch import Tensor

from litevision.errors import UsageError
from litevision.files import sha256_of
from litevision.models.config import ModelConfig, NetworkConfig
from litevision.models.kinds import AnyNetwork
from litevision.training.batch_norm import batch_norms, measure_statistics
from litevision.training.batches import EpochOrder, load_batches
from litevision.training.checkpoint import Progress, read_checkpoint, write_checkpoint
from litevision.training.finish import Averaged, finish
from litevision.training.image_cache import ImageStores
from litevision.training.loop import BEST, workers_for
from litevision.training.plan import AnyPlan, read_plan, run_folder
from litevision.training.result import RESULTS, Run


def read_runs(folders: Sequence[Path]) -> list[AnyPlan]:
    """The plans of the runs, which must fit each other.

    Raises:
        UsageError: fewer than two, the same one twice, or other networks, images, splits or starts.
    """
    if len(folders) < 2:
        raise UsageError(f"averaging takes at least two runs, got {len(folders)}")
    twice = next((one for place, one in enumerate(folders) if one.resolve() in _resolved(folders[:place])), None)
    if twice is not None:
        raise UsageError(f"{twice} is given twice; averaging takes each run once")
    plans: list[AnyPlan] = [read_plan(folder) for folder in folders]
    for folder, plan in zip(folders, plans, strict=True):
        for what, one, first in (
            ("network", _without_dropout(plan.config), _without_dropout(plans[0].config)),
            ("images or splits", plan.task.data_to_dict(plan.data), plans[0].task.data_to_dict(plans[0].data)),
            ("starting weights", plan.start and plan.start.sha256, plans[0].start and plans[0].start.sha256),
            ("preprocessing", plan.preprocess, plans[0].preprocess),
        ):
            if one != first:
                raise UsageError(f"{folder} has other {what} than {folders[0]}; average runs that differ in neither")
    if plans[0].start is None:
        raise UsageError(f"{folders[0]} was trained from scratch; only runs from the same weights can be averaged")
    same = {sha256_of(folder / BEST): folder for folder in reversed(folders) if (folder / BEST).is_file()}
    copies = [folder for folder in folders if (folder / BEST).is_file() and folder not in same.values()]
    if copies:
        raise UsageError(f"{copies[0]} holds the same weights as another run; averaging takes each run once")
    return plans


def _without_dropout(config: ModelConfig) -> ModelConfig:
    return replace(config, dropout=None) if isinstance(config, NetworkConfig) else config


def _resolved(folders: Sequence[Path]) -> list[Path]:
    return [folder.resolve() for folder in folders]


def mean_network(plans: Sequence[AnyPlan], folders: Sequence[Path], scratch: Path) -> AnyNetwork:
    """The mean of the runs' best weights, the statistics of batch normalisation measured anew in ``scratch``.

    Those statistics belong to the weights that they were measured with.
    """
    states = [read_checkpoint(folder / BEST)[1]["network"] for folder in folders]
    plan = plans[0]
    network: AnyNetwork = plan.config.build()
    network.load_state_dict({key: _mean([state[key] for state in states]) for key in states[0]})
    stores = ImageStores(plan, scratch)
    try:
        setup = plan.task.set_up(plan, stores)
        recipe = plan.recipe
        order = EpochOrder(
            len(setup.images), recipe.schedule.batch_size, recipe.run.seed, chances=setup.chances
        ).batches_to_measure(recipe.schedule.epochs)
        images = setup.images.at_size(recipe.train_size_in(recipe.schedule.epochs - 1))
        with closing(load_batches(images, order, workers_for(recipe.run.workers))) as batches:
            seeds = recipe.run.seed, recipe.schedule.epochs
            measure_statistics(network, batch_norms(network), batches, setup.objective.loss, seeds)
    finally:
        stores.close()
    network.eval()
    return network


def _mean(tensors: Sequence[Tensor]) -> Tensor:
    if not tensors[0].is_floating_point():
        return tensors[0]
    return torch.stack([tensor.double() for tensor in tensors]).mean(0).to(tensors[0].dtype)


def average(runs: Sequence[str | os.PathLike[str]], *, name: str, output: str | os.PathLike[str] = "runs") -> Run:
    """Averages the weights of runs that began with the same ones: often better than each, as small and fast as one.

    The score on the validation images tells whether it was worth it; the test images are scored as after training.

    Args:
        runs: finished runs, or their folders.
        name: of the result.
        output: the folder in which the result's own is made.

    Returns:
        The averaged run: its model file, scores, report and network.

    Raises:
        UsageError: fewer than two runs, or runs that do not fit each other.
        TrainingError: the folder of the result holds a run already.

    Example:
        >>> import litevision
        >>> both = litevision.average(["runs/first", "runs/second"], name="both")  # doctest: +SKIP
    """
    folders = [Path(run) for run in runs]
    plans = read_runs(folders)
    folder = run_folder(output, name)
    plan = replace(plans[0], name=name)
    plan.write(folder)
    network = mean_network(plans, folders, folder)
    write_checkpoint(folder / BEST, Progress(), {"network": network.state_dict()})
    averaged = [Averaged(run.name, one.recipe, _scores_of(run, one)) for run, one in zip(folders, plans, strict=True)]
    finish(plan, network, Progress(), folder, stopped_early=False, device="cpu", averaged=averaged)
    return Run(folder)


def _scores_of(folder: Path, plan: AnyPlan) -> dict[str, float]:
    """The main score of the run's own model by split; nothing where it is not finished."""
    if not (folder / RESULTS).is_file():
        return {}
    scores, key = Run(folder).results["scores"], plan.task.main_score.key
    return {split: found[key] for split, found in scores.items() if found and found.get(key) is not None}
