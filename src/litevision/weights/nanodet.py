"""NanoDets in files of tensors: the authors' weights and checkpoints, and what ``save_weights`` wrote."""

import json
from pathlib import Path
from typing import NamedTuple

import torch

from litevision.errors import WeightsError, WeightsMismatchError, reason_of
from litevision.models.nanodet import BINS, FORMS, NanoDetConfig
from litevision.models.pretrained import Pretrained
from litevision.weights.convert.apply import match
from litevision.weights.convert.layout import Tensors, tensor_mappings, to_native
from litevision.weights.convert.nanodet import LAYOUT, in_checkpoint
from litevision.weights.facts import PRETRAINED_KEY, detector_facts, facts_in_header
from litevision.weights.read import StoredWeights
from litevision.weights.writers import CONFIG_KEY

_OUTPUT = "head.gfl_cls.0.weight"
_SHOWN = 3


class StoredNanoDet(NamedTuple):
    """A NanoDet in a file.

    Attributes:
        state: the network's.
        notes: what was chosen or left out, a line each.
    """

    config: NanoDetConfig
    state: Tensors
    pretrained: Pretrained
    layout: str
    notes: tuple[str, ...] = ()


def nanodet_in_file(stored: StoredWeights, path: Path, label: str) -> StoredNanoDet | None:
    """Finds the NanoDet that the tensors of the file at ``path`` are; None where they are something else.

    Raises:
        WeightsMismatchError: they are one of the authors', of a form that litevision does not have.
        WeightsError: it is litevision's own file, and damaged.
    """
    if CONFIG_KEY in stored.metadata:
        return _own(stored, path, label)
    tensors, notes = in_checkpoint(stored.tensors)
    if _OUTPUT not in tensors or not any(name.startswith("backbone.") for name in tensors):
        return None
    mismatches = []
    for name in FORMS:
        config = NanoDetConfig(name, max(1, len(tensors[_OUTPUT]) - 4 * BINS))
        network = config.build(device="meta")
        shapes = {key: tensor.shape for key, tensor in network.state_dict().items()}
        given = LAYOUT.prepare(network, tensors) if LAYOUT.prepare else tensors
        matched = match(tensor_mappings(network, LAYOUT), given, LAYOUT)
        state = {mapping.ours: to_native(given[key], mapping.kind, LAYOUT) for mapping, key in matched.found.items()}
        wrong = [key for key, tensor in state.items() if tensor.shape != shapes[key]]
        missing = [mapping.theirs[0] for mapping in matched.missing]
        if not (wrong or missing or matched.unknown):
            counters = {key: torch.tensor(0) for key in shapes if key not in state}
            facts = detector_facts(path, config, how="a local file in NanoDet's layout")
            return StoredNanoDet(config, {**state, **counters}, facts, LAYOUT.name, tuple(notes))
        mismatches.append(
            (len(wrong) + len(missing) + len(matched.unknown), name, [*missing, *matched.unknown, *wrong])
        )
    count, name, found = min(mismatches)
    shown = ", ".join(found[:_SHOWN]) + (", ..." if count > _SHOWN else "")
    raise WeightsMismatchError(
        f"{label}: a NanoDet of none of the forms {', '.join(FORMS)}; of the nearest, {name}, {count} tensors are "
        f"missing, unknown or of another shape ({shown})"
    )


def _own(stored: StoredWeights, path: Path, label: str) -> StoredNanoDet | None:
    """The NanoDet that ``save_weights`` wrote."""
    try:
        record = json.loads(stored.metadata[CONFIG_KEY])
        if not isinstance(record, dict) or record.get("architecture") not in FORMS:
            return None
        config = NanoDetConfig.from_dict({key: value for key, value in record.items() if key != PRETRAINED_KEY})
        expected = config.build(device="meta").state_dict()
    except Exception as error:  # a header can hold anything
        raise WeightsError(
            f"{label}: the configuration in its header cannot be built ({reason_of(error)}). "
            "Load it with the version of litevision that wrote it"
        ) from None
    state = {**{name: torch.tensor(0) for name in expected if name.endswith("_tracked")}, **stored.tensors}
    wrong = [name for name, tensor in expected.items() if name not in state or state[name].shape != tensor.shape]
    wrong += [name for name in state if name not in expected]
    if wrong:
        raise WeightsMismatchError(f"{label}: {len(wrong)} tensors do not fit its header (the first: {wrong[0]})")
    facts = facts_in_header(stored.metadata, label) or detector_facts(path, config, how="a local file of litevision's")
    return StoredNanoDet(config, state, facts, "native")
