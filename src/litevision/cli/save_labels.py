"""What was found as labels of a data set, to be corrected by hand and trained on."""

from collections import defaultdict, deque
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from litevision.cli.output_names import OutputNames, frame_name, key_of
from litevision.cli.save_images import KeptImage
from litevision.data.write_labels import LabelWriter
from litevision.errors import LitevisionError, UsageError
from litevision.files import atomic_write
from litevision.image import IMAGE_SUFFIXES
from litevision.runtime import Detections, PreprocessedImage, Result


class LabelSaver:
    """Copies each image into a data set, and writes its labels; a `litevision.cli.tables.Writer` for the latter.

    Args:
        names: of the images, below the data set's folder of images.
        writer: of the labels.
    """

    def __init__(self, names: OutputNames, writer: LabelWriter) -> None:
        self.names = names
        self._writer = writer
        self._order: dict[str, deque[Path]] = defaultdict(deque)

    def reserve(self, source: str | PreprocessedImage[Any]) -> None:
        """Choose the image's name, of which no other one has the stem; called in the order of the images."""
        key = key_of(source)
        is_file = isinstance(source, str)
        path = self.names.relative(key if is_file else frame_name(key, ""))
        stem = self.names.reserve(key, path.with_suffix("") if is_file else path)
        self._order[key].append(_with_suffix(stem, source))

    def save(self, result: Result[Detections], kept: KeptImage) -> Result[Detections]:
        """Copy the image; one that cannot be decoded whole is an error from here on.

        Raises:
            OSError: the copy cannot be written.
        """
        stem = self.names.take(key_of(result.source))
        if result.error is not None:
            return result
        target = _with_suffix(stem, result.source)
        try:
            # Decoded here too, as nothing is to be in a data set that cannot be trained on.
            upright = kept.upright(result.predictions)
        except LitevisionError as error:
            return replace(result, outcome=error)
        target.parent.mkdir(parents=True, exist_ok=True)
        with atomic_write(target) as partial:
            if kept.data is not None and target.suffix.lower() == Path(kept.name).suffix.lower():
                partial.write_bytes(kept.data)
            elif target.suffix == ".jpg":
                upright.save(partial, "JPEG", quality=95, subsampling=0)
            else:
                upright.save(partial, "PNG")
        return result

    def write(self, results: Sequence[Result[Detections]]) -> None:
        for result in results:
            key = key_of(result.source)
            if key not in self._order:  # none of the images could be read, so that nothing was reserved
                continue
            target = self._order[key].popleft()
            if not self._order[key]:
                del self._order[key]
            if result.error is None:
                self._writer.add(target.relative_to(self.names.folder), result.predictions)

    def finish(self) -> None:
        self._writer.finish()


def require_empty(folder: Path) -> None:
    """Refuse a folder in which something is, as labels may have been corrected by hand.

    Raises:
        UsageError: something is.
    """
    if folder.is_dir() and any(folder.iterdir()):
        raise UsageError(
            f"--save-labels {folder}: not empty, and labels there may have been corrected by hand. Give a new folder."
        )


def _with_suffix(stem: Path, source: object) -> Path:
    if not isinstance(source, str):
        return stem.with_name(f"{stem.name}.jpg")
    suffix = Path(source).suffix
    return stem.with_name(f"{stem.name}{suffix}{'' if suffix.lower() in IMAGE_SUFFIXES else '.png'}")
