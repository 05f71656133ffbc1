"""Statistics of batch normalisation that fit the weights and the images.

What evaluation normalises by is a running mean over training batches. Where a network's form gives each batch little
weight (0.0003 in TF-slim's MobileNetV1, 0.001 in Keras'), a short training ends before that mean has left its start: it
learns, and answers the same to every image.
"""

from collections.abc import Callable, Collection, Iterable, Iterator, Mapping
from contextlib import contextmanager

import torch
from torch import Tensor, nn

from litevision.training.batches import Batch, derived_seed

FRESH_MOMENTUM = 0.1
_MOST_RESIDUE = 0.01


def batch_norms(network: nn.Module) -> dict[str, nn.modules.batchnorm._BatchNorm]:
    """The layers of batch normalisation by name."""
    return {
        name: module
        for name, module in network.named_modules()
        if isinstance(module, nn.modules.batchnorm._BatchNorm) and module.track_running_stats
    }


def follow_batches(network: nn.Module) -> None:
    """Gives each batch of a network that is trained from scratch a weight of 0.1 at least in the statistics."""
    for module in batch_norms(network).values():
        if module.momentum is not None:
            module.momentum = max(module.momentum, FRESH_MOMENTUM)


def lag_behind(network: nn.Module, updates: Mapping[str, int]) -> bool:
    """Whether the statistics of any of some layers still hold over 1 % of what they were before the training.

    Args:
        network: holds the layers.
        updates: the batches that each layer has seen in the training, by name.
    """
    norms = batch_norms(network)
    return any(
        (momentum := norms[name].momentum) is not None and (1 - momentum) ** count > _MOST_RESIDUE
        for name, count in updates.items()
    )


def measure_statistics(
    network: nn.Module,
    names: Collection[str],
    batches: Iterable[Batch],
    loss: Callable[[nn.Module, Batch], Tensor],
    seeds: tuple[int, ...],
) -> None:
    """Measures the statistics of the named layers anew, as the mean over training batches.

    Args:
        network: holds the layers; its weights do not change.
        names: of the layers; the others are as in evaluation.
        batches: as training sees them, cut out and changed: weights fit the statistics that they were learned with.
        loss: computes a batch's.
        seeds: of what the loss draws, for mixup.
    """
    with _measuring(network, names), torch.no_grad():
        for place, batch in enumerate(batches):
            torch.manual_seed(derived_seed(*seeds, place))
            loss(network, batch)


@contextmanager
def _measuring(network: nn.Module, names: Collection[str]) -> Iterator[None]:
    """Within it, the named layers measure the plain mean over all batches that pass; all else is as in evaluation.

    Afterwards every layer is in the mode, and has the momentum, that it had before.
    """
    modes = [(module, module.training) for module in network.modules()]
    measured = [module for name, module in batch_norms(network).items() if name in names]
    momenta = [norm.momentum for norm in measured]
    network.eval()
    for norm in measured:
        norm.reset_running_stats()
        norm.momentum = None
        norm.train()
    try:
        yield
    finally:
        for norm, momentum in zip(measured, momenta, strict=True):
            norm.momentum = momentum
        for module, training in modes:
            module.training = training
