"""Open weights: a registered set, a URL, a file, or what litevision made itself."""

from dataclasses import dataclass, replace
from pathlib import Path
from typing import NamedTuple

from litevision.errors import BundleError, UnknownNameError, WeightsError, WeightsMismatchError
from litevision.files import sha256_of
from litevision.models.config import NetworkConfig
from litevision.models.nanodet import NanoDetConfig
from litevision.registry import ALIASES, ARCHITECTURES, DETECTORS, resolve
from litevision.registry.weight_sets import FILE_ENDINGS, WeightSet, find_weight_set, is_file_name, weight_sets
from litevision.weights.download import discard_unreadable, fetch
from litevision.weights.facts import detector_facts
from litevision.weights.nanodet import nanodet_in_file
from litevision.weights.published import normalisation_of, preprocess_of
from litevision.weights.read import StoredWeights, read
from litevision.weights.recognise import Recognised, recognise
from litevision.weights.structure.match import AmbiguousWeightsError
from litevision.weights.structure.weight_map import WeightMap
from litevision.weights.tensorflow_checkpoint import checkpoint_prefix
from litevision.weights.trained import TrainedModel, WeightsLike, open_trained, path_of
from litevision.weights.unwrap import unwrapped
from litevision.weights.writers import CONFIG_KEY

DEFAULT = "default"
_TORCH_ENDINGS = (".pth", ".pt", ".bin", ".ckpt", ".safetensors")
IMAGENET = "imagenet"
"""Keras' word for its default set."""


class WeightsRequest(NamedTuple):
    """The requested network; None leaves it to the weights."""

    architecture: str | None = None
    dialect: str | None = None
    width_mult: float | None = None

    @classmethod
    def of(cls, name: str | None, dialect: str | None, width_mult: float | None) -> "WeightsRequest":
        """What the arguments ask for; another library's name brings its dialect, and some bring a width.

        Raises:
            UnknownNameError, UsageError: as ``resolve`` does.
        """
        if name is None:
            return cls(None, dialect, width_mult)
        variant = resolve(name, dialect, 1.0 if width_mult is None else width_mult)
        return cls(
            variant.architecture,
            variant.dialect if name.lower() in ALIASES else dialect,
            width_mult if variant.width_mult == 1.0 else variant.width_mult,
        )

    def require(self, label: str, known: "WeightsRequest") -> None:
        """Raises ``WeightsMismatchError`` where it contradicts what ``label`` is known to hold."""
        for what, wanted, got in zip(self._fields, self, known, strict=True):
            if wanted not in (None, got):
                raise WeightsMismatchError(
                    f"{label} holds {known.architecture} (dialect {known.dialect}, width {known.width_mult:g}), "
                    f"got {what} {wanted!r}: leave it out, or choose other weights"
                )


@dataclass(frozen=True)
class WeightsSource:
    """Opened weights.

    Attributes:
        label: the set's name, or the file or URL as it was given.
        weight_set: the registered set, if it is one.
        path: the file that was read.
        stored: its tensors; of a detector, those of its backbone.
        trained: the model, where it is litevision's own output.
        recognised: the published set that a file given by path or address is, or is taken for.
        sha256: the digest of ``path``, where it was computed.
    """

    label: str
    weight_set: WeightSet | None
    path: Path
    stored: StoredWeights
    trained: TrainedModel | None = None
    recognised: Recognised | None = None
    sha256: str | None = None


def open_source(
    source: WeightsLike, request: WeightsRequest, name: str | None = None, weight_map: WeightMap | None = None
) -> WeightsSource:
    """Finds weights, downloads them if need be, and reads them.

    Args:
        source: a weight set's name, ``"default"`` (of the network ``name``), a URL, a file, a bundle, a run's folder,
            one of its checkpoints, or a run.
        request: the network that was asked for.
        weight_map: the place of each tensor of a file.

    Raises:
        UnknownNameError: neither a file nor a weight set.
        WeightsMismatchError: a weight set of another network than the one asked for; it is not fetched.
        DownloadError, WeightsError: it cannot be fetched or read.
    """
    source = path_of(source)
    if isinstance(source, str) and "://" in source:
        path = fetch(source)
        try:
            trained = open_trained(path)
            stored = None if trained is not None else read(path)
        except (WeightsError, BundleError) as error:
            discard_unreadable(source)  # nobody else would, and every later call would find it
            raise type(error)(f"{error} It was removed from the cache; the next call fetches {source} anew.") from error
        if trained is not None:
            return _of_trained(trained, source)
        assert stored is not None
        return _of_file(stored, path, source, request, weight_map)
    trained = open_trained(source)
    if trained is not None:
        return _of_trained(trained, str(source))
    if source in (DEFAULT, IMAGENET) and name is not None:
        if source == IMAGENET and request.dialect is None:
            keras = [row for row in ARCHITECTURES[resolve(name).architecture].dialects if row == "keras"]
            request = request._replace(dialect=next(iter(keras), None))
        weight_set = find_weight_set(name) if name.lower() in DETECTORS else _default_set(name, request)
    elif _is_file(source):
        return _of_file(read(Path(source)), Path(source), str(source), request, weight_map)
    else:
        weight_set = find_weight_set(str(source))
    if weight_set.architecture in DETECTORS:
        return _of_detector(weight_set, request)
    request.require(weight_set.name, WeightsRequest(weight_set.architecture, weight_set.dialect, weight_set.width_mult))
    path = fetch(weight_set)
    return WeightsSource(weight_set.name, weight_set, path, read(path))


