"""The detectors that are compared, and how one recipe becomes each one's own."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

from litevision.errors import UnknownNameError
from litevision.models.centernet import Neck
from litevision.training.recipe_file import make_recipe, recipe_tables


@dataclass(frozen=True, slots=True)
class Member:
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
MEMBERS = {
    row.name: row
    for row in (
        #      name          title                           network         dialect        neck
        Member("dlaseg",     "DLASeg",                       "dla34",        "timm",        "dlaup"),
        Member("v1-reshape", "MobileNetV1, tutorial's neck", "mobilenet_v1", "timm",        "reshape"),
        Member("v1-light",   "MobileNetV1, light neck",      "mobilenet_v1", "timm",        "light"),
        Member("v2-reshape", "MobileNetV2, the tutorial's",  "mobilenet_v2", "tutorial",    "reshape"),
        Member("v2-light",   "MobileNetV2, light neck",      "mobilenet_v2", "torchvision", "light"),
    )
}
# fmt: on


def find_members(names: Sequence[str]) -> tuple[Member, ...]:
    """The members of these names, in the table's order; all for none.

    Raises:
        UnknownNameError: a name that is no member's.
    """
    for name in names:
        if name not in MEMBERS:
            raise UnknownNameError.of("member of the comparison", name, MEMBERS)
    return tuple(member for member in MEMBERS.values() if member.name in names or not names)


def recipe_for(member: Member, recipe: Any, epochs: int) -> Any:
    """The recipe with the member's network and neck, its epochs, and from scratch, where all parts learn alike.

    Fresh, because nobody publishes weights for the tutorial's network: others would begin ahead of it.
    """
    return replace(
        recipe,
        model=replace(recipe.model, name=member.network, dialect=member.dialect, weights="none"),
        schedule=replace(recipe.schedule, epochs=epochs, freeze_backbone_epochs=0, patience=0),
        optimizer=replace(recipe.optimizer, backbone_lr_mult=1.0, layer_decay=1.0, freeze_bn=False),
        detection=replace(recipe.detection, neck=member.neck, neck_channels=0, head_channels=-1),
    )


def set_aside(recipe: Any) -> list[str]:
    """The options in which ``recipe`` differs from the defaults, and which `recipe_for` replaces."""
    default, made = make_recipe(task="detection"), recipe_for(MEMBERS["dlaseg"], recipe, epochs=1)
    tables = [recipe_tables(one) for one in (recipe, default, made)]
    return [
        f"{table}.{key}"
        for table, keys in tables[0].items()
        for key, value in keys.items()
        if all(other[table][key] != value for other in tables[1:])
    ]
