"""The official weight sets by name: who published them, where, and what they claim. Nothing here touches the network.

A name is ``<architecture>.<origin>_<data or recipe>[_<what differs>]``:

    mobilenet_v2.tv_in1k_v2                              torchvision, ImageNet-1k, its second recipe
    mobilenet_v3_large.timm_ra_in1k                      timm, tag ``ra_in1k``
    mobilenet_v2.timm_lamb_in1k_w050                     the same at width 0.5; ``w110d`` is width 1.1 and deeper
    mobilenet_v3_small.timm_tf_in1k_w075                 TensorFlow's weights in timm's conversion (dialect ``timm_tf``)
    mobilenet_v2.keras_in1k_a075_r192                    Keras, alpha 0.75, trained at 192 px
    mobilenet_v2.keras_in1k_a075_r192_notop              the same file without the classifier
    mobilenet_v3_small_minimalistic.keras_in1k_a100_r224
    nanodet_plus_m.rangilyu_coco_r416                    NanoDet's authors, trained on COCO at 416 px

The rows lie in ``torchvision_sets``, ``timm_sets``, ``keras_sets`` and ``nanodet_sets``, each beside its source's rules. The default of
an architecture and dialect is its first row at width 1; the default of an architecture is that of its first dialect
that has one. A score is its publisher's claim, not our measurement. No slim checkpoint is listed: their official
addresses answer 403 since 2025.
"""

import functools
from collections.abc import Mapping
from fnmatch import fnmatchcase
from typing import Literal, overload

from litevision.errors import UnknownNameError
from litevision.registry.architectures import ALIASES, ARCHITECTURES, DETECTORS, Architecture, known_names, resolve
from litevision.registry.keras_sets import keras_sets
from litevision.registry.nanodet_sets import nanodet_sets
from litevision.registry.schema import InputSpec, WeightSet, published_prefix
from litevision.registry.timm_sets import timm_sets
from litevision.registry.torchvision_sets import torchvision_sets

__all__ = [
    "FILE_ENDINGS",
    "InputSpec",
    "WeightSet",
    "default_weight_set",
    "find_weight_set",
    "is_file_name",
    "known_weight_set",
    "list_models",
    "published_prefix",
    "weight_sets",
]

FILE_ENDINGS = (".pth", ".pt", ".bin", ".safetensors", ".h5", ".hdf5", ".keras", ".ckpt", ".index", ".onnx", ".param")
"""What no weight set's name ends with: a source that does is meant as a file, be it there or not."""


def is_file_name(name: str) -> bool:
    """Whether ``name`` can only be a file: it has a folder, or an ending that no weight set has."""
    if known_weight_set(name) is not None:
        return False
    return (
        "/" in name.removeprefix("hf-hub:").removeprefix("timm/") or "\\" in name or name.lower().endswith(FILE_ENDINGS)
    )


@functools.cache
def weight_sets() -> tuple[WeightSet, ...]:
    """Every weight set: torchvision's, then timm's, then Keras', then NanoDet's."""
    return (*torchvision_sets(), *timm_sets(), *keras_sets(), *nanodet_sets())


def find_weight_set(name: str) -> WeightSet:
    """Finds the weight set that ``name`` stands for; case does not matter.

    Args:
        name: a set's name, its name at its origin (``MobileNet_V2_Weights.IMAGENET1K_V2``,
            ``mobilenetv3_large_100.ra_in1k``, with ``timm/`` or ``hf-hub:timm/`` or without, a Keras file name), or a
            network's name, ours or another library's, which gives that network's default set.

    Raises:
        UnknownNameError: no such set, or no set for that network.
    """
    found = known_weight_set(name)
    if found:
        return found
    name = _at_home(name)
    if name.lower() in ARCHITECTURES:
        return default_weight_set(name.lower())
    if name.lower() in DETECTORS:
        row = next((row for row in weight_sets() if row.architecture == name.lower()), None)
        if row is None:
            raise _none_published(name, name.lower())
        return row
    try:
        variant = resolve(name)
    except UnknownNameError:
        known = (*_by_name(), *known_names())
        raise UnknownNameError.of("weight set", name, known, see="'litevision models'") from None
    for row in weight_sets():
        if (row.architecture, row.dialect, row.width_mult) != (
            variant.architecture,
            variant.dialect,
            variant.width_mult,
        ):
            continue
        if row.options == variant.options:
            return row
    raise _none_published(name, variant.architecture)


def known_weight_set(name: str) -> WeightSet | None:
    """Returns the weight set called ``name``, here or at its origin; None where there is none, or it names a network."""
    return _by_name().get(name.lower()) or _by_name().get(_at_home(name).lower())


def _at_home(name: str) -> str:
    """``name`` without what the Hugging Face hub puts before it."""
    for prefix in ("hf-hub:", "hf_hub:", "timm/"):
        name = name[len(prefix) :] if name.lower().startswith(prefix) else name
    return name


def default_weight_set(architecture: str, dialect: str | None = None) -> WeightSet:
    """Returns the default set of an architecture at width 1.

    Args:
        architecture: one of our names.
        dialect: whose; by default the first of the architecture's dialects for which there are weights.

    Raises:
        UnknownNameError: no such architecture or dialect, or no set for it.
    """
    if architecture not in ARCHITECTURES:
        raise UnknownNameError.of("architecture", architecture, ARCHITECTURES, see="'litevision models'")
    known = ARCHITECTURES[architecture].dialects
    if dialect is not None and dialect not in known:
        raise UnknownNameError.of(f"dialect of {architecture}", dialect, known)
    for wanted in (dialect,) if dialect else known:
        for row in weight_sets():
            if (row.architecture, row.dialect, row.width_mult) == (architecture, wanted, 1.0):
                return row
    raise _none_published(f"{architecture} in the dialect {dialect}" if dialect else architecture, architecture)


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


@functools.cache
def _by_name() -> Mapping[str, WeightSet]:
    return {name.lower(): row for row in weight_sets() for name in (row.name, *row.aliases)}


def _none_published(wanted: str, architecture: str) -> UnknownNameError:
    names = [row.name for row in weight_sets() if row.architecture == architecture]
    some = ", ".join(names[:4]) or "none"
    return UnknownNameError(
        f"no published weights for {wanted!r}. For {architecture} there are {len(names)} sets, such as {some}. "
        "See 'litevision models'."
    )
