"""The network that a run begins with: its form, and where its first weights come from."""

from dataclasses import replace
from typing import Any, NamedTuple

import torch
from torch import nn

from litevision import console
from litevision.errors import UsageError
from litevision.models.config import RGB, NetworkConfig
from litevision.models.factory import build, configure
from litevision.models.nanodet import NanoDetConfig
from litevision.models.network import Network
from litevision.runtime import Normalisation, Weights
from litevision.tasks import Task
from litevision.training.recipe import Recipe
from litevision.weights.facts import normalisation_named
from litevision.weights.load import load_weights
from litevision.weights.source import WeightsRequest, open_model
from litevision.weights.trained import TrainedModel


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

    Weights that litevision trained for the same task fill the whole network: of the head, the part of each class that
    they know by name; other classes begin from scratch.

    Raises:
        WeightsError: weights that cannot be used.
        UsageError: a network for images of neither three channels nor one.
    """
    trained = _trained(recipe)
    if trained is not None and trained.config.task == task.name:
        return _go_on(task, recipe, classes, trained)
    backbone, start = _backbone(recipe, classes)
    if backbone.config.in_channels not in (1, RGB):
        raise UsageError(
            f"a network sees images in RGB or in grey, got one for {backbone.config.in_channels} channels; expected "
            "model.in_channels = 3, or 1 for grey"
        )
    torch.manual_seed(recipe.run.seed)
    network: Any = task.network(backbone, recipe, len(classes))
    is_built_on = network is not backbone
    return network, start._replace(fresh_head=start.weights is not None) if is_built_on else start


def inherited_options(weights: str, task: Task) -> dict[str, dict[str, Any]]:
    """What of a recipe follows from weights that litevision trained: the network, its input, and how it is built.

    Nothing for other weights.
    """
    trained = None if weights in ("none", "default") else _open_trainable(weights)
    if trained is None:
        return {}
    config: Any = trained.config
    backbone: NetworkConfig = getattr(config, "backbone", config)
    tables: dict[str, dict[str, Any]] = {
        "model": {"name": backbone.architecture, "dialect": backbone.dialect, "width": backbone.width_mult}
    }
    if config.task == task.name:
        preprocess = trained.pretrained.preprocess
        tables["model"] |= {
            "size_hw": list(preprocess.size_hw),
            "crop": preprocess.crop,
            "crop_fraction": min(1.0, min(preprocess.size_hw) / preprocess.resize_px),
        }
        for table, keys in task.inherited_options(config).items():
            tables.setdefault(table, {}).update(keys)
    return tables


def _trained(recipe: Recipe) -> TrainedModel | None:
    model = recipe.model
    if model.weights in ("none", "default"):
        return None
    trained = _open_trainable(model.weights)
    if trained is not None:
        backbone = trained.config.as_network()
        dialect = None if model.dialect == "auto" else model.dialect
        width = None if model.width == 1.0 else model.width
        held = WeightsRequest(backbone.architecture, backbone.dialect, backbone.width_mult)
        WeightsRequest.of(model.name, dialect, width).require(trained.label, held)
    return trained


def _open_trainable(weights: str) -> TrainedModel | None:
    """What litevision made, or the detector in somebody else's file; None for everything else.

    Raises:
        UsageError: a detector that litevision runs and exports, but does not train.
    """
    trained = open_model(weights)
    if trained is not None and isinstance(trained.config, NanoDetConfig):
        raise UsageError(
            f"{trained.label} is a {trained.config.architecture}, which litevision runs and exports but cannot train "
            "yet; expected weights of a classifier or of a CenterNet"
        )
    return trained


def _go_on(task: Task, recipe: Recipe, classes: tuple[str, ...], trained: TrainedModel) -> tuple[Any, Start]:
    """The trained network for ``classes``, as many as they are."""
    config: Any = replace(trained.config, num_classes=len(classes))
    if recipe.model.in_channels not in (0, config.in_channels):
        raise UsageError(
            f"{trained.label} sees images in {'grey' if config.in_channels == 1 else 'RGB'}, got model.in_channels = "
            f"{recipe.model.in_channels}; leave it out"
        )
    if isinstance(config, NetworkConfig):
        config = replace(config, dropout=recipe.model.dropout)
    torch.manual_seed(recipe.run.seed)
    network: nn.Module = config.build()
    if isinstance(network, Network):
        _with_quiet_classifier(network)
    labels, before = trained.pretrained.labels or (), trained.network().state_dict()
    if len(labels) != trained.config.num_classes:  # a single logit, which has no row for each of its two answers
        labels = ()
    kept = [(row, labels.index(name)) for row, name in enumerate(classes) if name in labels]
    state = network.state_dict()
    by_class = _class_tensors(trained.config)
    with torch.no_grad():
        for name, tensor in state.items():
            if name not in by_class:
                tensor.copy_(before[name])
            elif kept:
                rows, old = zip(*kept, strict=True)
                tensor[list(rows)] = before[name][list(old)]
    fresh = [name for name in classes if name not in labels]
    if kept and fresh:
        console.note(f"{trained.label} knows {len(kept)} of the classes; from scratch: {', '.join(fresh)}")
    normalisation = recipe.model.normalisation
    return network, Start(
        trained.pretrained.normalisation if normalisation == "auto" else normalisation_named(normalisation),
        _described(trained.pretrained.weights, recipe),
        fresh_head=not kept,
    )


def _class_tensors(config: Any) -> set[str]:
    """The names of the tensors that have a row for each class: those that another number of classes changes."""
    one, other = (replace(config, num_classes=count).build(device="meta").state_dict() for count in (7, 8))
    return {name for name, tensor in one.items() if tensor.shape != other[name].shape}


def _described(weights: Weights, recipe: Recipe) -> Weights:
    """What is known of the weights, unless the recipe's card knows better."""
    card = recipe.card
    return replace(
        weights,
        provenance=weights.provenance if card.weights == "auto" else card.weights,
        licence=weights.licence if card.weights_licence == "auto" else card.weights_licence,
    )


