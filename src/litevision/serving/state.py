"""What the routes of one server share."""

from collections.abc import Mapping
from dataclasses import dataclass, field

from starlette.requests import Request

from litevision.serving.batcher import Batcher
from litevision.serving.bodies import HeldBytes
from litevision.serving.metrics import Metrics
from litevision.serving.served import ServedModel
from litevision.serving.settings import Settings


@dataclass
class State:
    """What the routes share.

    Attributes:
        models: by the names that clients call them.
        settings: the limits.
        batcher: computes.
        metrics: counts.
        held: the bytes of all bodies that are under way.
        is_ready: whether requests are welcome; not so from SIGTERM on.
    """

    models: Mapping[str, ServedModel]
    settings: Settings
    batcher: Batcher
    metrics: Metrics
    held: HeldBytes = field(init=False)
    is_ready: bool = True

    def __post_init__(self) -> None:
        self.held = HeldBytes(self.settings.max_held_bytes)


def state_of(request: Request) -> State:
    """What the server shares that a request came to."""
    state: State = request.app.serving
    return state
