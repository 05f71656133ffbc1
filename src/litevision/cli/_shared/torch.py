"""The one check that the workshop half is installed."""

from importlib.util import find_spec

from litevision.errors import MissingExtraError


def require_torch(need: str) -> None:
    """Returns if torch is installed.

    Args:
        need: the command that needs it, for the message.

    Raises:
        MissingExtraError: it is not.
    """
    if find_spec("torch") is None:
        raise MissingExtraError.of(need, "train")
