"""Read litevision's own output as weights: run folders, their checkpoints, and bundles."""

import json
import os
from collections.abc import Mapping
from dataclasses import dataclass, replace
from enum import Enum
from pathlib import Path
from typing import Any, Protocol

from litevision.errors import FileMissingError, LitevisionError, UsageError, WeightsError, reason_of
from litevision.files import read_toml, refuse_links, sha256_of
from litevision.image import Preprocess
from litevision.models.kinds import AnyConfig, AnyNetwork, config_from_dict
from litevision.models.pretrained import Pretrained
from litevision.runtime import Normalisation
from litevision.runtime.bundle import checked_metadata, exported_metadata, is_bundle, read_bundle, refuse_other_runtimes
from litevision.weights.bundles import pretrained_of, read_bundle_weights, restore_folded
from litevision.weights.convert.layout import Tensors
from litevision.weights.facts import detector_facts
from litevision.weights.folded import nanodet_in
from litevision.weights.ncnn import read_ncnn
from litevision.weights.onnx_convolutions import read_onnx
from litevision.weights.pickles import load_torch
from litevision.weights.read import require_plain, what_folder
from litevision.zoo import BUNDLES

PLAN, RECIPE, BUNDLE = "plan.json", "recipe.toml", "model.onnx"
GRAPH_READERS = {".onnx": read_onnx, ".param": read_ncnn}
"""What reads a graph of another's making, by the ending of its file's name."""

CHECKPOINTS = ("best.ckpt", "last.ckpt")
"""A run's checkpoints, the one to use first."""

_FIRST_TASK = "classification"  # that of a plan that says none
_NATIVE = "native"


class RunLike(Protocol):
    """A finished run, as ``litevision.train`` returns it."""

    @property
    def folder(self) -> Path:
        """The folder that holds all of it."""
        ...


WeightsLike = str | os.PathLike[str] | Enum | RunLike
"""Where weights are accepted from: a weight set's name, a URL, a file, a bundle, a run's folder or a run; or a
member of a weights enum of torchvision's."""


@dataclass(frozen=True)
class TrainedModel:
    """A model that litevision trained or exported, read back.

    Attributes:
        label: what messages call it.
        path: the file that holds the weights.
        config: the network's, or the detector's.
        state: the state dict of that network.
        pretrained: its preprocessing, labels, licence and origin.
        is_folded: whether batch normalisation was folded into the convolutions, as in a bundle.
        layout: how the file names its tensors.
    """

    label: str
    path: Path
    config: AnyConfig
    state: Tensors
    pretrained: Pretrained
    is_folded: bool = False
    layout: str = _NATIVE

    @property
    def is_of_others(self) -> bool:
        """Whether it is a detector's file as its authors write it, which litevision neither trained nor exported."""
        return self.layout != _NATIVE

    def network(self) -> AnyNetwork:
        """Builds the network with its weights, in evaluation mode."""
        network = self.config.build()
        network.load_state_dict(self.state)
        if self.is_folded:
            restore_folded(network, self.pretrained)
        network.pretrained = self.pretrained.within(network)
        return network.eval()


def path_of(source: WeightsLike) -> str | Path:
    """Returns ``source`` as a name, an address or a path; for a run, its folder.

    Raises:
        UsageError: it is nothing that weights are read from.
    """
    if isinstance(source, str):
        return source
    if isinstance(source, os.PathLike):
        return Path(source)
    if isinstance(source, Enum):  # torchvision's MobileNet_V2_Weights.DEFAULT
        return str(source)
    if not hasattr(source, "folder"):
        raise UsageError(
            f"weights are read from a weight set's name, a file, a URL or a run, got {type(source).__name__} "
            f'{source!r}; weights="default" takes the default set of the network'
        )
    return Path(source.folder)


def open_trained(source: WeightsLike) -> TrainedModel | None:
    """Opens the model in a run's folder, a checkpoint of a run, or a bundle; gives None for anything else.

    Args:
        source: a run's folder (its best checkpoint counts, or the last one where there is no best yet), ``best.ckpt``
            or ``last.ckpt`` in such a folder, a bundle's ``.onnx`` file or the name of one that comes with the package,
            a run, or a NanoDet of others' making (``.onnx``, or ncnn's ``.param`` with the ``.bin`` beside it).

    Raises:
        FileMissingError: a folder without a run, or a run without a checkpoint.
        WeightsError, BundleError: it cannot be read.
        UsageError: it was exported for another runtime.
    """
    given = path_of(source)
    path = BUNDLES[given] if isinstance(given, str) and given in BUNDLES else Path(given)
    is_file = "://" not in str(given)
    if is_file and exported_metadata(path) is not None:
        refuse_other_runtimes(path, "its weights are no network's any more")
    if path.suffix == ".bin" and is_file and path.with_suffix(".param").is_file():  # ncnn's two files
        path = path.with_suffix(".param")
    if path.suffix in GRAPH_READERS and is_file and not (path.suffix == ".onnx" and is_bundle(read_bundle(path))):
        return _from_graph(path, str(given))
    if path.suffix == ".onnx" and is_file:
        config, state, pretrained = read_bundle_weights(path)
        return TrainedModel(str(given), path, config, state, pretrained, is_folded=True)
    if path.is_dir() and ((path / PLAN).is_file() or isinstance(given, Path) or len(path.parts) > 1):
        return _from_run(path, _checkpoint_in(path), str(given))
    if path.name in CHECKPOINTS and path.is_file() and (path.parent / PLAN).is_file():
        return _from_run(path.parent, path, str(given))
    return None


