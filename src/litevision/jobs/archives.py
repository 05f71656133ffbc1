"""Images in tar archives, as WebDataset has them: members of a local archive by their place, others as a stream."""

import os
import tarfile
from collections.abc import Iterator
from pathlib import Path
from typing import IO, Any

from litevision.errors import ImageError, UsageError, reason_of
from litevision.image import IMAGE_SUFFIXES, PassedOver
from litevision.image.files import SPECIAL, is_left_behind
from litevision.image.tar import SafeTarInfo
from litevision.jobs.stored import Source, StoredImage
from litevision.runtime.results import PreprocessedImage

_MEMBER = "::"  # between the archive's name and the member's


def archive_images(name: str, passed_over: PassedOver) -> Iterator[Source]:
    """The images in the archive at a path; those of a plain .tar are read when their turn comes, in any order."""
    try:
        with Path(name).open("rb") as file:
            if name.lower().endswith(".tar"):
                yield from _by_place(name, file, passed_over)
            else:
                yield from streamed_images(name, file, passed_over)
    except OSError as error:
        yield _damaged(name, error.strerror or reason_of(error))


def streamed_images(name: str, file: IO[bytes], passed_over: PassedOver) -> Iterator[Source]:
    """The images in an archive that is read from its beginning to its end; each is held before the next is asked for.

    Args:
        name: what rows and messages call the archive.
        file: the archive, compressed or not.
        passed_over: counts the members that are no images.
    """
    for member, archive in _members(name, file, "r|*", passed_over):
        if isinstance(member, PreprocessedImage):
            yield member
        else:
            opened = archive.extractfile(member)
            if opened is not None:
                yield StoredImage(f"{name}{_MEMBER}{member.name}", opened.read, is_stream=True)


def _by_place(name: str, file: IO[bytes], passed_over: PassedOver) -> Iterator[Source]:
    for member, _ in _members(name, file, "r:", passed_over):
        if isinstance(member, PreprocessedImage):
            yield member
        else:
            reader = _reader(name, member.offset_data, member.size)
            yield StoredImage(f"{name}{_MEMBER}{member.name}", reader, file=name)


def _reader(path: str, offset: int, size: int) -> Any:
    def read(most: int) -> bytes:
        with Path(path).open("rb") as file:
            file.seek(offset)
            return file.read(min(size, most))

    return read


def _members(
    name: str, file: IO[bytes], mode: Any, passed_over: PassedOver
) -> Iterator[tuple[tarfile.TarInfo | PreprocessedImage[Any], tarfile.TarFile]]:
    """The image members, and an error in the place of what cannot be read of the archive."""
    archive: Any = None
    count = 0
    try:
        with tarfile.open(fileobj=file, mode=mode, tarinfo=SafeTarInfo) as archive:
            while (member := archive.next()) is not None:
                archive.members.clear()  # which would grow with the archive
                if _is_image(member, passed_over):
                    count += 1
                    yield member, archive
    except Exception as error:  # damage raises OverflowError and others beside tarfile's own
        yield _damaged(name, reason_of(error)), archive
        return
    if count == 0:
        kinds = f"; {passed_over}" if passed_over else ""
        yield PreprocessedImage(name, UsageError(f"{name}: no images in this archive{kinds}.")), archive


def _is_image(member: tarfile.TarInfo, passed_over: PassedOver) -> bool:
    parts = [part for part in member.name.split("/") if part not in ("", ".", "..")]
    if member.isdir() or any(map(is_left_behind, parts)):
        return False
    if not member.isreg() or member.issparse():
        passed_over.add(SPECIAL)
        return False
    if os.path.splitext(member.name)[1].lower() not in IMAGE_SUFFIXES:  # noqa: PTH122 - a Path costs more
        passed_over.add_file(member.name)
        return False
    return True


def _damaged(name: str, reason: str) -> PreprocessedImage[Any]:
    error = ImageError(f"{name}: the archive cannot be read to its end ({reason}). Copy it again.")
    return PreprocessedImage(name, error)
