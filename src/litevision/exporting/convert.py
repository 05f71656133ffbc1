"""From a finished bundle to another format: written, run beside the bundle on real images, and moved into place."""

import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

from litevision.errors import BundleError, ExportError, LitevisionError, MissingExtraError, UsageError
from litevision.exporting.compare import CheckImages
from litevision.exporting.formats import ExportFormat, FinishedBundle, Variant
from litevision.exporting.graph_parts import read_model
from litevision.exporting.record import HEADER, record_header, record_json, record_of, write_sidecars
from litevision.exporting.suppression import suppression_of
from litevision.files import files_below, folder_beside, sync_file
from litevision.image import shipped_images
from litevision.runtime import Bundle, BundleMetadata
from litevision.runtime.bundle import RECORD, checked_metadata, is_bundle, read_bundle
from litevision.tasks import task_of
from litevision.zoo import BUNDLES


def finished_bundle(source: Any) -> FinishedBundle | None:
    """Finds the bundle that ``source`` is: a file, the name of one that comes with the package, or a run's folder."""
    name = os.fspath(source)
    path = BUNDLES.get(name) or (Path(name, "model.onnx") if Path(name).is_dir() else Path(name))
    if path.suffix != ".onnx" or not path.is_file():
        return None
    data = read_bundle(path)
    return FinishedBundle(path, checked_metadata(data, path)) if is_bundle(data) else None


def convert_bundle(
    bundle: FinishedBundle,
    path: Path,
    row: ExportFormat,
    variant: Variant,
    check_images: CheckImages | None = None,
    *,
    sidecar: bool = False,
) -> BundleMetadata:
    """Writes ``bundle`` in another format, whole and checked or not at all.

    Args:
        bundle: what it is made of, and must answer as.
        path: the file or folder to write.
        row: the format.
        variant: how the file differs from the format's usual form.
        check_images: what both see; by default the four images that come with the package.
        sidecar: writes the record of a single file beside it, and a C header in a folder, too.

    Returns:
        The bundle's metadata, with the outcome of this check.

    Raises:
        UsageError: a folder of somebody else's, or a path that cannot be written.
        MissingExtraError: the format's packages are not installed.
        ExportError: the format cannot hold the graph, or what was written does not answer as the bundle does.
    """
    if row.is_folder and path.exists() and not (path / (row.mark or RECORD)).is_file() and any(path.iterdir()):
        raise UsageError(
            f"{path}: a folder with other files in it; expected a new or empty folder, or one of an export"
        )
    check_images = shipped_images() if check_images is None else check_images
    if not check_images:
        raise ExportError("the check needs at least one image, got none")
    expected = Bundle.open(bundle.path)
    if row.leaves_suppression and bundle.metadata.finds_boxes:
        found = suppression_of(read_model(bundle.path.read_bytes()))
        bundle = replace(bundle, metadata=replace(bundle.metadata, suppression=found))
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with folder_beside(path) as folder:
            unfinished = folder / path.name
            if row.holds_record:
                unfinished.mkdir()
            tolerance = row.write(bundle, unfinished, variant)
            with _naming(path.name, str(unfinished)):
                engine = row.open(unfinished, bundle.metadata)
                got = Bundle(unfinished, bundle.metadata, engine)
                check = task_of(bundle.metadata).compare_bundles(expected, got, check_images, tolerance)
            metadata = replace(bundle.metadata, check=check)
            if row.record is not None:
                row.record(unfinished, metadata)
            if row.holds_record:
                record = record_of(engine, metadata, row.name, sorted(unfinished.iterdir()))
                (unfinished / RECORD).write_text(record_json(record), "utf-8")
                if sidecar:
                    (unfinished / HEADER).write_text(record_header(record, metadata), "utf-8")
            _put(unfinished, path, folder / "old")
            if sidecar and not row.holds_record:
                write_sidecars(path, record_of(engine, metadata, row.name, files_below(path)), metadata)
    except LitevisionError:
        raise
    except ImportError as error:
        raise MissingExtraError.of(f"export to the format {row.name}", row.extra) from error
    except OSError as error:
        raise UsageError(f"{path} cannot be written ({error.strerror}); give a path in a folder of yours") from error
    return metadata


def _put(made: Path, path: Path, aside: Path) -> None:
    """Moves what was made to ``path``; a folder that stands there is put aside first."""
    for file in files_below(made):
        sync_file(file)
    if made.is_dir() and path.exists():
        path.replace(aside)
    try:
        made.replace(path)
    except OSError:
        if aside.exists():
            aside.replace(path)
        raise
    sync_file(path)


@contextmanager
def _naming(name: str, temporary: str) -> Iterator[None]:
    """Turns what a runtime says of the temporary path into an `ExportError` about ``name``."""
    try:
        yield
    except BundleError as error:
        raise ExportError(f"what was written does not run: {str(error).replace(temporary, name)}") from error
