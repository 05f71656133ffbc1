"""Images with the boxes that were found drawn on them, saved by the thread that found them."""

import os
import re
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from PIL import Image

from litevision.cli.inputs import STDIN
from litevision.errors import FileMissingError, ImageError, UsageError
from litevision.files import atomic_write
from litevision.image import decode
from litevision.image.draw import draw_boxes
from litevision.image.text import Lettering
from litevision.runtime import Detections, PreprocessedImage, Result

# A frame's name ends with its time or its number; files that sort in their order are easier to make a video of.
_TIME, _FRAME = re.compile(r"#t=(\d+)(\.\d+)$"), re.compile(r"#frame=(\d+)$")
_KINDS = {".jpg": "JPEG", ".jpeg": "JPEG", ".png": "PNG"}
# Full colour resolution, for lines of one or two pixels; PNG's own default takes three times as long for a tenth less.
_OPTIONS = {"JPEG": {"quality": 92, "subsampling": 0}, "PNG": {"compress_level": 3}}


class Saver:
    """Saves each image under the path that it has below what all ``inputs`` share.

    Args:
        folder: where to.
        inputs: the command's arguments.
        lettering: what draws the labels.
    """

    def __init__(self, folder: str, inputs: Sequence[str], lettering: Lettering) -> None:
        self._folder = Path(folder)
        self._lettering = lettering
        self._root = _shared_folder(inputs)

    def saved(self, result: Result[Detections]) -> Result[Detections]:
        """The result, with its image saved; an image that cannot be read whole is an error from here on.

        Raises:
            UsageError: the file would be the image itself.
            OSError: it cannot be written.
        """
        if result.error is not None:
            return result
        target = self._folder / self.name_of(result)
        found = result.predictions
        assert found.image is not None
        try:
            image = decode(found.image)
        except (ImageError, FileMissingError) as error:
            return replace(result, outcome=error)
        if target.exists() and Path(result.name).exists() and target.samefile(result.name):
            raise UsageError(f"{target}: the image itself would be overwritten. Give --save another folder.")
        captions = [self._lettering.caption(it.label, it.index, it.score) for it in found]
        _write(draw_boxes(image, found.xyxy, captions, found.class_ids, self._lettering), target)
        return result

    def name_of(self, result: Result[Detections]) -> Path:
        """Where in the folder the image goes."""
        name = result.name
        if isinstance(result.source, PreprocessedImage):
            name = _TIME.sub(lambda found: f"-{int(found[1]):05}{found[2]}.jpg", name)
            name = _FRAME.sub(lambda found: f"-{int(found[1]):05}.jpg", name)
        path = Path(os.path.abspath(name))  # noqa: PTH100  # links are to keep their names
        path = path.relative_to(self._root) if path.is_relative_to(self._root) else path.relative_to(path.anchor)
        return path if path.suffix.lower() in _KINDS else path.with_name(f"{path.name}.png")


def make_folder(folder: str) -> None:
    """Makes the folder to save in.

    Raises:
        UsageError: it cannot be made.
    """
    try:
        Path(folder).mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise UsageError(f"--save {folder}: no folder that can be made ({error.strerror}). Give another one.") from None


def _shared_folder(inputs: Sequence[str]) -> Path:
    folders = []
    for it in inputs:
        path = Path() if it == STDIN else Path(it)
        if not path.exists() and any(sign in it for sign in "*?["):
            folders.append(Path(*path.parts[: _first_pattern(path.parts)]))
        else:
            folders.append(path if path.is_dir() else path.parent)
    return Path(os.path.commonpath([os.path.abspath(folder) for folder in folders]))  # noqa: PTH100  # likewise


def _first_pattern(parts: Sequence[str]) -> int:
    return next(place for place, part in enumerate(parts) if any(sign in part for sign in "*?["))


def _write(image: Image.Image, target: Path) -> None:
    target.parent.mkdir(parents=True, exist_ok=True)
    kind = _KINDS[target.suffix.lower()]
    with atomic_write(target) as partial:
        image.save(partial, kind, **_OPTIONS[kind])
