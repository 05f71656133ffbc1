"""The one check that the workshop half is installed."""

from litevision.errors import MissingExtraError


def require_torch(need: str) -> None:
    """Returns if torch is installed.

    Args:
        need: the command that needs it, for the message.

    Raises:
        MissingExtraError: it is not.
    """
    try:
        import torch  # noqa: F401
    except ImportError:
        raise MissingExtraError.of(need, "train") from None
