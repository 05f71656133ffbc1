"""The network that a run begins with: its form, and where its first weights come from."""

from collections.abc import Collection
from dataclasses import replace
from typing import Any, NamedTuple

import torch
from torch import nn

from litevision import console
from litevision.errors import LitevisionError, UsageError, WeightsMismatchError
from litevision.models.config import RGB, NetworkConfig
from litevision.models.factory import build, configure
from litevision.models.network import Network
from litevision.registry.weight_sets import find_weight_set
from litevision.runtime import Normalisation, Weights
from litevision.tasks import Task
from litevision.training.recipe import Model, Recipe
from litevision.weights.download import ONE_TRY, fetch
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
    model = recipe.model
    named = task.named_config(model.name, len(classes), model.in_channels or RGB)
    if named is not None and model.width != 1.0:
        raise UsageError(f"{model.name} has one width; got model.width = {model.width:g}, leave it out")
    trained = _trained(recipe, named)
    if trained is not None and trained.config.task == task.name:
        if named is not None or _named(task, trained) is None:
            return _go_on(recipe, classes, trained)
        backbone, start = _backbone_of(trained, recipe, classes)
    elif named is not None:
        torch.manual_seed(recipe.run.seed)
        return named.build(), Start(_stated_normalisation(recipe, "imagenet"), None, fresh_head=False)
    else:
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


_ROUNDED = {
    "schedule": {"epochs": 3, "freeze_backbone_epochs": 0, "first_size": 1.0, "warmup_epochs": 0.5},
    "optimizer": {"lr": 1e-4, "freeze_bn": True},
}
"""How a trained network gets used to 8 bits."""


def inherited_options(
    weights: str | None, task: Task, *, quantization_aware: bool = False
) -> dict[str, dict[str, Any]]:
    """What of a recipe follows from weights that litevision trained: the network, its input, and how it is built.

    Of a detector of others' making the network alone: its input follows from the data. Nothing for other weights.
    With ``quantization_aware``, also how long and how fast it is fine-tuned.
    """
    trained = None if weights in (None, "none", "default") else open_model(weights)
    if trained is None:
        return {}
    config: Any = trained.config
    backbone: NetworkConfig = getattr(config, "backbone", config) if config.task == task.name else config.as_network()
    tables: dict[str, dict[str, Any]] = {
        "model": {"name": backbone.architecture, "dialect": backbone.dialect, "width": backbone.width_mult}
    }
    if config.task == task.name:
        preprocess = trained.pretrained.preprocess
        if not trained.is_of_others:
            tables["model"] |= {
                "size_hw": list(preprocess.size_hw),
                "crop": preprocess.crop,
                "crop_fraction": min(1.0, min(preprocess.size_hw) / preprocess.resize_px),
            }
        for found in (task.inherited_options(config), _ROUNDED if quantization_aware else {}):
            for table, keys in found.items():
                tables.setdefault(table, {}).update(keys)
    return tables


def better_start(task: Task, name: str | None, stated: Collection[str]) -> dict[str, dict[str, Any]]:
    """What of a recipe follows where nobody stated weights, and there are better ones for ``task`` than usual.

    Nothing where there are none, or they cannot be had; a line says why.

    Args:
        task: what is learned.
        name: of the network; None where nobody stated one.
        stated: the options that somebody stated.
    """
    weights = task.better_start(name, stated)
    if weights is None:
        return {}
    try:
        fetch(find_weight_set(weights), retry=ONE_TRY)
        trained = open_model(weights)
    except LitevisionError as error:
        instead = "the network's" if name else f"{Model().name} and its"
        console.note(f"{weights} is not there to start from ({error}); {instead} default weights take its place")
        return {}
    assert trained is not None
    model = {"weights": weights, "dialect": trained.config.as_network().dialect}
    return {"model": model if name else {**model, "name": trained.config.to_architecture().name}}


