"""Architectures by name, as plain data: their families, dialects, and the names that other libraries use.

A network's definition itself lies in ``litevision/models/<family>.py``.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from types import MappingProxyType

from litevision.errors import UnknownNameError, UsageError

NO_OPTIONS: Mapping[str, object] = MappingProxyType({})


@dataclass(frozen=True)
class Architecture:
    """One network of the package.

    Attributes:
        name: our spelling, which is torchvision's where torchvision has the network.
        family: the module under ``litevision.models`` that defines it.
        title: the network's name in its paper.
        paper: arXiv number.
        dialects: the published forms that exist for it; the first is the default.
    """

    name: str
    family: str
    title: str
    paper: str
    dialects: tuple[str, ...]


@dataclass(frozen=True)
class Variant:
    """One architecture with everything that a name for it implies.

    Attributes:
        options: arguments of the family's builder beyond the common ones, for example ``depth_mult``.
    """

    architecture: str
    dialect: str
    width_mult: float = 1.0
    options: Mapping[str, object] = field(default_factory=lambda: NO_OPTIONS)


# fmt: off
ARCHITECTURES = {
    row.name: row
    for row in (
        #            name                               family           title                           paper         dialects, default first
        Architecture("mobilenet_v1",                    "mobilenet_v1",  "MobileNetV1",                  "1704.04861", ("timm", "keras", "slim")),
        Architecture("mobilenet_v2",                    "mobilenet_v2",  "MobileNetV2",                  "1801.04381", ("torchvision", "timm", "keras", "slim", "tutorial")),
        Architecture("mobilenet_v3_large",              "mobilenet_v3",  "MobileNetV3-Large",            "1905.02244", ("torchvision", "timm", "timm_tf", "keras", "slim", "tutorial", "timm_rw")),
        Architecture("mobilenet_v3_small",              "mobilenet_v3",  "MobileNetV3-Small",            "1905.02244", ("torchvision", "timm", "timm_tf", "keras", "slim")),
        Architecture("mobilenet_v3_large_minimalistic", "mobilenet_v3",  "MobileNetV3-Large minimalistic", "1905.02244", ("timm", "timm_tf", "keras", "slim")),
        Architecture("mobilenet_v3_small_minimalistic", "mobilenet_v3",  "MobileNetV3-Small minimalistic", "1905.02244", ("timm", "timm_tf", "keras", "slim")),
        Architecture("mobilenet_v4_conv_small",         "mobilenet_v4",  "MobileNetV4-Conv-Small",       "2404.10518", ("timm",)),
        Architecture("mobilenet_v4_conv_medium",        "mobilenet_v4",  "MobileNetV4-Conv-Medium",      "2404.10518", ("timm",)),
        Architecture("mobilenet_v4_conv_large",         "mobilenet_v4",  "MobileNetV4-Conv-Large",       "2404.10518", ("timm",)),
        Architecture("shufflenet_v2_x0_5",              "shufflenet_v2", "ShuffleNetV2 0.5x",            "1807.11164", ("torchvision", "tutorial")),
        Architecture("shufflenet_v2_x1_0",              "shufflenet_v2", "ShuffleNetV2 1x",              "1807.11164", ("torchvision", "tutorial", "nanodet")),
        Architecture("shufflenet_v2_x1_5",              "shufflenet_v2", "ShuffleNetV2 1.5x",            "1807.11164", ("torchvision", "tutorial", "nanodet")),
        Architecture("shufflenet_v2_x2_0",              "shufflenet_v2", "ShuffleNetV2 2x",              "1807.11164", ("torchvision", "tutorial")),
        Architecture("dla34",                           "dla",           "DLA-34",                       "1707.06484", ("timm",)),
    )
}

CENTERNET = "centernet"
DETECTORS = {
    row.name: row
    for row in (
        Architecture(CENTERNET,             "centernet", "CenterNet",          "1904.07850", ()),
        Architecture("nanodet_m",           "nanodet",   "NanoDet-m",          "2006.04388", ("nanodet",)),
        Architecture("nanodet_plus_m",      "nanodet",   "NanoDet-Plus-m",     "2006.04388", ("nanodet",)),
        Architecture("nanodet_plus_m_x1_5", "nanodet",   "NanoDet-Plus-m 1.5x", "2006.04388", ("nanodet",)),
    )
}
"""Detectors: ``centernet`` stands on the backbone of any network, and has its dialects; the others bring their own."""
# fmt: on

_DEEPER_110 = MappingProxyType({"depth_mult": 1.2, "fixed_ends": True})
_DEEPER_120 = MappingProxyType({"depth_mult": 1.4, "fixed_ends": True})
_DEEPER_150 = MappingProxyType({"depth_mult": 1.2})
_EXTRA_CONV = MappingProxyType({"extra_conv": True})

# Other libraries' names, folded to lower case. Where a name belongs to a library, it brings that library's dialect.
ALIASES: dict[str, Variant] = {
    # timm
    "mobilenetv1_100": Variant("mobilenet_v1", "timm"),
    "mobilenetv1_100h": Variant("mobilenet_v1", "timm", 1.0, _EXTRA_CONV),
    "mobilenetv1_125": Variant("mobilenet_v1", "timm", 1.25),
    "mobilenetv2_035": Variant("mobilenet_v2", "timm", 0.35),
    "mobilenetv2_050": Variant("mobilenet_v2", "timm", 0.5),
    "mobilenetv2_075": Variant("mobilenet_v2", "timm", 0.75),
    "mobilenetv2_100": Variant("mobilenet_v2", "timm"),
    "mobilenetv2_110d": Variant("mobilenet_v2", "timm", 1.1, _DEEPER_110),
    "mobilenetv2_120d": Variant("mobilenet_v2", "timm", 1.2, _DEEPER_120),
    "mobilenetv2_140": Variant("mobilenet_v2", "timm", 1.4),
    "mobilenetv3_large_050": Variant("mobilenet_v3_large", "timm", 0.5),
    "mobilenetv3_large_075": Variant("mobilenet_v3_large", "timm", 0.75),
    "mobilenetv3_large_100": Variant("mobilenet_v3_large", "timm"),
    "mobilenetv3_large_150d": Variant("mobilenet_v3_large", "timm", 1.5, _DEEPER_150),
    "mobilenetv3_rw": Variant("mobilenet_v3_large", "timm_rw"),
    "mobilenetv3_small_050": Variant("mobilenet_v3_small", "timm", 0.5),
    "mobilenetv3_small_075": Variant("mobilenet_v3_small", "timm", 0.75),
    "mobilenetv3_small_100": Variant("mobilenet_v3_small", "timm"),
    "tf_mobilenetv3_large_075": Variant("mobilenet_v3_large", "timm_tf", 0.75),
    "tf_mobilenetv3_large_100": Variant("mobilenet_v3_large", "timm_tf"),
    "tf_mobilenetv3_large_minimal_100": Variant("mobilenet_v3_large_minimalistic", "timm_tf"),
    "tf_mobilenetv3_small_075": Variant("mobilenet_v3_small", "timm_tf", 0.75),
    "tf_mobilenetv3_small_100": Variant("mobilenet_v3_small", "timm_tf"),
    "tf_mobilenetv3_small_minimal_100": Variant("mobilenet_v3_small_minimalistic", "timm_tf"),
    "mobilenetv4_conv_small_035": Variant("mobilenet_v4_conv_small", "timm", 0.35),
    "mobilenetv4_conv_small_050": Variant("mobilenet_v4_conv_small", "timm", 0.5),
    "mobilenetv4_conv_small": Variant("mobilenet_v4_conv_small", "timm"),
    "mobilenetv4_conv_medium": Variant("mobilenet_v4_conv_medium", "timm"),
    "mobilenetv4_conv_large": Variant("mobilenet_v4_conv_large", "timm"),
    # Keras
    "mobilenet": Variant("mobilenet_v1", "keras"),
    "mobilenetv2": Variant("mobilenet_v2", "keras"),
    "mobilenetv3large": Variant("mobilenet_v3_large", "keras"),
    "mobilenetv3small": Variant("mobilenet_v3_small", "keras"),
    # slim
    "mobilenet_v1_075": Variant("mobilenet_v1", "slim", 0.75),
    "mobilenet_v1_050": Variant("mobilenet_v1", "slim", 0.5),
    "mobilenet_v1_025": Variant("mobilenet_v1", "slim", 0.25),
    "mobilenet_v2_140": Variant("mobilenet_v2", "slim", 1.4),
    "mobilenet_v2_050": Variant("mobilenet_v2", "slim", 0.5),
    "mobilenet_v2_035": Variant("mobilenet_v2", "slim", 0.35),
}


def row_of(name: str) -> Architecture:
    """Returns the row of a network or detector by our name for it.

    Raises:
        KeyError: there is none.
    """
    return ARCHITECTURES.get(name) or DETECTORS[name]


def known_names() -> tuple[str, ...]:
    """Returns our names, then the aliases, then the detectors."""
    return (*ARCHITECTURES, *ALIASES, *DETECTORS)


def is_network(name: str) -> bool:
    """Returns whether ``name`` is ours or another library's name for a network."""
    return name.lower() in ARCHITECTURES or name.lower() in ALIASES


