"""Where the time of a graph goes: what each layer takes in the engine that runs it, beside this machine's peaks."""

from litevision.cost.profile.measure import profile
from litevision.cost.profile.peaks import measure_peaks
from litevision.cost.profile.records import Peaks, Profile, Row, Spread

__all__ = ["Peaks", "Profile", "Row", "Spread", "measure_peaks", "profile"]
