"""The errors of the server: each has the HTTP status that tells it to a client."""

from collections.abc import Mapping

from litevision.errors import ImageTooLargeError, LitevisionError

RETRY_AFTER_S = 1


class RequestError(LitevisionError):
    """A request that is not answered: ``status`` is the HTTP status, ``kind`` what metrics count it as."""

    def __init__(self, status: int, kind: str, message: str, headers: Mapping[str, str] | None = None) -> None:
        super().__init__(message)
        self.status = status
        self.kind = kind
        self.headers = dict(headers or {})


class OverloadedError(RequestError):
    """More would wait than may: the client is to come again."""

    def __init__(self, waiting: int) -> None:
        message = f"{waiting} images wait already; nothing was computed. Send it again after {RETRY_AFTER_S} s."
        super().__init__(429, "overload", message, {"Retry-After": str(RETRY_AFTER_S)})


def image_error(error: LitevisionError) -> RequestError:
    """The error of a request whose image cannot be read, in the runtime's own line."""
    if isinstance(error, ImageTooLargeError):
        return RequestError(413, "image too large", str(error))
    return RequestError(422, "image", str(error))
