"""Facts of weights: where their preprocessing, labels, licence and origin are known from."""

import hashlib
import json
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from torch import nn

from litevision.errors import UnknownNameError, UsageError, WeightsError
from litevision.files import sha256_of
from litevision.image import Preprocess
from litevision.models.centernet import CenterNetConfig
from litevision.models.config import NetworkConfig
from litevision.models.kinds import AnyNetwork
from litevision.models.nanodet import NanoDetConfig
from litevision.models.pretrained import Pretrained, fingerprint
from litevision.registry.labels import coco_labels, imagenet_labels
from litevision.registry.schema import WeightSet
from litevision.runtime import Normalisation
from litevision.runtime.metadata import NORMALISATIONS, are_labels_of
from litevision.runtime.schema import from_dict, to_dict
from litevision.weights.layouts import layout_row
from litevision.weights.published import normalisation_of, preprocess_of, score_of
from litevision.weights.recognise import published_inputs
from litevision.weights.tensorflow_checkpoint import checkpoint_prefix
from litevision.weights.writers import CONFIG_KEY

if TYPE_CHECKING:
    from litevision.weights.source import WeightsSource

PRETRAINED_KEY = "pretrained"
"""In the header of litevision's own weight files: what is known of the weights."""

_OF_THE_NETWORK = {"fingerprint": None, "in_channels": 3}
"""What the facts say of the network that they are in: it stands in no file."""

_NORMALISATION_OF = {  # what each origin's own training scripts feed, where published sets do not tell
    "torchvision": "imagenet",
    "timm": "imagenet",
    "timm_tf": "half",
    "timm_rw": "imagenet",
    "keras": "half",
    "slim": "half",
    "tutorial": "half",
}
_IMAGENET_CLASSES = 1000
_BY_MAP = "a local file, read by a map of its tensors"


def facts_of(source: "WeightsSource", config: NetworkConfig, layout: str) -> Pretrained:
    """Collects the facts of opened weights for a network of ``config``.

    Litevision's own output says them itself, and so does a registered set; of another file they are its dialect's.
    Labels and score are left out where the network has another number of classes than they have.

    Args:
        layout: whose layout the file has.
    """
    stored = _stored_facts(source)
    if stored is not None:
        facts = stored
    else:
        weight_set = source.weight_set
        given = _set_of(source, config)
        facts = Pretrained(
            name=weight_set.name if weight_set else source.path.name,
            preprocess=_preprocess(config, given),
            normalisation=_normalisation(config, given, layout),
            labels=imagenet_labels() if config.num_classes == _IMAGENET_CLASSES else None,
            licence=weight_set.licence if weight_set else "unknown",
            source=weight_set.url if weight_set else _origin(source, layout),
            sha256=source.sha256 or _digest(source.path),
            training_data=weight_set.training_data if weight_set else "unknown",
            score=None if weight_set is None else score_of(weight_set),
            activation=source.stored.activation,
        )
    if facts.labels is None and config.num_classes and config.final_endpoint is None:
        return replace(facts.without_classes(), activation=facts.activation)
    has_its_classes = facts.labels is not None and are_labels_of(config.num_classes, facts.labels)
    return facts if has_its_classes and config.final_endpoint is None else facts.without_classes()


def _origin(source: "WeightsSource", layout: str) -> str:
    if source.stored.map is not None:
        return _BY_MAP
    taken = "" if source.recognised is None else f", taken for {source.recognised.weight_set.name}"
    return f"a local file in {layout_row(layout).title}'s layout{taken}"


