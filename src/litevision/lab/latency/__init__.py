"""How long a network will take on this machine, without running it: rates calibrated once, and a network's work."""

from litevision.lab.latency.calibration import calibrate, latency_model
from litevision.lab.latency.model import LatencyModel
from litevision.lab.latency.workload import Work, works_of_graph, works_of_ledger

__all__ = ["LatencyModel", "Work", "calibrate", "latency_model", "works_of_graph", "works_of_ledger"]