def _from_graph(path: Path, label: str) -> TrainedModel:
    """Reads the detector in a graph of another's making."""
    graph = GRAPH_READERS[path.suffix](path)
    config, state = nanodet_in(graph, path)
    facts = detector_facts(path, config, graph.size_hw, "a local file, read by the order of its convolutions")
    return TrainedModel(label, path, config, state, facts, is_folded=True, layout="none; by the order of convolutions")


def _checkpoint_in(folder: Path) -> Path:
    if not (folder / PLAN).is_file():
        raise FileMissingError(f"{what_folder(folder)}; expected a weight file, or the folder of a run with a {PLAN}")
    found = next((folder / name for name in CHECKPOINTS if (folder / name).is_file()), None)
    if found is None:
        raise FileMissingError(f"{folder}: a run without {' or '.join(CHECKPOINTS)}; train it first")
    return found


def _from_run(folder: Path, checkpoint: Path, label: str) -> TrainedModel:
    refuse_links(folder)
    try:
        plan = json.loads((folder / PLAN).read_text("utf-8"))
        config = config_from_dict(plan.get("task", _FIRST_TASK), plan["network"])
        pretrained = _facts(folder, plan, checkpoint)
        if pretrained.top_k is None and (folder / RECIPE).is_file():  # bundles of 0.1.0 do not state it
            pretrained = replace(pretrained, top_k=config.top_k_of(_tables(folder / RECIPE)))
    except Exception as error:  # a plan can hold anything
        raise WeightsError(
            f"{folder}: its {PLAN} cannot be read as that of a run ({reason_of(error)}). Train it anew"
        ) from None
    state = _read_state(checkpoint)
    _require_state_of(config, state, checkpoint)
    return TrainedModel(label, checkpoint, config, state, pretrained)


def _facts(folder: Path, plan: Mapping[str, Any], checkpoint: Path) -> Pretrained:
    """Collects the facts of a run: from its bundle once it is finished, before that from its plan."""
    bundle = folder / BUNDLE
    if bundle.is_file() and checkpoint.name == CHECKPOINTS[0]:
        return pretrained_of(checked_metadata(read_bundle(bundle), bundle))
    start = plan["start"]
    return Pretrained(
        name=plan["name"],
        preprocess=_preprocess(folder / RECIPE),
        normalisation=Normalisation(tuple(plan["normalisation"]["mean"]), tuple(plan["normalisation"]["std"])),
        labels=tuple(plan["data"]["classes"]),
        licence=start["licence"] if start else "its trainer's",
        source="trained by litevision from "
        + (f"{start['name']}: {start['provenance']}" if start else "scratch, and not finished"),
        sha256=sha256_of(checkpoint),
        task=plan.get("task", _FIRST_TASK),
    )


def _preprocess(recipe: Path) -> Preprocess:
    """Returns the finished model's preprocessing by the run's recipe."""
    model = _tables(recipe)["model"]
    height, width = model["size_hw"]
    return Preprocess((height, width), round(min(height, width) / model["crop_fraction"]), model["crop"], "bilinear")


def _tables(recipe: Path) -> dict[str, Any]:
    return read_toml(recipe)


def _read_state(checkpoint: Path) -> Tensors:
    """Reads the network's weights; of ``last.ckpt`` their moving average, which is what is scored."""
    try:
        states = load_torch(checkpoint)
        if "average" in states:
            averaged = states["average"].items()
            state = {name.removeprefix("module."): tensor for name, tensor in averaged if name != "n_averaged"}
        else:
            state = dict(states["network"])
    except LitevisionError:
        raise
    except Exception as error:  # a damaged file raises whatever its reader stumbles over
        raise WeightsError(
            f"{checkpoint}: cannot be read as the checkpoint of a run ({type(error).__name__}); it may be damaged"
        ) from error
    require_plain(state, checkpoint)
    return state


def _require_state_of(config: AnyConfig, state: Tensors, path: Path) -> None:
    """Raises ``WeightsError`` unless ``state`` has the tensors of the network of ``config``, which costs no memory."""
    try:
        network = config.build(device="meta")
    except Exception as error:  # likewise
        raise WeightsError(f"{path}: its network cannot be built ({reason_of(error)})") from None
    expected = network.state_dict()
    wrong = [name for name, tensor in expected.items() if name not in state or state[name].shape != tensor.shape]
    wrong += [name for name in state if name not in expected]
    if wrong:
        raise WeightsError(
            f"{path}: holds other weights than those of the network in its {PLAN} ({len(wrong)} tensors missing, "
            f"unknown or of another shape; the first: {wrong[0]}). Is it a checkpoint of another run?"
        )
