"""Where weights come from: a registered set, a URL, or a file."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from litevision.registry import Variant
from litevision.registry.weight_sets import WeightSet, default_weight_set, find_weight_set
from litevision.weights.fetch import fetch
from litevision.weights.files import StoredWeights, read
from litevision.weights.recognise import recognise

DEFAULT = "default"
_FILE_ENDINGS = (".pth", ".pt", ".bin", ".safetensors", ".h5", ".hdf5", ".keras", ".ckpt", ".index", ".onnx")


@dataclass(frozen=True)
class Source:
    """Opened weights.

    Attributes:
        label: the set's name, or the file or URL as it was given.
        weight_set: the registered set, if it is one.
        path: the file that was read.
    """

    label: str
    weight_set: WeightSet | None
    path: Path
    stored: StoredWeights

    def width_mult(self, asked: float) -> float:
        """The width to build: the set's own where none was asked for."""
        return self.weight_set.width_mult if self.weight_set is not None and asked == 1.0 else asked

    def dialect(self, variant: Variant) -> str:
        """The dialect to build where none was asked for: the set's, else the one that the tensors tell."""
        if self.weight_set is not None:
            return self.weight_set.dialect
        found = recognise(self.stored, architecture=variant.architecture)
        return variant.dialect if found is None else found.config.dialect

    @property
    def options(self) -> Mapping[str, Any]:
        """The set's arguments for its family's builder."""
        return {} if self.weight_set is None else self.weight_set.options


def open_source(source: str | Path, name: str | None = None, dialect: str | None = None) -> Source:
    """Finds, fetches if need be, and reads weights.

    Args:
        source: a weight set's name, ``"default"`` (of the network ``name``), a URL, or a file.

    Raises:
        UnknownNameError: neither a file nor a weight set.
        DownloadError, WeightsError: it cannot be fetched or read.
    """
    if isinstance(source, str) and source.startswith(("https://", "http://")):
        path = fetch(source)
        return Source(source, None, path, read(path))
    weight_set = _weight_set(source, name, dialect)
    path = Path(source) if weight_set is None else fetch(weight_set)
    return Source(str(source) if weight_set is None else weight_set.name, weight_set, path, read(path))


def _weight_set(source: str | Path, name: str | None, dialect: str | None) -> WeightSet | None:
    """The registered set that ``source`` names; None for a file."""
    text = str(source)
    if text == DEFAULT and name is not None:
        return default_weight_set(name, dialect)
    if isinstance(source, Path) or Path(text).exists() or text.endswith(_FILE_ENDINGS) or "/" in text:
        return None
    return find_weight_set(text)
