"""Video clips for tests, made on the spot."""

from collections.abc import Sequence
from fractions import Fraction
from pathlib import Path

import av
import numpy as np
import numpy.typing as npt

RED_AND_BLUE = np.zeros((48, 64, 3), np.uint8)
"""The left half red, the right half blue."""
RED_AND_BLUE[:, :32, 0] = 255
RED_AND_BLUE[:, 32:, 2] = 255


def write_clip(
    path: Path, images_u8_hwc: Sequence[npt.NDArray[np.uint8]], *, rate: float | str = 10, rotation: int = 0
) -> Path:
    """An H.264 clip at ``path``; ``rotation`` is how a player turns it, in degrees counterclockwise."""
    with av.open(str(path), "w") as out:
        stream = out.add_stream("libx264", rate=Fraction(rate))
        stream.height, stream.width = images_u8_hwc[0].shape[:2]
        stream.pix_fmt = "yuv420p"
        stream.options = {"crf": "10", "preset": "ultrafast"}
        if rotation:
            stream.set_display_rotation(rotation)
        for image in images_u8_hwc:
            out.mux(stream.encode(av.VideoFrame.from_ndarray(image, format="rgb24")))
        out.mux(stream.encode())
    return path
