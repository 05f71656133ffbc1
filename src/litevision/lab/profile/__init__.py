"""Where the time of a graph goes: what each layer takes in the engine that runs it, beside this machine's peaks."""

from litevision.lab.profile.measure import profile_file
from litevision.lab.profile.peaks import measure_peaks
from litevision.lab.profile.report import profile
from litevision.lab.profile.timings import LayerTime, Peaks, Profile, TimeStats

__all__ = ["LayerTime", "Peaks", "Profile", "TimeStats", "measure_peaks", "profile", "profile_file"]
