"""Images with the boxes that were found drawn on them, and crops of the boxes, saved by the thread that found them."""

import io
import re
from dataclasses import replace
from pathlib import Path, PurePath
from typing import Any

from PIL import Image, PngImagePlugin

from litevision.cli.output_names import OutputNames, frame_name, key_of
from litevision.errors import LitevisionError, UsageError
from litevision.files import atomic_write
from litevision.image import decode
from litevision.image.draw import draw_boxes
from litevision.image.text import Lettering
from litevision.runtime import Detections, PreprocessedImage, Result

_KINDS = {".jpg": "JPEG", ".jpeg": "JPEG", ".png": "PNG"}
# Full colour resolution, for lines of one or two pixels; PNG's own default takes three times as long for a tenth less.
_OPTIONS: dict[str, dict[str, Any]] = {"JPEG": {"quality": 92, "subsampling": 0}, "PNG": {"compress_level": 3}}
_NO_NAME = re.compile(r'[\x00-\x1f\x7f/\\:*?"<>|]')  # what some system does not allow in a name
_RESERVED = re.compile(r"(con|prn|aux|nul|com\d|lpt\d)(\..*)?", re.IGNORECASE)  # Windows' devices


class KeptImage:
    """An image that is read once: what the network saw, drawings and copies are all made of the same bytes.

    Attributes:
        name: its path, or a frame's name.
        data: the bytes of its file; None of a frame.
    """

    def __init__(self, name: str, data: bytes | None) -> None:
        self.name = name
        self.data = data
        self._upright: Image.Image | None = None

    def file(self) -> io.BytesIO:
        """The bytes as a file that has the image's name, for messages."""
        assert self.data is not None
        file = io.BytesIO(self.data)
        file.name = self.name
        return file

    def upright(self, found: Detections) -> Image.Image:
        """The whole image; of a frame, that which ``found`` keeps.

        Raises:
            LitevisionError: it cannot be decoded whole.
        """
        if self._upright is None:
            source = found.image if self.data is None else self.file()
            assert source is not None
            self._upright = decode(source)
        return self._upright


class Saver:
    """Saves each image with its boxes drawn, under its path below what all arguments share.

    Args:
        names: of the files.
        lettering: what draws the labels; None where only names are asked for.
    """

    def __init__(self, names: OutputNames, lettering: Lettering | None) -> None:
        self.names = names
        self._lettering = lettering

    def path_of(self, source: str | PreprocessedImage[Any]) -> Path:
        """Where in the folder the image goes; of a frame, if it is saved alone."""
        name = source if isinstance(source, str) else frame_name(source.name, ".jpg")
        path = self.names.relative(name)
        return path if path.suffix.lower() in _KINDS else path.with_name(f"{path.name}.png")

    def reserve(self, source: str | PreprocessedImage[Any]) -> None:
        """Choose the file's name; called in the order of the images, and not for frames, which become a clip."""
        if not is_frame(source):
            self.names.reserve(key_of(source), self.path_of(source))

    def save(self, result: Result[Detections], kept: KeptImage) -> Result[Detections]:
        """Save the image; give the result, of a frame with the drawn image. A damaged image is an error from here on.

        Raises:
            OSError: it cannot be written.
        """
        target = None if is_frame(result.source) else self.names.take(key_of(result.source))
        if result.error is not None:
            return result
        found = result.predictions
        try:
            image = kept.upright(found)
        except LitevisionError as error:
            return replace(result, outcome=error)
        assert self._lettering is not None
        captions = [self._lettering.caption(it.label, it.index, it.score) for it in found]
        drawn = draw_boxes(image, found.xyxy, captions, found.class_ids, self._lettering)
        if target is None:
            return replace(result, outcome=replace(found, image=drawn))
        save_marked(drawn, target, self.names)
        return result


class Cropper:
    """Saves what each box shows, in a folder for each class: a data set of labelled images.

    Args:
        names: of the files.
    """

    def __init__(self, names: OutputNames) -> None:
        self.names = names

    def reserve(self, source: str | PreprocessedImage[Any]) -> None:
        """Choose the beginning of the names of an image's crops; called in the order of the images."""
        key = key_of(source)
        flat = "_".join(PurePath(self.names.relative(frame_name(key, ""))).with_suffix("").parts)
        self.names.reserve(key, Path(f"{flat}.png"))

    def save(self, result: Result[Detections], kept: KeptImage) -> Result[Detections]:
        """Save the crops of one image.

        Raises:
            OSError: one cannot be written.
        """
        stem = self.names.take(key_of(result.source)).stem
        if result.error is not None or not result.predictions:
            return result
        try:
            image = kept.upright(result.predictions)
        except LitevisionError as error:
            return replace(result, outcome=error)
        for number, it in enumerate(result.predictions, start=1):
            x1, y1, x2, y2 = it.box_xyxy
            left, top = min(int(x1), image.width - 1), min(int(y1), image.height - 1)
            crop = image.crop((left, top, max(left + 1, -int(-x2 // 1)), max(top + 1, -int(-y2 // 1))))
            key = f"{stem}#{number}"
            self.names.reserve(key, Path(folder_name(it.label)) / f"{stem}-{number}.png")
            save_marked(crop, self.names.take(key), self.names)
        return result


def save_marked(image: Image.Image, target: Path, names: OutputNames) -> None:
    """Write an image with the mark of its run."""
    make_folder(target.parent)
    kind = _KINDS[target.suffix.lower()]
    mark: dict[str, Any] = {"comment": names.mark}
    if kind == "PNG":
        mark = {"pnginfo": (info := PngImagePlugin.PngInfo())}
        info.add_text("Software", names.mark.decode())
    with atomic_write(target) as partial:
        image.save(partial, kind, **_OPTIONS[kind], **mark)
    names.written(target)


def make_folder(folder: Path, option: str = "--save") -> None:
    """Make a folder to save in.

    Raises:
        UsageError: it cannot be made.
    """
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise UsageError(
            f"{option} {folder}: no folder that can be made ({error.strerror}). Give another one."
        ) from None


def is_frame(source: object) -> bool:
    """Whether an image is one of the frames of a video, a camera or an animation."""
    return isinstance(source, PreprocessedImage) and (source.time_s is not None or source.frame is not None)


def folder_name(label: str) -> str:
    """A class's name as that of a folder on every system."""
    name = _NO_NAME.sub("_", label).strip(" .")[:80]
    return f"_{name}" if not name or _RESERVED.fullmatch(name) else name
