"""The networks. Each family is one file: its paper's table, and the builder under it."""

from litevision.models.config import NetworkConfig
from litevision.models.dialect import Dialect
from litevision.models.factory import build, configure
from litevision.models.network import Endpoint, FeaturePyramid, Network

__all__ = ["Dialect", "Endpoint", "FeaturePyramid", "Network", "NetworkConfig", "build", "configure"]