def resolve(name: str, dialect: str | None = None, width_mult: float = 1.0) -> Variant:
    """Resolves a name, ours or another library's.

    Args:
        name: ours or another library's name for a network; case does not matter.
        dialect: whose form; by default the one that the name brings, else the first that exists.
        width_mult: only 1 goes with a name that brings its own width.

    Raises:
        UnknownNameError: no such network, or no such dialect for it.
        UsageError: a width below or at 0, or a width or dialect that contradicts the name.
    """
    if not 0 < width_mult < float("inf"):
        raise UsageError(f"width_mult must be a number above 0, got {width_mult}")
    variant = _variant_of(name)
    architecture = ARCHITECTURES[variant.architecture]
    if dialect is not None and dialect not in architecture.dialects:
        raise UnknownNameError.of(f"dialect of {architecture.name}", dialect, architecture.dialects)
    is_alias = name.lower() in ALIASES
    if is_alias and dialect not in (None, variant.dialect):
        raise UsageError(
            f"{name!r} is a name of the dialect {variant.dialect!r}, got dialect {dialect!r}. "
            f"For another form use the name {architecture.name!r}"
        )
    if width_mult != 1.0 and variant.width_mult not in (1.0, width_mult):
        raise UsageError(
            f"{name!r} fixes width_mult {variant.width_mult:g}, got {width_mult:g}. "
            f"For another width use the name {architecture.name!r}"
        )
    return Variant(
        architecture=variant.architecture,
        dialect=dialect or variant.dialect,
        width_mult=variant.width_mult if width_mult == 1.0 else width_mult,
        options=variant.options,
    )


def _variant_of(name: str) -> Variant:
    folded = name.lower()
    if folded in ARCHITECTURES:
        return Variant(folded, ARCHITECTURES[folded].dialects[0])
    if folded in ALIASES:
        return ALIASES[folded]
    if folded in DETECTORS:
        what = "on the backbone of a network" if folded == CENTERNET else "as its authors built it"
        raise UsageError(f"{name!r} is a detector {what}; expected the name of a network, such as mobilenet_v2")
    raise UnknownNameError.of("model", name, known_names(), see="'litevision models'")
