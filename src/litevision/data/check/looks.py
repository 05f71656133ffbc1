"""Looking at every image of a data set."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt

from litevision.data.look import THUMB_PX, Found, look_at, open_header
from litevision.data.threads import in_threads


@dataclass(frozen=True, eq=False, slots=True)
class Looks:
    """What looking at N images gave.

    Attributes:
        found: the rules that each breaks.
        sizes_hw: the upright size of each, px; None for one that cannot be read.
        thumbs_u8: ``uint8[N, S, S, 3]``, black for one that cannot be read; None where no pixels were read.
    """

    found: list[tuple[Found, ...]]
    sizes_hw: list[tuple[int, int] | None]
    thumbs_u8: npt.NDArray[np.uint8] | None


def look_at_all(
    paths: Sequence[Path], *, quick: bool, workers: int | None, on_progress: Callable[[int, int], None]
) -> Looks:
    """A look at each of ``paths``, at its header alone where it is to be ``quick``."""
    looks = Looks([], [], None if quick else np.zeros((len(paths), THUMB_PX, THUMB_PX, 3), np.uint8))
    for index, look in enumerate(in_threads(open_header if quick else look_at, paths, workers=workers)):
        looks.found.append(look.found)
        looks.sizes_hw.append(look.upright_hw)
        if look.thumb is not None and looks.thumbs_u8 is not None:
            looks.thumbs_u8[index] = look.thumb
        on_progress(index + 1, len(paths))
    return looks
