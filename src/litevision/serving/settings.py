"""What a server may spend, and how it is reached."""

from dataclasses import dataclass

from litevision.errors import UsageError


@dataclass(frozen=True, kw_only=True)
class Settings:
    """Limits and habits of a server.

    Attributes:
        max_body_bytes: of a request's body.
        max_images: of one request.
        max_pixels: of one image, as its header states them.
        max_queue: images that wait, of all requests.
        max_connections: that are open at once.
        max_held_bytes: of all bodies that are being received or computed.
        body_s: seconds in which a body must have arrived, and headers before it.
        send_s: seconds in which a client must take its answer.
        max_batch: images that are computed at once.
        max_wait_s: seconds that a decoded image waits for others.
        grace_s: seconds from SIGTERM to the end, at most.
        drain_s: of these, those in which requests are still accepted while readiness says no.
        token: what clients must bring; None where anybody may ask.
        cors: origins whose pages may read answers.
        log_format: of the access log, "text" or "json".

    Raises:
        UsageError: limits that contradict each other.
    """

    max_body_bytes: int = 20 * 10**6
    max_images: int = 16
    max_pixels: int = 50_000_000
    max_queue: int = 64
    max_connections: int = 512
    max_held_bytes: int = 256 * 10**6
    body_s: float = 15.0
    send_s: float = 15.0
    max_batch: int = 4
    max_wait_s: float = 0.01
    grace_s: float = 25.0
    drain_s: float = 1.0
    token: str | None = None
    cors: tuple[str, ...] = ()
    log_format: str = "text"

    def __post_init__(self) -> None:
        if self.max_queue < self.max_images:
            raise UsageError(
                f"--max-queue {self.max_queue} is less than --max-images {self.max_images}: such a request would never "
                "be taken. Let more images wait."
            )
        if self.drain_s >= self.grace_s:
            raise UsageError(f"--drain-s {self.drain_s:g} leaves nothing of --grace-s {self.grace_s:g}.")
        if self.log_format not in ("text", "json"):
            raise UsageError(f"--log-format {self.log_format!r}; expected text or json.")
