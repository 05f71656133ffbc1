"""The weight layouts: one row of ``LAYOUTS`` for each way in which a library names and stores its tensors.

A new layout is one more row and one module in ``weights/convert`` with its mapping. Reading this table takes no torch:
help texts, messages and pages are made from it.
"""

import importlib
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Literal

from litevision.errors import UnknownNameError
from litevision.weights.writers import (
    WeightFile,
    write_keras3,
    write_keras_legacy,
    write_safetensors,
    write_torch,
)

if TYPE_CHECKING:
    from litevision.weights.convert.layout import Layout

Container = Literal["torch", "safetensors", "hdf5", "tensorflow"]
Writer = Callable[[WeightFile, Path], None]

_TORCH: Mapping[str, Writer] = {".safetensors": write_safetensors, ".pth": write_torch, ".pt": write_torch}
_KERAS: Mapping[str, Writer] = {".weights.h5": write_keras3, ".h5": write_keras_legacy}


@dataclass(frozen=True)
class LayoutRow:
    """A row of ``LAYOUTS``.

    Attributes:
        name: as users type it.
        title: whose layout it is, in prose.
        help: what it is, in a few words.
        containers: the kinds of file in which it is found.
        load: imports its mapping.
        writers: what writes it, by the file's ending, the longest first; none for a layout that is only read.
        aliases: other names that users may type.
        keeps_config: whether a file tells its network's configuration itself.
    """

    name: str
    title: str
    help: str
    containers: tuple[Container, ...]
    load: "Callable[[], Layout]"
    writers: Mapping[str, Writer] = field(default_factory=dict)
    aliases: tuple[str, ...] = ()
    keeps_config: bool = False

    @property
    def suffixes(self) -> tuple[str, ...]:
        """What the names of written files end with."""
        return tuple(self.writers)


def _mapping(module: str) -> "Callable[[], Layout]":
    """What imports the ``LAYOUT`` of a module in ``weights/convert``."""

    def load() -> "Layout":
        layout: Layout = importlib.import_module(f"litevision.weights.convert.{module}").LAYOUT
        return layout

    return load


LAYOUTS = {
    row.name: row
    for row in (
        LayoutRow(
            "torchvision", "torchvision", "torchvision's state_dict",
            ("torch", "safetensors"), _mapping("torchvision"), _TORCH,
        ),
        LayoutRow(
            "timm", "timm", "timm's state_dict",
            ("torch", "safetensors"), _mapping("timm"), _TORCH,
        ),
        LayoutRow(
            "megvii", "Megvii", "Megvii's state_dict of ShuffleNetV2",
            ("torch", "safetensors"), _mapping("megvii"),
        ),
        LayoutRow(
            "nanodet", "NanoDet", "the state_dict of NanoDet's authors",
            ("torch", "safetensors"), _mapping("nanodet"), _TORCH,
        ),
        LayoutRow(
            "transformers", "Hugging Face transformers", "transformers' state_dict of MobileNetV1 and V2",
            ("torch", "safetensors"), _mapping("transformers"),
        ),
        LayoutRow(
            "native", "litevision", "litevision's state_dict with the network's configuration beside it",
            ("torch", "safetensors"), _mapping("native"), _TORCH, aliases=("litevision",), keeps_config=True,
        ),
        LayoutRow(
            "keras", "Keras", "Keras' layers, of Keras 3 (.weights.h5) or older (.h5)",
            ("hdf5",), _mapping("keras"), _KERAS,
        ),
        LayoutRow(
            "slim", "TF-slim", "TF-slim's variables",
            ("tensorflow",), _mapping("slim"),
        ),
    )
}  # fmt: skip
"""Every layout by name, in the order in which a file is compared with them."""


def layout_row(name: str) -> LayoutRow:
    """The row of the layout called ``name``, by its name or an alias.

    Raises:
        UnknownNameError: there is none.
    """
    for row in LAYOUTS.values():
        if name in (row.name, *row.aliases):
            return row
    raise UnknownNameError.of("layout", name, [name for row in LAYOUTS.values() for name in (*row.aliases, row.name)])


def layout_named(name: str) -> "Layout":
    """The mapping of the layout called ``name``; errors as for ``layout_row``."""
    return layout_row(name).load()


def writable_layouts() -> tuple[str, ...]:
    """The names, as users type them, of the layouts that can be written."""
    return tuple(name for row in LAYOUTS.values() if row.writers for name in (*row.aliases, row.name))