def _trained(recipe: Recipe, named: Any) -> TrainedModel | None:
    """The model to go on from, which must be the recipe's; ``named`` is that of a network with a name of its own."""
    model = recipe.model
    if model.weights == "none" or (model.weights == "default" and named is None):
        return None
    trained = open_model(model.name if model.weights == "default" else model.weights)
    if named is not None:
        found = None if trained is None else trained.config.to_architecture().name
        if trained is None and model.weights == "default":
            raise WeightsMismatchError(
                f"no weights of {model.name} can be fetched by its name; expected model.weights to be its authors' "
                "file, a run or a bundle, or 'none' to train from scratch"
            )
        if found != model.name:
            raise WeightsMismatchError(
                f"{model.weights} holds {found or 'no detector'}, expected weights of {model.name}: a published set, "
                "the authors' file, a run or a bundle; 'none' trains from scratch"
            )
    elif trained is not None:
        backbone = trained.config.as_network()
        dialect = None if model.dialect in ("auto", backbone.dialect) else model.dialect
        width = None if model.width == 1.0 else model.width
        held = WeightsRequest(backbone.architecture, backbone.dialect, backbone.width_mult)
        WeightsRequest.of(model.name, dialect, width).require(trained.label, held)
    return trained


def _named(task: Task, trained: TrainedModel) -> Any:
    """The configuration that the name of a trained model alone stands for; None where it stands on a backbone."""
    return task.named_config(trained.config.to_architecture().name, 1, RGB)


def _backbone_of(trained: TrainedModel, recipe: Recipe, classes: tuple[str, ...]) -> tuple[Network, Start]:
    """The backbone of a trained detector, as a classifier."""
    _require_channels(trained, recipe)
    torch.manual_seed(recipe.run.seed)
    network = build(replace(trained.config.as_network(), num_classes=len(classes)))
    detector: Any = trained.network()
    network.load_state_dict({**network.state_dict(), **detector.backbone.state_dict()})
    known = trained.pretrained
    normalisation = _stated_normalisation(recipe, known.normalisation)
    return network, Start(normalisation, _described(known.weights, recipe), fresh_head=True)


def _require_channels(trained: TrainedModel, recipe: Recipe) -> None:
    """Raises `UsageError` for weights that see other images than the recipe says."""
    held = trained.config.in_channels
    if recipe.model.in_channels not in (0, held):
        raise UsageError(
            f"{trained.label} sees images in {'grey' if held == 1 else 'RGB'}, got model.in_channels = "
            f"{recipe.model.in_channels}; leave it out"
        )


def _stated_normalisation(recipe: Recipe, otherwise: Normalisation | str) -> Normalisation:
    """The recipe's normalisation, or another, by itself or by its name, where it states none."""
    stated = recipe.model.normalisation
    chosen = otherwise if stated == "auto" else stated
    return normalisation_named(chosen) if isinstance(chosen, str) else chosen


def _go_on(recipe: Recipe, classes: tuple[str, ...], trained: TrainedModel) -> tuple[Any, Start]:
    """The trained network for ``classes``, as many as they are."""
    config: Any = replace(trained.config, num_classes=len(classes))
    _require_channels(trained, recipe)
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
                continue
            tensor[len(classes) :] = before[name][trained.config.num_classes :]  # rows that are of no class
            if kept:
                rows, old = zip(*kept, strict=True)
                tensor[list(rows)] = before[name][list(old)]
    fresh = [name for name in classes if name not in labels]
    is_whole_head_fresh = not kept and isinstance(network, Network)  # of a detector, neck and boxes go on
    if fresh and not is_whole_head_fresh:
        console.note(f"{trained.label} knows {len(kept)} of the classes; from scratch: {', '.join(fresh)}")
    return network, Start(
        _stated_normalisation(recipe, trained.pretrained.normalisation),
        _described(trained.pretrained.weights, recipe),
        fresh_head=is_whole_head_fresh,
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
        return network, Start(_stated_normalisation(recipe, "imagenet"), None, fresh_head=False)
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
