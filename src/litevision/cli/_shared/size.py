"""Image sizes on the command line."""

import re

from litevision.errors import UsageError


def parse_size(text: str) -> tuple[int, int]:
    """(h, w) of ``192`` or ``192x256``.

    Raises:
        UsageError: neither one side nor two, or a side of 0.
    """
    found = re.fullmatch(r"(\d+)(?:[xX×](\d+))?", text.strip())
    size_hw = (int(found[1]), int(found[2] or found[1])) if found else (0, 0)
    if min(size_hw) < 1:
        raise UsageError(f"a size is one side in pixels or HxW, such as 224 or 192x256, got {text!r}")
    return size_hw
