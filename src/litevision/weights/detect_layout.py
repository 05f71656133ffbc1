"""Detect the network and the layout of a file of tensors from their names and shapes."""

import itertools
from contextlib import suppress
from dataclasses import dataclass, replace
from functools import cache, lru_cache
from statistics import median
from typing import Any

from litevision.errors import WeightsError, WeightsMismatchError
from litevision.models.config import NetworkConfig
from litevision.models.factory import build
from litevision.models.mobilenet_v3_tables import TABLES
from litevision.models.network import Network
from litevision.registry import ALIASES, ARCHITECTURES, Variant
from litevision.registry.architectures import NO_OPTIONS
from litevision.weights.convert.apply import CLASSIFIER, HEAD, Match, match, stem_of
from litevision.weights.convert.layout import TensorMapping, Tensors, tensor_mappings, to_native
from litevision.weights.layouts import LAYOUTS, layout_named
from litevision.weights.read import StoredWeights

NATIVE = "native"
WIDTHS = (1.0, 0.75, 0.5, 0.35, 0.25, 1.25, 1.3, 1.4)  # those with published weights


@dataclass(frozen=True)
class DetectedLayout:
    """The layout and network that a file's tensors are nearest to.

    Attributes:
        layout: a name of ``LAYOUTS``.
        config: with as many classes as the file has, and with the endpoint at which it ends.
        mismatches: tensors of the file and of the network that do not fit the other; at 0 it is that network.
        notes: what was assumed, a line each, with what chooses otherwise.
    """

    layout: str
    config: NetworkConfig
    mismatches: int
    notes: tuple[str, ...] = ()


def detect_layout(
    stored: StoredWeights,
    *,
    architecture: str | None = None,
    dialect: str | None = None,
    width_mult: float | None = None,
    likely_dialect: str | None = None,
) -> DetectedLayout | None:
    """Finds the layout and network that ``stored`` is nearest to; None where no network has even half of its tensors.

    timm stores its V3 and the ``tf_`` forms of it under the same names and shapes: ``timm`` is meant, unless
    ``dialect`` says ``timm_tf``.

    Args:
        architecture, dialect: leaves only these in question; with an architecture, there is no need to be near.
        width_mult: the width, where it is none of those with published weights.
        likely_dialect: settles it where several dialects fit.

    Raises:
        WeightsError: several dialects fit litevision's own names, and none of them is ``likely_dialect``.
    """
    best: DetectedLayout | None = None
    for layout in (row.name for row in LAYOUTS.values() if stored.container in row.containers):
        trials = []
        for index, variant in enumerate(variants(layout)):
            asked = (architecture, dialect, width_mult if variant.options else None)
            offered = (variant.architecture, variant.dialect, variant.width_mult)
            if any(wanted not in (None, got) for wanted, got in zip(asked, offered, strict=True)):
                continue
            family = ARCHITECTURES[variant.architecture].family
            if architecture is None and _family_names(layout, family).isdisjoint(stored.tensors):
                continue
            network, wanted = built(layout, index, variant.width_mult)
            matched = match(wanted, stored.tensors, layout_named(layout))
            ours, theirs = len(wanted), len(matched.found) + len(matched.unknown)
            if architecture is None and 2 * len(matched.found) < max(ours, theirs):
                continue
            mismatches = _lacking(network, matched) + len(matched.unknown)
            widths = (variant.width_mult,) if variant.options else WIDTHS if width_mult is None else (width_mult,)
            unlikely = variant.dialect != likely_dialect
            trials += [(mismatches, rank, unlikely, index, width) for rank, width in enumerate(widths)]
        for mismatches, *_, index, width in sorted(trials):
            if best is not None and best.mismatches <= mismatches:  # the names alone are no better
                break
            fit = _fit(layout, index, width, stored.tensors)
            if best is None or fit.mismatches < best.mismatches:
                best = fit
        if best is not None and best.mismatches == 0:
            break
    if best is not None and best.mismatches and width_mult is None and not best.config.options:
        best = _in_another_form(_at_its_width(best, stored.tensors), stored.tensors)
    if best is not None and best.mismatches == 0 and best.layout == NATIVE and dialect is None:
        return _settled(best, stored.tensors, likely_dialect)
    return best


