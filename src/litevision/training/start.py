"""The network that a run begins with: its form, and where its first weights come from."""

from dataclasses import replace
from typing import Any, NamedTuple

import torch

from litevision.models.factory import build, configure
from litevision.models.network import Network
from litevision.runtime import Normalisation, Weights
from litevision.tasks import Task
from litevision.training.recipe import Recipe
from litevision.weights.facts import normalisation_named
from litevision.weights.load import load_weights


class Start(NamedTuple):
    """What a network begins with.

    Attributes:
        normalisation: what its graph does to an image.
        weights: where they come from; None where it is trained from scratch.
        fresh_head: whether they fill the backbone alone.
    """

    normalisation: Normalisation
    weights: Weights | None
    fresh_head: bool


def starting_network(task: Task, recipe: Recipe, classes: tuple[str, ...]) -> tuple[Any, Start]:
    """The network of ``task`` for ``classes`` as ``recipe`` wants it, the same each time.

    Raises:
        WeightsError: weights that cannot be used.
    """
    backbone, start = _backbone(recipe, classes)
    torch.manual_seed(recipe.run.seed)
    network: Any = task.network(backbone, recipe, len(classes))
    is_built_on = network is not backbone
    return network, start._replace(fresh_head=start.weights is not None) if is_built_on else start


def _backbone(recipe: Recipe, classes: tuple[str, ...]) -> tuple[Network, Start]:
    model, card = recipe.model, recipe.card
    dialect = None if model.dialect == "auto" else model.dialect
    torch.manual_seed(recipe.run.seed)
    if model.weights == "none":
        config = configure(model.name, width_mult=model.width, dialect=dialect)
        network = build(replace(config, num_classes=len(classes), dropout=model.dropout))
        normalisation = normalisation_named("imagenet" if model.normalisation == "auto" else model.normalisation)
        return network, Start(normalisation, None, fresh_head=False)
    width = None if model.width == 1.0 else model.width
    loaded = load_weights(
        model.weights,
        model.name,
        dialect=dialect,
        width_mult=width,
        num_classes=len(classes),
        reset_classifier=True,
    )
    facts = loaded.network.pretrained
    assert facts is not None
    normalisation = facts.normalisation if model.normalisation == "auto" else normalisation_named(model.normalisation)
    network = build(replace(loaded.network.config, dropout=model.dropout))
    network.load_state_dict(loaded.network.state_dict())
    known = facts.weights
    weights = replace(
        known,
        provenance=known.provenance if card.weights == "auto" else card.weights,
        licence=known.licence if card.weights_licence == "auto" else card.weights_licence,
    )
    return network, Start(normalisation, weights, fresh_head=bool(loaded.applied.reset))
