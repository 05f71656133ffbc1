"""The detectors that are compared, and how one recipe becomes each one's own."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

from litevision.errors import UnknownNameError
from litevision.models.centernet import Neck
from litevision.training.recipe_file import make_recipe, recipe_tables


@dataclass(frozen=True, slots=True)
class Candidate:
    """One detector.

    Attributes:
        name: its row's in the table, and its folder's.
        title: what it is, in the plot.
        network: the architecture of its backbone.
        dialect: whose form of it.
        neck: what stands on the backbone.
    """

    name: str
    title: str
    network: str
    dialect: str
    neck: Neck


# fmt: off
CANDIDATES = {
    row.name: row
    for row in (
        #      name          title                           network         dialect        neck
        Candidate("dlaseg",     "DLASeg",                       "dla34",        "timm",        "dlaup"),
        Candidate("v1-reshape", "MobileNetV1, tutorial's neck", "mobilenet_v1", "timm",        "reshape"),
        Candidate("v1-light",   "MobileNetV1, light neck",      "mobilenet_v1", "timm",        "light"),
        Candidate("v2-reshape", "MobileNetV2, the tutorial's",  "mobilenet_v2", "tutorial",    "reshape"),
        Candidate("v2-light",   "MobileNetV2, light neck",      "mobilenet_v2", "torchvision", "light"),
    )
}
# fmt: on


def find_candidates(names: Sequence[str]) -> tuple[Candidate, ...]:
    """Find candidates by name, in the table's order; all for no names.

    Raises:
        UnknownNameError: a name that is no candidate's.
    """
    for name in names:
        if name not in CANDIDATES:
            raise UnknownNameError.of("candidate of the comparison", name, CANDIDATES)
    return tuple(candidate for candidate in CANDIDATES.values() if candidate.name in names or not names)


def recipe_for(candidate: Candidate, recipe: Any, epochs: int) -> Any:
    """Adapt a recipe to a candidate: its network, neck and epochs, from scratch, all parts at one learning rate.

    Fresh, because nobody publishes weights for the tutorial's network: others would begin ahead of it.
    """
    return replace(
        recipe,
        model=replace(recipe.model, name=candidate.network, dialect=candidate.dialect, weights="none"),
        schedule=replace(recipe.schedule, epochs=epochs, min_steps=0, freeze_backbone_epochs=0, patience=0),
        optimizer=replace(recipe.optimizer, backbone_lr_mult=1.0, layer_decay=1.0, freeze_bn=False),
        detection=replace(recipe.detection, neck=candidate.neck, neck_channels=0, head_channels=-1),
    )


def ignored_options(recipe: Any) -> list[str]:
    """List the options in which ``recipe`` differs from the defaults and which `recipe_for` replaces."""
    default, made = make_recipe(task="detection"), recipe_for(CANDIDATES["dlaseg"], recipe, epochs=1)
    tables = [recipe_tables(one) for one in (recipe, default, made)]
    return [
        f"{table}.{key}"
        for table, keys in tables[0].items()
        for key, value in keys.items()
        if all(other[table][key] != value for other in tables[1:])
    ]
