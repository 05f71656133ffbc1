"""``list_models``: the networks and the published weight sets by name. Needs no torch."""

from fnmatch import fnmatchcase
from typing import Literal, overload

from litevision.registry.architectures import ALIASES, ARCHITECTURES, DETECTORS, Architecture
from litevision.registry.weight_sets import WeightSet, weight_sets


@overload
def list_models(pattern: str | None = None, *, weights: Literal[False] = False) -> list[Architecture]: ...


@overload
def list_models(pattern: str | None = None, *, weights: Literal[True]) -> list[WeightSet]: ...


def list_models(pattern: str | None = None, *, weights: bool = False) -> list[Architecture] | list[WeightSet]:
    """Lists the networks and the detector, or the published weight sets.

    Args:
        pattern: only those with a name like it: with ``*`` and ``?`` a wildcard, otherwise a part of the name. Other
            libraries' names count too, and case does not matter.
        weights: list weight sets, which ``create(weights=...)`` takes by name, in place of networks.

    Returns:
        The rows of the registry: a network with its family, paper and dialects; a weight set with its address, licence,
        preprocessing and claimed score.

    Example:
        >>> import litevision
        >>> [row.name for row in litevision.list_models("mobilenet_v3*minimalistic")]
        ['mobilenet_v3_large_minimalistic', 'mobilenet_v3_small_minimalistic']
        >>> litevision.list_models("shufflenet_v2_x0_5", weights=True)[0].top1
        60.552
    """
    if weights:
        return [row for row in weight_sets() if _matches(pattern, row.name, *row.aliases)]
    theirs: dict[str, list[str]] = {}
    for alias, variant in ALIASES.items():
        theirs.setdefault(variant.architecture, []).append(alias)
    rows = (*ARCHITECTURES.values(), *DETECTORS.values())
    return [row for row in rows if _matches(pattern, row.name, *theirs.get(row.name, ()))]


def _matches(pattern: str | None, *names: str) -> bool:
    if pattern is None:
        return True
    wanted = pattern.lower() if set(pattern) & set("*?[") else f"*{pattern.lower()}*"
    return any(fnmatchcase(name.lower(), wanted) for name in names)
