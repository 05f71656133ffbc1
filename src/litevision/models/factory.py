"""Build networks from names and configurations."""

import importlib
import inspect
from collections.abc import Callable, Iterable
from typing import Any

import torch

from litevision.errors import UnknownNameError
from litevision.models.config import NetworkConfig
from litevision.models.network import Network
from litevision.models.rows import rows_of
from litevision.registry import ARCHITECTURES, resolve


def family_builder(architecture: str) -> Callable[..., Network]:
    """Returns the ``build`` of the family file that defines ``architecture``."""
    module = importlib.import_module(f"litevision.models.{ARCHITECTURES[architecture].family}")
    build: Callable[..., Network] = module.build
    return build


def family_options(architecture: str) -> tuple[str, ...]:
    """Lists the arguments that only the family of ``architecture`` has, for example ``depth_mult``."""
    parameters = inspect.signature(family_builder(architecture)).parameters
    return tuple(name for name, kind in parameters.items() if kind.kind == kind.KEYWORD_ONLY)


def build(config: NetworkConfig, *, device: torch.device | str | None = None) -> Network:
    """Builds the network of ``config``, randomly initialised.

    Args:
        device: ``"meta"`` builds it without memory, for counting.

    Raises:
        UnknownNameError: an option that this family does not have.
    """
    builder = family_builder(config.architecture)
    known = family_options(config.architecture)
    for option in config.options:
        if option not in known:
            raise UnknownNameError.of(f"option of {config.architecture}", option, known)
    with torch.device(device) if device is not None else torch.device(torch.get_default_device()):
        return builder(config, **config.options)


def configure(
    name: str,
    *,
    width_mult: float = 1.0,
    num_classes: int = 1000,
    dialect: str | None = None,
    output_stride: int | None = None,
    final_endpoint: str | None = None,
    dropout: float | None = None,
    rows: Iterable[Any] | str | None = None,
    in_channels: int = 3,
    **options: Any,
) -> NetworkConfig:
    """Returns the configuration that ``create`` builds; see there for the arguments."""
    variant = resolve(name, dialect, width_mult)
    return NetworkConfig(
        architecture=variant.architecture,
        dialect=variant.dialect,
        width_mult=variant.width_mult,
        num_classes=num_classes,
        in_channels=in_channels,
        output_stride=32 if output_stride is None else output_stride,
        dropout=dropout,
        rows=None if rows is None else rows_of(variant.architecture, rows),
        final_endpoint=final_endpoint,
        options={**variant.options, **options},
    )
