"""Models of every task, and the configuration that a bundle, a run or a file says it was built from."""

from collections.abc import Mapping
from typing import Any

from litevision.errors import UnknownNameError
from litevision.models.centernet import CenterNet, CenterNetConfig
from litevision.models.config import NetworkConfig
from litevision.models.nanodet import FORMS, NanoDet, NanoDetConfig
from litevision.models.network import Network
from litevision.runtime import Architecture

AnyDetector = CenterNet | NanoDet
"""A network that finds boxes."""

AnyNetwork = Network | AnyDetector
"""A network of any task."""

AnyConfig = NetworkConfig | CenterNetConfig | NanoDetConfig
"""The configuration of a network of any task."""

_CONFIGS: dict[str, type[AnyConfig]] = {kind.task: kind for kind in (NetworkConfig, CenterNetConfig)}
"""By task; a detector with a name of its own is told by that."""


def config_type(task: str, architecture: object = None) -> type[AnyConfig]:
    """Returns the type of the configurations of ``task``.

    Args:
        architecture: the name of what was built, where it is known.

    Raises:
        UnknownNameError: no model is of that task.
    """
    if task not in _CONFIGS:
        raise UnknownNameError.of("task", task, _CONFIGS)
    return NanoDetConfig if task == NanoDetConfig.task and architecture in FORMS else _CONFIGS[task]


def config_from_architecture(task: str, architecture: Architecture) -> AnyConfig:
    """The inverse of ``to_architecture``; raises KeyError, TypeError or ValueError for anything else."""
    return config_type(task, architecture.name).from_architecture(architecture)


def config_from_dict(task: str, record: Mapping[str, Any]) -> AnyConfig:
    """The inverse of ``to_dict``; raises AttributeError, KeyError, TypeError or ValueError for anything else."""
    return config_type(task, record.get("architecture")).from_dict(record)