def detector_facts(
    path: Path, config: CenterNetConfig | NanoDetConfig, size_hw: tuple[int, int] | None = None, how: str = _BY_MAP
) -> Pretrained:
    """Returns the facts of a detector that somebody else trained: what its authors' code does to an image.

    A NanoDet's 80 classes have COCO's names; others are called by their numbers, as files name none. Source:
    CenterNet's ``opts.py`` and ``pascal.py``; NanoDet's ``config/``.

    Args:
        size_hw: of the input, where the file tells it.
        how: where it comes from.
    """
    count, is_nanodet = config.num_classes, isinstance(config, NanoDetConfig)
    usual = (config.form.size_px,) * 2 if isinstance(config, NanoDetConfig) else (512, 512)
    labels = coco_labels() if is_nanodet and count == len(coco_labels()) else [f"class_{i}" for i in range(count)]
    return Pretrained(
        name=path.name,
        preprocess=config.default_preprocess(size_hw or usual),
        normalisation=NORMALISATIONS["imagenet"],
        labels=tuple(labels),
        licence="unknown",
        source=how,
        sha256=sha256_of(path.with_suffix(".bin") if path.suffix == ".param" else path),
        task=config.task,
    )


def current_facts(network: AnyNetwork) -> Pretrained | None:
    """Returns the facts of the weights that ``network`` has now, which may have been trained since they were loaded.

    Returns:
        None for a network from scratch. Labels and score are left out where its number of classes has changed.
    """
    known = network.pretrained
    if known is None:
        return None
    if known.fingerprint != fingerprint(network):
        known = known.unmeasured(
            name=f"{known.name}, fine-tuned",
            source=f"fine-tuned from {known.name}: {known.source}",
            sha256=weights_digest(network),
            training_data=f"{known.training_data}, then unknown data",
        )
    has_its_classes = known.labels is None or are_labels_of(network.config.num_classes, known.labels)
    return known if has_its_classes else known.without_classes()


def facts_to_dict(facts: Pretrained) -> dict[str, Any]:
    """Returns ``facts`` as plain JSON values, for a file of weights."""
    plain: dict[str, Any] = to_dict(facts)
    for name in _OF_THE_NETWORK:
        del plain[name]
    return plain


def _stored_facts(source: "WeightsSource") -> Pretrained | None:
    """Reads the facts that litevision's own output states; None for other files.

    Raises:
        WeightsError: it cannot be read.
    """
    if source.trained is not None:
        return source.trained.pretrained
    return facts_in_header(source.stored.metadata, source.label)


def facts_in_header(metadata: Mapping[str, str], label: str) -> Pretrained | None:
    """Reads the facts in the header of a weight file of litevision's; None where it states none.

    Raises:
        WeightsError: it cannot be read.
    """
    plain = json.loads(metadata.get(CONFIG_KEY, "{}")).get(PRETRAINED_KEY)
    if plain is None:
        return None
    faults: list[str] = []
    facts: Pretrained | None = from_dict(Pretrained, {**plain, **_OF_THE_NETWORK}, PRETRAINED_KEY, faults)
    if facts is None:
        raise WeightsError(f"{label}: what its header says of its weights cannot be read ({'; '.join(faults)})")
    return facts


def facts_from_scratch(
    network: AnyNetwork,
    name: str,
    size_hw: tuple[int, int] | None,
    normalisation: Normalisation | None,
    preprocess: Preprocess | None,
) -> Pretrained:
    """Returns the facts of a network from scratch: what was given, and nothing else.

    Raises:
        UsageError: not enough was given.
    """
    if normalisation is None or (size_hw is None and preprocess is None):
        missing = [
            *(["size (px of a side, or height and width) or preprocess"] if not (size_hw or preprocess) else []),
            *(['normalisation ("imagenet", "half" or "unit")'] if normalisation is None else []),
        ]
        raise UsageError(
            f"the network was trained from scratch, so that its input is not known: give {' and '.join(missing)}"
        )
    if preprocess is None:
        assert size_hw is not None
        preprocess = network.config.default_preprocess(size_hw)
    return Pretrained(
        name=name,
        preprocess=preprocess,
        normalisation=normalisation,
        labels=None,
        licence="unknown",
        source="trained from scratch",
        sha256=weights_digest(network),
        task=network.config.task,
    )


