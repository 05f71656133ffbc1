"""Predict a network's latency on this machine without running it, from rates that are calibrated once."""

from litevision.lab.latency.calibration import calibrate, latency_model
from litevision.lab.latency.model import LatencyModel
from litevision.lab.latency.workload import Op, graph_workload, ledger_workload

__all__ = ["LatencyModel", "Op", "calibrate", "graph_workload", "latency_model", "ledger_workload"]
