"""Every architecture and weight set by name, as plain data: importing it imports no torch."""

from litevision.registry.architectures import (
    ALIASES,
    ARCHITECTURES,
    CENTERNET,
    DETECTORS,
    Architecture,
    Variant,
    is_network,
    known_names,
    resolve,
    row_of,
)

__all__ = [
    "ALIASES",
    "ARCHITECTURES",
    "CENTERNET",
    "DETECTORS",
    "Architecture",
    "Variant",
    "is_network",
    "known_names",
    "resolve",
    "row_of",
]