def weights_digest(network: nn.Module) -> str:
    """Computes the sha256 of the weights themselves, where no file has them."""
    digest = hashlib.sha256()
    for name, tensor in network.state_dict().items():
        digest.update(name.encode())
        digest.update(tensor.detach().cpu().contiguous().float().numpy().tobytes())
    return digest.hexdigest()


def normalisation_named(name: str) -> Normalisation:
    """Returns the normalisation called ``name``: imagenet, half or unit.

    Raises:
        UnknownNameError: there is none of that name.
    """
    if name not in NORMALISATIONS:
        raise UnknownNameError.of("normalisation", name, NORMALISATIONS)
    return NORMALISATIONS[name]


def resized(facts: Pretrained, size_hw: tuple[int, int]) -> Pretrained:
    """Returns ``facts`` for another input size, with the same ratio of crop to image and without the score."""
    old = facts.preprocess
    if size_hw == old.size_hw:
        return facts
    resize_px = round(min(size_hw) * old.resize_px / min(old.size_hw))
    preprocess = replace(old, size_hw=size_hw, resize_px=resize_px)
    return facts.unmeasured(preprocess=preprocess)


def normalisation_doubts(source: "WeightsSource", config: NetworkConfig) -> tuple[str, ...]:
    """Says, in a line, what was assumed of the input where that is not known and could be otherwise; else nothing."""
    if _stored_facts(source) is not None:
        return ()
    taken = source.recognised
    if taken is not None and _is_set_of(taken.weight_set, config):
        ways = {"content": "its digest", "name": "its name", "size": "its size"}
        line = f"taken for {taken.weight_set.name} by {ways[taken.by]}: dialect {config.dialect}, and its preprocessing"
        return (line if taken.is_certain else f"{line}. 'litevision export' takes others: --dialect, --normalisation",)
    published = dict.fromkeys((given.mean, given.std) for given in published_inputs(config))
    if source.weight_set is not None or len(published) < 2:
        return ()
    names = {(known.mean, known.std): name for name, known in NORMALISATIONS.items()}
    usual = _NORMALISATION_OF[config.dialect]
    others = [names[each] for each in published if names[each] != usual]
    return (
        f"its normalisation is not known: {usual} was taken, and {config.dialect}'s sets of {config.architecture} were "
        f"published with {' and '.join(others)} too. 'litevision export --normalisation {others[0]}' chooses",
    )


def _is_set_of(weight_set: WeightSet, config: NetworkConfig) -> bool:
    ours = (config.architecture, config.dialect, config.width_mult)
    return (weight_set.architecture, weight_set.dialect, weight_set.width_mult) == ours


def _set_of(source: "WeightsSource", config: NetworkConfig) -> WeightSet | None:
    """The published set that the weights are, or are taken for; None where they are none of this network."""
    taken = source.weight_set or (None if source.recognised is None else source.recognised.weight_set)
    return taken if taken is not None and _is_set_of(taken, config) else None


def _preprocess(config: NetworkConfig, given: WeightSet | None) -> Preprocess:
    """The published way to make the input; else the network's default, with the filter of all published sets of it."""
    if given is not None:
        return preprocess_of(given)
    usual = config.default_preprocess((224, 224))
    filters = {published.interpolation for published in published_inputs(config)}
    return replace(usual, interpolation=filters.pop()) if len(filters) == 1 else usual


def _normalisation(config: NetworkConfig, given: WeightSet | None, layout: str) -> Normalisation:
    """The published one; else that of all published sets of the network, or where they differ its dialect's."""
    if given is not None:
        return normalisation_of(given)
    if layout == "megvii":
        return NORMALISATIONS["unit"]
    alike = {(published.mean, published.std) for published in published_inputs(config)}
    return Normalisation(*alike.pop()) if len(alike) == 1 else NORMALISATIONS[_NORMALISATION_OF[config.dialect]]


def _digest(path: Path) -> str:
    """The file's sha256; of a TensorFlow checkpoint, of its index, which has the checksums of all its tensors."""
    prefix = checkpoint_prefix(path)
    file = path if prefix is None else prefix.with_name(f"{prefix.name}.index")
    return sha256_of(file)
