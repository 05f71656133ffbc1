"""Configurations as plain data that can be saved beside weights."""

import json
from abc import ABC, abstractmethod
from typing import Any, ClassVar, Self

from litevision.errors import UsageError


class Recorded(ABC):
    """A configuration that becomes one JSON object, and comes back from it.

    Attributes:
        KIND: what a message calls it.
    """

    KIND: ClassVar[str]

    @abstractmethod
    def to_dict(self) -> dict[str, Any]:
        """The configuration as plain JSON values."""

    @classmethod
    @abstractmethod
    def from_dict(cls, record: Any) -> Self:
        """The inverse of ``to_dict``; raises AttributeError, KeyError, TypeError or ValueError for anything else."""

    def to_json(self) -> str:
        """``to_dict`` as one JSON object."""
        return json.dumps(self.to_dict())

    @classmethod
    def from_json(cls, text: str) -> Self:
        """The inverse of ``to_json``.

        Raises:
            UsageError: the text is no configuration of this kind that this version knows.
        """
        try:
            return cls.from_dict(json.loads(text))
        except (AttributeError, KeyError, TypeError, ValueError) as error:
            raise UsageError(f"this is no {cls.KIND} of this version of litevision: {error}") from None
