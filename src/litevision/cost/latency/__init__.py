"""How long a network will take on this machine, without running it: rates calibrated once, and a network's work."""

from litevision.cost.latency.calibration import calibrate
from litevision.cost.latency.kept import latency_model
from litevision.cost.latency.model import LatencyModel
from litevision.cost.latency.works import Work, works_of_graph, works_of_ledger

__all__ = ["LatencyModel", "Work", "calibrate", "latency_model", "works_of_graph", "works_of_ledger"]