def _of_detector(weight_set: WeightSet, request: WeightsRequest) -> WeightsSource:
    """A published detector, whose backbone may be what was asked for."""
    backbone = NanoDetConfig(weight_set.architecture).as_network()
    request.require(weight_set.name, WeightsRequest(backbone.architecture, backbone.dialect, backbone.width_mult))
    trained = open_trained(fetch(weight_set))
    if trained is None or trained.config.to_architecture().name != weight_set.architecture:
        raise WeightsMismatchError(f"{weight_set.name} is another network than {weight_set.architecture}")
    facts = replace(
        trained.pretrained,
        name=weight_set.name,
        preprocess=preprocess_of(weight_set),
        normalisation=normalisation_of(weight_set),
        licence=weight_set.licence,
        source=weight_set.url,
        training_data=weight_set.training_data,
    )
    return _of_trained(replace(trained, label=weight_set.name, pretrained=facts), weight_set.name)


def open_model(source: WeightsLike) -> TrainedModel | None:
    """The model that litevision made, as ``open_trained`` gives it, or a detector, published or in a file.

    None for everything else, whose weights fill a network that the caller chooses.

    Raises:
        FileMissingError, WeightsError, BundleError: it cannot be read.
    """
    trained = open_trained(source)
    given = path_of(source)
    if trained is not None:
        return trained
    is_file = str(given).endswith(_TORCH_ENDINGS) and Path(given).is_file()
    return open_source(source, WeightsRequest()).trained if is_file or _is_detectors_set(str(given)) else None


def _of_file(
    stored: StoredWeights, path: Path, label: str, request: WeightsRequest, weight_map: WeightMap | None
) -> WeightsSource:
    """A file's tensors as they are, or by their map under our names; of a detector, as a trained model.

    A published file, by whatever name, brings its set's record.
    """
    nanodet = nanodet_in_file(stored, path, label) if weight_map is None else None
    if nanodet is not None:
        backbone = nanodet.config.as_network()
        request.require(label, WeightsRequest(backbone.architecture, backbone.dialect, backbone.width_mult))
        trained = TrainedModel(label, path, nanodet.config, nanodet.state, nanodet.pretrained, layout=nanodet.layout)
        return _of_trained(trained, label, nanodet.notes)
    sha256 = sha256_of(path) if path.is_file() else None  # a TensorFlow checkpoint is several files
    recognised = None if weight_map is not None or CONFIG_KEY in stored.metadata else recognise(path, sha256)
    weight_set = recognised.weight_set if recognised is not None and recognised.is_certain else None
    if weight_set is not None:
        form = WeightsRequest(weight_set.architecture, weight_set.dialect, weight_set.width_mult)
        request.require(f"{label} is {weight_set.name}, which", form)
    try:
        stored = unwrapped(stored, request._asdict()) if weight_map is None else replace(stored, map=weight_map)
        if stored.map is None:
            return WeightsSource(label, weight_set, path, stored, recognised=recognised, sha256=sha256)
        config, state = stored.map.fill(stored.tensors)
    except AmbiguousWeightsError as error:
        raise AmbiguousWeightsError(f"{label}: {error}", error.likeliest) from None
    except WeightsMismatchError as error:
        raise WeightsMismatchError(f"{label}: {error}") from None
    found = config.as_network()
    request.require(label, WeightsRequest(found.architecture, found.dialect, found.width_mult))
    stored = replace(
        stored, tensors=config.backbone_state(state), container="torch", map=replace(stored.map, config=config)
    )
    if isinstance(config, NetworkConfig):
        return WeightsSource(label, None, path, stored, sha256=sha256)
    facts = detector_facts(path, config)
    return WeightsSource(label, None, path, stored, TrainedModel(label, path, config, state, facts))


def _of_trained(trained: TrainedModel, label: str, notes: tuple[str, ...] = ()) -> WeightsSource:
    state = trained.config.backbone_state(trained.state)
    return WeightsSource(label, None, trained.path, StoredWeights(state, "torch", notes=notes), trained)


def _is_detectors_set(name: str) -> bool:
    """Whether ``name`` is that of a published detector."""
    try:
        return find_weight_set(name).architecture in DETECTORS
    except UnknownNameError:
        return False


def _is_file(source: str | Path) -> bool:
    """Whether a file is meant, be it there or not."""
    path = Path(source)
    if isinstance(source, str) and not path.exists() and not is_file_name(source):
        return checkpoint_prefix(path) is not None
    return (
        isinstance(source, Path)
        or len(path.parts) > 1
        or path.name.endswith(FILE_ENDINGS)
        or path.is_file()
        or checkpoint_prefix(path) is not None
    )


def _default_set(name: str, request: WeightsRequest) -> WeightSet:
    """The first weight set of the network ``name``, at width 1 unless another was asked for."""
    variant = resolve(name)
    width = 1.0 if request.width_mult is None else request.width_mult
    for dialect in ARCHITECTURES[variant.architecture].dialects if request.dialect is None else (request.dialect,):
        for row in weight_sets():
            if (row.architecture, row.dialect, row.width_mult) != (variant.architecture, dialect, width):
                continue
            if row.options == variant.options:
                return row
    raise UnknownNameError(
        f"no published weights for {name!r} in the dialect {request.dialect or 'of anybody'} at width {width:g}. "
        "See 'litevision models'"
    )
