"""Bundles of published weights, made once and cached. Only those of weight files, and of few weight sets, need torch.

Beside each lies its sha256. A bundle that is not what was recorded, or of which nothing is, is made anew: somebody may
have put another one in its place.
"""

import contextlib
import hashlib
import importlib.util
import time
from pathlib import Path, PurePosixPath

from litevision import __version__
from litevision.console import note
from litevision.errors import FileMissingError, LitevisionError, MissingExtraError, UsageError
from litevision.files import atomic_write, cache_folder, sha256_of
from litevision.registry.weight_sets import find_weight_set, is_file_name
from litevision.runtime.metadata import FORMAT_VERSION
from litevision.weights.download import ONE_TRY, fetch, offline_by_environment
from litevision.weights.weight_cache import digest_of, hold_lock, record_digest, record_path, recorded_digest

_ASK_AGAIN_S = 3600.0


def bundle_for(source: str) -> Path:
    """Returns the bundle of a weight set, network or weight file, exporting it on first use.

    Args:
        source: a weight set's name, a network's name (its default set), a weight file, or a URL.

    Raises:
        UnknownNameError, FileMissingError: neither.
        MissingExtraError: it is not made yet, and the parts that make it are not installed.
        DownloadError, WeightsError: the weights cannot be fetched or used.
        ExportError: the bundle would not match its module.
    """
    path = kept_at(source)
    saying = f"making the bundle of {source}, once; later runs find it"
    if path.is_file():
        fault = _fault_of(path)
        if fault is None:
            return path
        saying = f"{path} {fault}; making it anew"
    from litevision.exporting.templates import find_template

    weight_set = None if is_file_name(source) or Path(source).is_file() else find_weight_set(source)
    template = None if weight_set is None else find_template(weight_set)
    if template is None and importlib.util.find_spec("torch") is None:
        raise MissingExtraError.of(f"Making the bundle of {source!r}, once,", "train")

    path.parent.mkdir(parents=True, exist_ok=True)
    with hold_lock(path, f"another process that makes the bundle of {source}", progress=True):
        if not path.is_file() or _fault_of(path) is not None:  # else the other process has made it
            record_path(path).unlink(missing_ok=True)
            path.unlink(missing_ok=True)
            if weight_set is not None and template is not None:
                from litevision.exporting.published import write_published

                note(saying)
                write_published(weight_set, template, path)
            else:
                _export(source, path, saying)
            record_digest(path, digest_of(path, "sha256"))
    return path


def published_or(source: str, fallback: str) -> str:
    """Returns ``source`` where its bundle is in the cache or can be made, else ``fallback``, and says why in a line.

    What could not be fetched is not asked for again for an hour.
    """
    path = kept_at(source)
    failed = path.with_suffix(".failed")
    if path.is_file():
        return source
    if failed.is_file() and time.time() - failed.stat().st_mtime < _ASK_AGAIN_S:
        reason = failed.read_text("utf-8")
    else:
        try:
            fetch(find_weight_set(source), retry=ONE_TRY)
            bundle_for(source)
        except LitevisionError as error:
            reason = str(error)
        else:
            return source
        if not offline_by_environment():
            with contextlib.suppress(OSError):
                failed.parent.mkdir(parents=True, exist_ok=True)
                with atomic_write(failed) as partial:
                    partial.write_text(reason, "utf-8")
    note(f"{source} is not there ({reason}); {fallback} answers in its place")
    return fallback


def _export(source: str, path: Path, saying: str) -> None:
    """Makes the bundle; says so once it is known that nothing is refused."""
    from litevision.exporting.export import export
    from litevision.exporting.prepare import MissingLabelsError, class_names
    from litevision.weights.load import load_network

    network = load_network(source)
    facts = network.pretrained
    try:
        class_names(network, None if facts is None else facts.labels, source)
    except MissingLabelsError:
        raise UsageError(
            f"{source}: its classes have no names. Make a bundle that has them, and give that: "
            f"litevision export {source} --labels FILE.txt -o model.onnx"
        ) from None
    note(saying)
    export(network, path)


def _fault_of(path: Path) -> str | None:
    """What is wrong with a cached bundle, in words that follow its name; None for nothing."""
    recorded = recorded_digest(path)
    if recorded is None:
        return "has no record of what it should be"
    return None if digest_of(path, "sha256") == recorded else "is not the file that was made"


def kept_at(source: str) -> Path:
    """Returns the path in the cache for the bundle of ``source``, which need not exist.

    Its name holds the version that makes it: what is assumed of weights may change with it.

    Arguments and errors as for ``bundle_for``.
    """
    file = Path(source)
    if file.is_file():
        numbers = file.with_suffix(".bin")  # of ncnn's two files
        digest = sha256_of(numbers) if file.suffix == ".param" and numbers.is_file() else sha256_of(file)
        key = f"{file.stem}-{digest[:16]}"
    elif "://" in source:
        key = f"{PurePosixPath(source).stem}-{hashlib.sha256(source.encode()).hexdigest()[:16]}"
    elif is_file_name(source):
        raise FileMissingError(f"no weight file at {source}. Check the path, or see 'litevision models' for names.")
    else:
        key = find_weight_set(source).name
    return cache_folder() / "bundles" / f"{key}-{__version__}-v{FORMAT_VERSION}.onnx"