def _backbone(recipe: Recipe, classes: tuple[str, ...]) -> tuple[Network, Start]:
    """A classifier, of which a detector takes the backbone."""
    model = recipe.model
    dialect = None if model.dialect == "auto" else model.dialect
    torch.manual_seed(recipe.run.seed)
    if model.weights == "none":
        config = configure(model.name, width_mult=model.width, dialect=dialect, in_channels=model.in_channels or RGB)
        network = _with_quiet_classifier(build(replace(config, num_classes=len(classes), dropout=model.dropout)))
        normalisation = normalisation_named("imagenet" if model.normalisation == "auto" else model.normalisation)
        return network, Start(normalisation, None, fresh_head=False)
    width = None if model.width == 1.0 else model.width
    loaded = load_weights(
        model.weights,
        model.name,
        dialect=dialect,
        width_mult=width,
        num_classes=len(classes),
        in_channels=model.in_channels or None,
        reset_classifier=True,
        normalisation=None if model.normalisation == "auto" else normalisation_named(model.normalisation),
    )
    facts = loaded.network.pretrained
    assert facts is not None
    network = build(replace(loaded.network.config, dropout=model.dropout))
    network.load_state_dict(loaded.network.state_dict())
    if loaded.applied.reset:
        _with_quiet_classifier(network)
    weights = _described(facts.weights, recipe)
    return network, Start(facts.normalisation, weights, fresh_head=bool(loaded.applied.reset))


def _with_quiet_classifier(network: Network) -> Network:
    """The network with a classifier that begins with small weights, and so with nearly the same score for each class.

    Some libraries begin with large ones where there are few classes: timm's lie within 1 / sqrt(classes).
    """
    classifier: Any = network.head.classifier
    nn.init.normal_(classifier.weight, std=0.01)
    nn.init.zeros_(classifier.bias)
    return network
