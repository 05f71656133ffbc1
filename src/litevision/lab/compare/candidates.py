"""The detectors that are compared, under which regimes, and how one recipe becomes each one's own."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

from litevision.errors import UnknownNameError
from litevision.training.recipe_file import make_recipe, recipe_tables

if TYPE_CHECKING:
    from litevision.models.centernet import Neck


@dataclass(frozen=True, slots=True)
class Published:
    """What the published comparison says of a candidate. It names neither its processor nor its images.

    Attributes:
        params: learned numbers, rounded as there.
        ms: milliseconds for one image on a CPU.
        loss: what the training loss came to, in words; empty where it gives no figure.
    """

    params: int
    ms: float
    loss: str


@dataclass(frozen=True, slots=True)
class Candidate:
    """One detector.

    Attributes:
        name: its row's in the table, and its folder's.
        title: what it is, in the plot.
        network: the architecture of its backbone, or of the whole detector.
        dialect: whose form of it.
        neck: what stands on the backbone; None where ``network`` says it.
        published: what the published comparison says of it; None where it is none of its three.
    """

    name: str
    title: str
    network: str
    dialect: str
    neck: "Neck | None"
    published: Published | None = None


# fmt: off
CANDIDATES = {
    row.name: row
    for row in (
        #          name             title                           network               dialect        neck
        Candidate("dlaseg",        "DLASeg",                       "dla34",              "timm",        "dlaup",
                  Published(20_000_000, 1200, "")),
        Candidate("v1-reshape",    "MobileNetV1, tutorial's neck", "mobilenet_v1",       "timm",        "reshape",
                  Published(3_200_000, 250, "about 4.0")),
        Candidate("v1-light",      "MobileNetV1, light neck",      "mobilenet_v1",       "timm",        "light"),
        Candidate("v2-reshape",    "MobileNetV2, the tutorial's",  "mobilenet_v2",       "tutorial",    "reshape",
                  Published(4_300_000, 600, "below 0.5")),
        Candidate("v2-light",      "MobileNetV2, light neck",      "mobilenet_v2",       "torchvision", "light"),
        Candidate("shuffle-light", "ShuffleNetV2, light neck",     "shufflenet_v2_x1_0", "nanodet",     "light"),
        Candidate("nanodet-plus",  "NanoDet-Plus-m",               "nanodet_plus_m",     "nanodet",     None),
    )
}
# fmt: on

REGIMES: dict[str, Mapping[str, Any]] = {
    "plain": {
        "flip": False,
        "flip_vertical": False,
        "rot90": False,
        "scale": (1.0, 1.0),
        "aspect_jitter": 1.0,
        "colour": 0.0,
        "hue": 0.0,
        "mosaic": 0.0,
    },
    "augmented": {},
}
"""What each regime changes in a recipe's ``[detection]``: ``plain`` shows every image as it is, each time the same."""


@dataclass(frozen=True, slots=True)
class Trial:
    """One training of a candidate.

    Attributes:
        candidate: what is trained.
        regime: whether images are changed at random, a key of `REGIMES`.
        draw: how many seeds after the recipe's own.
    """

    candidate: Candidate
    regime: str = "augmented"
    draw: int = 0

    @property
    def name(self) -> str:
        """The name of its folder, such as ``v2-light``, ``v2-light-plain`` or ``v2-light-plain-2``."""
        parts = [self.candidate.name]
        parts += [] if self.regime == "augmented" else [self.regime]
        parts += [str(1 + self.draw)] if self.draw else []
        return "-".join(parts)


def find_regimes(names: Sequence[str]) -> tuple[str, ...]:
    """Find regimes by name, in the table's order; all for no names.

    Raises:
        UnknownNameError: a name that is no regime's.
    """
    for name in names:
        if name not in REGIMES:
            raise UnknownNameError.of("regime of the comparison", name, REGIMES)
    return tuple(regime for regime in REGIMES if regime in names or not names)


def find_candidates(names: Sequence[str]) -> tuple[Candidate, ...]:
    """Find candidates by name, in the table's order; all for no names.

    Raises:
        UnknownNameError: a name that is no candidate's.
    """
    for name in names:
        if name not in CANDIDATES:
            raise UnknownNameError.of("candidate of the comparison", name, CANDIDATES)
    return tuple(candidate for candidate in CANDIDATES.values() if candidate.name in names or not names)


def recipe_for(trial: Trial, recipe: Any, epochs: int) -> Any:
    """Adapt a recipe to a trial: its network, neck, epochs, regime and seed, from scratch, all parts at one rate.

    Fresh, because nobody publishes weights for the tutorial's network: others would begin ahead of it. The last epoch
    is kept, so that the scores on training and test images are those of the weights whose loss is shown.
    """
    candidate = trial.candidate
    width = 1.0 if candidate.neck is None else recipe.model.width  # what a name says whole has one
    return replace(
        recipe,
        model=replace(recipe.model, name=candidate.network, dialect=candidate.dialect, width=width, weights="none"),
        schedule=replace(
            recipe.schedule, epochs=epochs, min_steps=0, freeze_backbone_epochs=0, patience=0, keep="last"
        ),
        optimizer=replace(recipe.optimizer, backbone_lr_mult=1.0, layer_decay=1.0, freeze_bn=False),
        detection=replace(
            recipe.detection,
            neck=candidate.neck or recipe.detection.neck,
            neck_channels=0,
            head_channels=-1,
            **REGIMES[trial.regime],
        ),
        run=replace(recipe.run, seed=recipe.run.seed + trial.draw),
    )


def ignored_options(recipe: Any) -> list[str]:
    """List the options in which ``recipe`` differs from the defaults and which `recipe_for` replaces."""
    default, made = make_recipe(task="detection"), recipe_for(Trial(CANDIDATES["dlaseg"]), recipe, epochs=1)
    tables = [recipe_tables(one) for one in (recipe, default, made)]
    return [
        f"{table}.{key}"
        for table, keys in tables[0].items()
        for key, value in keys.items()
        if all(other[table][key] != value for other in tables[1:])
    ]