def _at_its_width(best: DetectedLayout, tensors: Tensors) -> DetectedLayout:
    """``best`` at the width that the shapes tell, where that is an unusual one."""
    layout, index = layout_named(best.layout), _index_of(best)
    network, wanted = built(best.layout, index, 1.0)
    shapes = {name: tensor.shape for name, tensor in network.state_dict().items()}
    ratios = []
    for mapping, name in match(wanted, tensors, layout).found.items():
        shape = to_native(tensors[name], mapping.kind, layout).shape
        if not mapping.ours.startswith(HEAD) and mapping.kind == "conv" and len(shape) == 4:
            ratios.append(shape[0] / shapes[mapping.ours][0])
    if not ratios or not 0.02 < (likely := median(ratios)) < 8:
        return best
    # The same channels may come of several widths: the roundest number is taken first, then the nearest.
    widths = sorted(
        {round(likely + step / 100, 2) for step in range(-6, 7)},
        key=lambda width: (abs(width - likely) > 0.03, width * 20 % 1 > 1e-6, abs(width - likely)),
    )
    for width in widths:
        if width > 0:
            fit = _fit(best.layout, index, width, tensors)
            best = fit if fit.mismatches < best.mismatches else best
            if best.mismatches == 0:
                break
    return best


def _index_of(best: DetectedLayout) -> int:
    """The place among ``_variants`` of the plain form of ``best``."""
    wanted = (best.config.architecture, best.config.dialect, NO_OPTIONS)
    plain = ((row.architecture, row.dialect, row.options) for row in variants(best.layout))
    return next(i for i, form in enumerate(plain) if form == wanted)


def _in_another_form(best: DetectedLayout, tensors: Tensors) -> DetectedLayout:
    """``best`` with the builder's option that explains what does not fit: Keras' depth multiplier, a reduced tail."""
    config = best.config
    forms: list[dict[str, Any]] = []
    if (config.architecture, best.layout) == ("mobilenet_v1", "keras"):
        counts = {tensor.shape[3] for name, tensor in tensors.items() if "_dw_" in name and tensor.dim() == 4}
        forms += [{"depthwise_multiplier": count} for count in counts if len(counts) == 1 and count > 1]
    if best.layout == "torchvision" and config.architecture in TABLES:
        forms.append({"reduced_tail": True})
    widths = tuple(dict.fromkeys((config.width_mult, *WIDTHS)))  # a multiplier of 2 looks like twice the width
    for form, width in itertools.product(forms, widths) if best.mismatches else ():
        fit = _fit(best.layout, _index_of(best), width, tensors, tuple(form.items()))
        best = fit if fit.mismatches < best.mismatches else best
    return best


def alike_dialects(found: DetectedLayout, tensors: Tensors) -> tuple[str, ...]:
    """The other dialects of the same network whose tensors have these very names and shapes."""
    if found.mismatches:
        return ()
    config = found.config
    options = {key: value for key, value in config.options.items() if key != "hidden_channels"}
    return tuple(
        variant.dialect
        for index, variant in enumerate(variants(found.layout))
        if (variant.architecture, dict(variant.options)) == (config.architecture, options)
        and variant.dialect != config.dialect
        and _fit(found.layout, index, config.width_mult, tensors).mismatches == 0
    )


def whole_of(found: DetectedLayout) -> tuple[Network, tuple[TensorMapping, ...]]:
    """The network of ``found`` with a whole head, on the meta device, and what its layout stores of it."""
    config = replace(found.config, num_classes=1000, final_endpoint=None)  # its input as the file has it
    options = {key: value for key, value in config.options.items() if key != "hidden_channels"}
    network = build(replace(config, options=options or NO_OPTIONS), device="meta")
    return network, tuple(tensor_mappings(network, layout_named(found.layout)))


def _settled(best: DetectedLayout, tensors: Tensors, likely_dialect: str | None) -> DetectedLayout:
    """Chooses among the dialects that fit native names as well as ``best``."""
    fits = [
        _fit(NATIVE, index, best.config.width_mult, tensors)
        for index, variant in enumerate(variants(NATIVE))
        if variant.architecture == best.config.architecture and variant.options == best.config.options
    ]
    alike = {fit.config.dialect: fit for fit in fits if fit.mismatches == 0}
    if len(alike) == 1:
        return best
    if likely_dialect in alike:
        return alike[likely_dialect]
    raise WeightsError(
        f"these are litevision's own names of {best.config.architecture} without the configuration that save_weights "
        f"stores beside them, and the dialects {', '.join(alike)} fit alike: pass the dialect"
    )


@cache
def variants(layout: str) -> tuple[Variant, ...]:
    """What the layout can hold. Its order of dialects says which of two equal forms is the likelier."""
    plain = [Variant(name, dialect) for name, row in ARCHITECTURES.items() for dialect in row.dialects]
    deeper = [variant for variant in ALIASES.values() if variant.options]
    chosen = layout_named(layout)
    return tuple(
        variant
        for dialect in chosen.dialects
        for variant in (*plain, *deeper)
        if variant.dialect == dialect and ARCHITECTURES[variant.architecture].family in chosen.mappings
    )


