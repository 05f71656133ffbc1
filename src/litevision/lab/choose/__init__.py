"""Which network to take: the published ones by what they score, how long they will take here and how large they are."""

from litevision.lab.choose.candidates import Candidate, check_classes, published_candidates
from litevision.lab.choose.pareto import Budget, pareto_front, parse_budget
from litevision.lab.choose.report import Choice, choose

__all__ = [
    "Budget",
    "Candidate",
    "Choice",
    "check_classes",
    "choose",
    "pareto_front",
    "parse_budget",
    "published_candidates",
]
