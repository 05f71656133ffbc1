"""Recognise published weight files given by path, and say what is assumed of every other file."""

import hashlib
import re
from collections.abc import Iterable
from dataclasses import dataclass, replace
from functools import cache
from pathlib import Path, PurePosixPath
from typing import TYPE_CHECKING, Literal

from litevision.files import sha256_of
from litevision.models.config import NetworkConfig
from litevision.registry import ALIASES, Variant
from litevision.registry.schema import InputSpec, WeightSet
from litevision.registry.weight_sets import FILE_ENDINGS, published_prefix, weight_sets
from litevision.weights.detect_layout import DetectedLayout, alike_dialects

if TYPE_CHECKING:
    from litevision.weights.source import WeightsSource

# Names under which every model is kept; the folder around the file has the model's.
_EVERYBODYS_NAMES = frozenset(("model", "pytorch_model", "weights", "model.weights", "checkpoint", "last", "best"))
_COPY = re.compile(r" ?\(\d+\)$")  # what browsers add to the name of a second download
_HUB_FOLDER = "models--"  # of Hugging Face's cache: models--timm--mobilenetv3_small_100.lamb_in1k
_FOLDERS = 3  # between a file and the folder that is named after its model


@dataclass(frozen=True)
class Recognised:
    """A published set that a file is known or taken to be.

    Attributes:
        by: ``content``: its digest is the published one. ``name`` and ``size``: only that agrees, so that the set's
            form and preprocessing are taken, not its score, licence and labels.
    """

    weight_set: WeightSet
    by: Literal["content", "name", "size"]

    @property
    def is_certain(self) -> bool:
        """Whether it is that very file."""
        return self.by == "content"


def recognise(path: Path, sha256: str | None = None) -> Recognised | None:
    """Finds the published set of the file at ``path``: by its digest, else by its name, else by its size.

    Args:
        sha256: the digest, where it is known.
    """
    if not path.is_file():
        return None
    by_content = _set_of_content(path, sha256 or sha256_of(path))
    if by_content is not None:
        return Recognised(by_content, "content")
    named = _sets_by_file_name()
    for name in _names_of(path):
        if name in named:
            return Recognised(named[name], "name")
    num_bytes = path.stat().st_size
    # A set whose sha256 is known is told by that. Several of Keras' files have the same size.
    alike = [row for row in weight_sets() if not row.is_checked and not row.md5 and row.num_bytes == num_bytes]
    exact = [row for row in alike if not row.num_bytes_tolerance]
    return Recognised(exact[0], "size") if len(exact) == 1 else None


def likely_variant(path: Path) -> Variant | None:
    """Finds another library's network with whose name a file's begins, as ``tf_mobilenetv3_small_100-mine.pth``."""
    for name in _names_of(path):
        known = [alias for alias in ALIASES if re.match(rf"{re.escape(alias)}(?![a-z0-9])", name)]
        if known:
            return ALIASES[max(known, key=len)]
    return None


def published_inputs(config: NetworkConfig) -> tuple[InputSpec, ...]:
    """The inputs for which sets of the network of ``config`` were published: at its own width where there are any."""
    rows = [row for row in weight_sets() if (row.architecture, row.dialect) == (config.architecture, config.dialect)]
    own = [row for row in rows if row.width_mult == config.width_mult]
    return tuple(dict.fromkeys(row.input for row in own or rows))


def _set_of_content(path: Path, sha256: str) -> WeightSet | None:
    for row in weight_sets():
        prefixes = filter(None, (row.hash_prefix, *map(published_prefix, row.mirrors)))
        if row.sha256 == sha256 or any(sha256.startswith(prefix) for prefix in prefixes):
            return row
    if path.suffix in (".h5", ".hdf5"):
        with path.open("rb") as file:
            md5 = hashlib.file_digest(file, lambda: hashlib.md5(usedforsecurity=False)).hexdigest()
        return next((row for row in weight_sets() if row.md5 == md5), None)
    return None


def _names_of(path: Path) -> list[str]:
    """What a file may be called at its origin: its name, that without its ending, and its folders' names."""
    stem = _stem(path.name)
    names = [path.name.lower(), stem]
    if stem in _EVERYBODYS_NAMES:
        for folder in list(path.absolute().parents)[:_FOLDERS]:
            name = folder.name.lower()
            names.append(name.rpartition("--")[2] if name.startswith(_HUB_FOLDER) else name)
    return names


def _stem(name: str) -> str:
    name = name.lower()
    ending = max((end for end in FILE_ENDINGS if name.endswith(end)), key=len, default="")
    return _COPY.sub("", name.removesuffix(ending))


@cache
def _sets_by_file_name() -> dict[str, WeightSet]:
    """Every set by the names that its file may have; a name of several sets is left out."""
    found: dict[str, set[str]] = {}
    rows = {row.name: row for row in weight_sets()}
    for row in rows.values():
        for name in _file_names(row):
            found.setdefault(name, set()).add(row.name)
    return {name: rows[next(iter(names))] for name, names in found.items() if len(names) == 1}


def _file_names(row: WeightSet) -> Iterable[str]:
    yield row.name.lower()
    for name in (*row.aliases, *(PurePosixPath(url).name for url in (row.url, *row.mirrors))):
        if _stem(name) not in _EVERYBODYS_NAMES:
            yield from (name.lower(), _stem(name))


def variant_by_name(source: "WeightsSource") -> Variant | None:
    """The form of the network that the file's name tells; only a hint."""
    if source.recognised is None:
        return likely_variant(source.path)
    row = source.recognised.weight_set
    return Variant(row.architecture, row.dialect, row.width_mult, row.options)


def with_doubts(found: DetectedLayout, source: "WeightsSource", named: Variant | None) -> DetectedLayout:
    """``found`` with a note where the tensors alone fit several dialects."""
    dialect = found.config.dialect
    is_named = named is not None and named.dialect == dialect
    others = alike_dialects(found, source.stored.tensors)
    if not others or (is_named and source.recognised is not None):  # of a published set a line says all
        return found
    by = " by its name" if is_named else ""
    line = (
        f"the dialects {', '.join((dialect, *others))} store the same tensors and answer differently; taken for "
        f"{dialect}{by}. 'litevision export --dialect {others[0]}' chooses"
    )
    return replace(found, notes=(line,))
