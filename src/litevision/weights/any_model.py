"""Any model that a command looks at: an ONNX file, or the network that a name, rows, weights or a run stand for."""

import os
from dataclasses import dataclass, fields
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

from litevision.console import note
from litevision.errors import FileMissingError, MissingExtraError, UnknownNameError, UsageError
from litevision.registry import DETECTORS, is_network, known_names
from litevision.registry.weight_sets import is_file_name, known_weight_set, weight_sets
from litevision.runtime.bundle import exported_metadata
from litevision.runtime.metadata import BundleMetadata
from litevision.zoo import BUNDLES

if TYPE_CHECKING:
    from torch import nn

    from litevision.models.kinds import AnyNetwork
    from litevision.weights.trained import RunLike

_MODEL = "model.onnx"
_PLAN = "plan.json"


@dataclass(frozen=True, kw_only=True)
class NetworkForm:
    """How a network is built from its name.

    Attributes:
        width: the paper's width multiplier.
        classes: 0 for a network without a classifier; None for 1000, or the 80 kinds of objects of a detector.
        dialect: whose form of the network; None for the name's own.
        output_stride: 8, 16 or 32: later strides become dilation.
        rows: rows of the family's table to use instead, as `litevision.create` takes them.
        backbone: of the detector ``centernet``, the network whose backbone it takes.
        neck: of the detector ``centernet``: light, dlaup or reshape.
    """

    width: float = 1.0
    classes: int | None = None
    dialect: str | None = None
    output_stride: int = 32
    rows: Any = None
    backbone: str | None = None
    neck: Any = None

    def given(self) -> dict[str, Any]:
        """What differs from the defaults."""
        return {it.name: getattr(self, it.name) for it in fields(self) if getattr(self, it.name) != it.default}


BY_NAME = NetworkForm()
"""A network as its name says."""


def open_any(
    model: "str | os.PathLike[str] | nn.Module | RunLike", form: NetworkForm = BY_NAME, *, device: str | None = None
) -> "Path | nn.Module":
    """Find what ``model`` stands for; nothing is downloaded.

    Args:
        model: an architecture's name or alias, a detector's, a weight set's name (whose network has random weights
            then), a module, any .onnx file, what was exported for another runtime, a weight file, a run, its folder or
            checkpoint, or the name of a shipped bundle.
        form: how a network is built from its name.
        device: ``"meta"`` builds a network from its name without memory, for counting.

    Returns:
        The path of a graph, or a module.

    Raises:
        UnknownNameError, FileMissingError: nothing of these.
        UsageError: options of a name for what is built.
        MissingExtraError: a network is to be built, and torch is not installed.
        WeightsError: a weight file that cannot be used.
    """
    if not isinstance(model, str | os.PathLike):
        folder = getattr(model, "folder", None)
        if folder is None:
            _refuse(form, "a module")
            return cast("nn.Module", model)
        name = os.fspath(folder)
    else:
        name = os.fspath(model)
    if (exported := exported_metadata(name)) is not None:
        _refuse(form, name)
        return _exported_network(exported, name)
    if name.lower().endswith(".onnx") or name in BUNDLES:
        _refuse(form, name)
        path = BUNDLES.get(name, Path(name))
        if not path.exists():
            raise FileMissingError(f"{name}: no such file. Check the path, or make one with 'litevision export'.")
        return path
    if Path(name, _MODEL).is_file():
        _refuse(form, name)
        return Path(name, _MODEL)
    if Path(name).is_dir() and not is_network(name) and not Path(name, _PLAN).is_file():
        raise FileMissingError(f"{name}: a folder without {_MODEL} or {_PLAN}; expected the folder of a run.")
    if find_spec("torch") is None:
        raise MissingExtraError.of(f"building the network {name!r}", "train")
    return _network(name, form, device)


def _exported_network(metadata: BundleMetadata, name: str) -> "AnyNetwork":
    """The network that was exported for another runtime, without weights: such files name its layers no more.

    Raises:
        WeightsError: it cannot be built, such as one that was adopted.
    """
    if find_spec("torch") is None:
        raise MissingExtraError.of(f"building the network of {name!r}", "train")
    from litevision.weights.bundles import pretrained_of, rebuilt

    note(f"note: {name} is for another runtime; what follows is the network that it was made of")
    _, network = rebuilt(metadata, Path(name))
    network.pretrained = pretrained_of(metadata)
    return network


def _network(name: str, form: NetworkForm, device: str | None) -> "AnyNetwork":
    if is_network(name) or name.lower() in DETECTORS:
        return _built(name, form, device)
    weight_set = known_weight_set(name)
    if weight_set is not None:
        _refuse(form, name)
        if weight_set.architecture in DETECTORS:
            return _built(weight_set.architecture, BY_NAME, device)
        from litevision.models import build, configure

        options: dict[str, Any] = dict(weight_set.options)
        return build(
            configure(
                weight_set.architecture,
                dialect=weight_set.dialect,
                width_mult=weight_set.width_mult,
                num_classes=weight_set.num_classes or 0,
                **options,
            ),
            device=device,
        )
    if Path(name).exists() or is_file_name(name) or "://" in name:
        from litevision.weights.load import load_network

        _refuse(form, name, but=("dialect",))
        return load_network(name, dialect=form.dialect)
    known = (*BUNDLES, *known_names(), *(row.name for row in weight_sets()))
    raise UnknownNameError.of("model", name, known, see="'litevision models'")


def _built(name: str, form: NetworkForm, device: str | None) -> "AnyNetwork":
    """The network ``name`` in ``form``, or the detector on it."""
    import torch

    from litevision.weights.create import create

    words = {"width": "width_mult", "classes": "num_classes"}
    given: dict[str, Any] = {words.get(key, key): value for key, value in form.given().items()}
    with torch.device(device or torch.get_default_device()):
        made: AnyNetwork = create(name, **given)
    return made


def _refuse(form: NetworkForm, name: str, but: tuple[str, ...] = ()) -> None:
    """Raises ``UsageError`` for options of a network's name where ``name`` is built already."""
    given = [word.replace("_", " ") for word in form.given() if word not in but]
    if given:
        words = f"{' and '.join(given)} build{'s' if len(given) == 1 else ''} a network from its name"
        raise UsageError(f"{words}, and {name} is built. Leave {'it' if len(given) == 1 else 'them'} out.")