@lru_cache(512)
def built(
    layout: str, index: int, width_mult: float, *, hidden: bool = True, form: tuple[tuple[str, Any], ...] = ()
) -> tuple[Network, tuple[TensorMapping, ...]]:
    """One of ``variants`` at a width, on the meta device, and what the layout stores of it.

    Args:
        hidden: with the layer before V3's classifier; a fine-tuned head may have none.
        form: further options of the builder.
    """
    variant = variants(layout)[index]
    options = {**variant.options, **dict(form), **({} if hidden else {"hidden_channels": 0})}
    network = _network(variant.architecture, variant.dialect, width_mult, tuple(options.items()))
    return network, tuple(tensor_mappings(network, layout_named(layout)))


@lru_cache(512)
def _network(architecture: str, dialect: str, width_mult: float, options: tuple[tuple[str, object], ...]) -> Network:
    return build(NetworkConfig(architecture, dialect, width_mult, options=dict(options)), device="meta")


@cache
def _family_names(layout: str, family: str) -> frozenset[str]:
    """What the layout stores of one network of the family: most of its names are those of all the others."""
    index = next(i for i, it in enumerate(variants(layout)) if ARCHITECTURES[it.architecture].family == family)
    _, wanted = built(layout, index, variants(layout)[index].width_mult)
    return frozenset(name for mapping in wanted for name in mapping.theirs)


def _fit(
    layout: str, index: int, width_mult: float, tensors: Tensors, form: tuple[tuple[str, Any], ...] = ()
) -> DetectedLayout:
    """How well ``tensors`` fit one of ``variants`` at a width."""
    network, wanted = built(layout, index, width_mult, form=form)
    chosen = layout_named(layout)
    if chosen.prepare is not None:
        with suppress(WeightsMismatchError):  # apply raises it again
            tensors = chosen.prepare(network, tensors)
    matched = match(wanted, tensors, chosen)
    if _has_no_hidden_layer(network, matched, tensors, layout):
        network, wanted = built(layout, index, width_mult, hidden=False, form=form)
        matched = match(wanted, tensors, chosen)
    shapes = {name: tensor.shape for name, tensor in network.state_dict().items()}
    wrong = classes = 0
    in_channels, stem = network.config.in_channels, stem_of(network)
    for mapping, name in matched.found.items():
        shape = to_native(tensors[name], mapping.kind, chosen).shape
        if mapping.ours.startswith(CLASSIFIER) and shape:
            classes = shape[0]
            wrong += shape[1:] != shapes[mapping.ours][1:]
        elif mapping.ours == stem and len(shape) == 4 and shape[1]:  # of grey images, or of more channels than RGB
            in_channels = shape[1]
            wrong += (shape[0], *shape[2:]) != (shapes[stem][0], *shapes[stem][2:])
        else:
            wrong += shape != shapes[mapping.ours]
    config = replace(
        network.config, num_classes=classes, in_channels=in_channels, final_endpoint=_end(network, matched)
    )
    return DetectedLayout(layout, config, _lacking(network, matched) + len(matched.unknown) + wrong)


def _has_no_hidden_layer(network: Network, matched: Match, tensors: Tensors, layout: str) -> bool:
    """Whether the file's classifier stands on the pooled map itself, where the network has a layer between them."""
    if not any(mapping.ours.startswith(f"{HEAD}hidden.") for mapping in matched.missing):
        return False
    chosen = layout_named(layout)
    for mapping, name in matched.found.items():
        if mapping.ours == f"{CLASSIFIER}weight":
            shape = to_native(tensors[name], mapping.kind, chosen).shape
            return len(shape) == 2 and shape[1] == network.endpoints[-1].channels
    return False


def _lacking(network: Network, matched: Match) -> int:
    """How many tensors the file lacks before its end."""
    end = _end(network, matched)
    missing = [mapping.ours for mapping in matched.missing]
    if end is not None:
        names = [place.name for place in network.endpoints]
        inside = tuple(f"features.{name}." for name in names[: names.index(end) + 1])
        return sum(name.startswith(inside) for name in missing)
    if any(mapping.ours.startswith(CLASSIFIER) for mapping in matched.found):
        return len(missing)
    return sum(not name.startswith(CLASSIFIER) for name in missing)


def _end(network: Network, matched: Match) -> str | None:
    """The last endpoint that the file reaches; None for a network that is whole, but perhaps for its classifier."""
    if len(matched.found) < len(matched.unknown):  # a part of no network
        return None
    found = [mapping.ours for mapping in matched.found]
    missing = [mapping.ours for mapping in matched.missing]
    if any(name.startswith(HEAD) for name in found) or all(name.startswith(CLASSIFIER) for name in missing):
        return None
    reached = [end.name for end in network.endpoints if any(name.startswith(f"features.{end.name}.") for name in found)]
    return reached[-1] if reached else network.endpoints[0].name
