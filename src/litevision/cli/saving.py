"""What `detect` saves of each image: a drawing, crops, labels; the thread that searches it reads it once."""

import time
from collections.abc import Callable, Iterable, Sequence
from contextlib import ExitStack
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

from litevision import console
from litevision.cli.output_names import OutputNames
from litevision.cli.save_images import Cropper, KeptImage, Saver, make_folder
from litevision.errors import LitevisionError
from litevision.image.decode import DEFAULT_LIMITS
from litevision.image.sources import read_file
from litevision.runtime import Detections, PreprocessedImage, Result
from litevision.runtime.predictor import Inference, preprocess_image

if TYPE_CHECKING:
    from litevision.cli.detect import DetectOptions
    from litevision.cli.inputs import Entry
    from litevision.cli.save_labels import LabelSaver
    from litevision.cli.tables import Writer
    from litevision.runtime.pipeline import Work

Narrow = Callable[[Detections], Detections]


class Sink(Protocol):
    """Saves something of an image."""

    def reserve(self, source: str | PreprocessedImage[Any]) -> None:
        """Choose names; called in the order of the images."""

    def save(self, result: Result[Detections], kept: KeptImage) -> Result[Detections]:
        """Save, in any thread; gives the result, with an error where the image cannot be decoded whole."""


class Saving:
    """Everything that a run of `detect` saves.

    Args:
        options: of the command.
        entries: what its arguments stand for.
        is_complete: whether these are all.

    Raises:
        UsageError: a folder that would destroy something.
    """

    def __init__(self, options: "DetectOptions", entries: "Sequence[Entry]", *, is_complete: bool = True) -> None:
        self._options = options
        self._sinks: list[Sink] = []
        self._labels: LabelSaver | None = None
        self._drawings: OutputNames | None = None
        self._crops: OutputNames | None = None
        if options.save_labels is not None:
            from litevision.cli.save_labels import require_empty

            require_empty(Path(options.save_labels))
        if options.save is not None:
            self._drawings = self._names(options.save, "--save", entries, is_complete)
            # The names alone: fonts are looked for when the model is known.
            path_of = Saver(self._drawings, None).path_of
            self._drawings.refuse_inputs(path_of(it) for it in entries if isinstance(it, str))
        if options.save_crops is not None:
            self._crops = self._names(options.save_crops, "--save-crops", entries, is_complete)

    def _names(self, folder: str, option: str, entries: "Sequence[Entry]", is_complete: bool) -> OutputNames:
        return OutputNames(Path(folder), option, self._options.inputs, entries, is_complete=is_complete)

    def begin(self, class_names: tuple[str, ...]) -> None:
        """Make what depends on the model's classes."""
        options = self._options
        if self._drawings is not None:
            from litevision.image.text import Lettering, describe_unnamed

            lettering = Lettering(options.font)
            described = describe_unnamed(lettering, class_names, "--font FILE")
            if described is not None:
                console.note(f"note: {described}")
            self._sinks.append(Saver(self._drawings, lettering))
        if self._crops is not None:
            self._sinks.append(Cropper(self._crops))
        if options.save_labels is not None:
            from litevision.cli.save_labels import LabelSaver
            from litevision.data.write_labels import label_writer

            folder = Path(options.save_labels)
            writer = label_writer(options.labels_format)(folder, class_names)
            names = OutputNames(folder / writer.images, "--save-labels", options.inputs)
            self._labels = LabelSaver(names, writer)
            self._sinks.append(self._labels)

    def reserve(self, source: str | PreprocessedImage[Any]) -> None:
        """Choose the names of an image's outputs; called in the order of the images."""
        for sink in self._sinks:
            sink.reserve(source)

    def work(self, inference: Inference[Any, Detections], narrow: Narrow) -> "Work[Detections]":
        """Search a batch of images, and save what there is to save of each."""

        def run(sources: Iterable[Any]) -> list[Result[Detections]]:
            given: list[Any] = []
            kept: list[KeptImage] = []
            prepared: list[PreprocessedImage[Any]] = []
            for source in sources:
                image, input_ = _read(source, inference)
                given.append(source)
                kept.append(image)
                prepared.append(input_)
            results = []
            for source, image, result in zip(given, kept, inference.run(prepared), strict=True):
                result = replace(result, source=source)
                if result.error is None:
                    result = replace(result, outcome=narrow(result.predictions))
                for sink in self._sinks:
                    result = sink.save(result, image)
                results.append(result)
            return results

        return run

    def writers(self, stack: ExitStack) -> "list[Writer]":
        """The writers of what is put together of several images; what they leave open, ``stack`` discards."""
        options, writers = self._options, []
        for folder, option in (
            (options.save, "--save"),
            (options.save_crops, "--save-crops"),
            (options.save_labels, "--save-labels"),
        ):
            if folder is not None:
                make_folder(Path(folder), option)
        if self._drawings is not None:
            from litevision.cli.save_clips import ClipWriter

            clips = ClipWriter(self._drawings, options.every)
            stack.push(clips.abandon)
            writers.append(clips)
        return [*writers, *([self._labels] if self._labels else [])]


def _read(source: Any, inference: Inference[Any, Detections]) -> tuple[KeptImage, PreprocessedImage[Any]]:
    """Read an image's file, once, and make the network's input of its bytes."""
    if isinstance(source, PreprocessedImage):
        return KeptImage(source.name, None), source
    start = time.perf_counter()
    try:
        kept = KeptImage(source, read_file(source, DEFAULT_LIMITS.max_bytes))
    except LitevisionError as error:
        return KeptImage(source, None), PreprocessedImage(source, error)
    read_ms = 1e3 * (time.perf_counter() - start)
    prepared = preprocess_image(inference.preprocess, kept.file(), source)
    return kept, replace(prepared, ms=prepared.ms + read_ms)
