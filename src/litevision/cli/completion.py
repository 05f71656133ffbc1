"""litevision completion: the script that makes a shell complete commands, options and names."""

from dataclasses import dataclass
from typing import ClassVar

from litevision.cli.parser import argument


@dataclass(frozen=True, kw_only=True)
class CompletionOptions:
    """Print the script."""

    examples: ClassVar = ('eval "$(litevision completion bash)"',)
    shell: str = argument(metavar="SHELL", choices=("bash", "zsh", "fish"), help="Shell.")


def run(options: CompletionOptions) -> int:
    """Print the script."""
    return 0
