"""Whether the data of a run is what it was when the run was planned: by content, whatever dates and sizes say."""

import hashlib
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import TYPE_CHECKING, Any

from litevision import console
from litevision.errors import DataError
from litevision.runtime.cpus import available_cpus
from litevision.tables import pluralise

if TYPE_CHECKING:
    from litevision.training.plan import AnyPlan

_DIGEST_BYTES = 16
_MOST_THREADS = 8


def digests_of(paths: Sequence[Path]) -> tuple[str, ...]:
    """A digest of each file's bytes, in hexadecimal; empty for a file that cannot be read."""
    with ThreadPoolExecutor(min(_MOST_THREADS, available_cpus())) as pool:
        return tuple(pool.map(_digest, paths))


def require_same_data(plan: "AnyPlan", folder: Path, *, quiet: bool = False) -> None:
    """Compares the run in ``folder`` with the data as it lies there now; images that were added are only said.

    Raises:
        DataError: images with other content or other labels, or that are not labelled any more.
    """
    if not plan.digests:  # planned before 0.2
        if not quiet:
            console.note(f"{folder}: does not say what its images were, so whether they changed is not checked")
        return
    task, samples = plan.task, plan.data.samples
    now, _, left_out = task.read_trainable(plan.data.root, plan.recipe)
    is_split_kept = not (plan.data.made_splits or now.made_splits)  # one image more makes other splits of the same ones
    truth = {sample.path: _truth(task, sample, now.classes, is_split_kept) for sample in now.samples}
    digests = digests_of([sample.path for sample in samples])
    changed = [sample.path for sample, then, it in zip(samples, plan.digests, digests, strict=True) if it != then]
    there = {*truth, *left_out}  # with an image more, the recipe may choose others of the same ones
    removed = [sample.path for sample in samples if sample.path not in there]
    relabelled = [
        sample.path
        for sample in samples
        if sample.path in truth and truth[sample.path] != _truth(task, sample, plan.data.classes, is_split_kept)
    ]
    added = sorted(set(truth) - {sample.path for sample in samples})
    if added and not quiet:
        console.note(
            f"{pluralise(len(added), 'image')} added since the run was planned (such as {added[0]}); it goes on without"
        )
    found = [
        _named(paths, f"have {what}", f"has {what}")
        for paths, what in ((changed, "other content"), (relabelled, "other labels"))
        if paths
    ]
    found += [_named(removed, "are not labelled any more", "is not labelled any more")] if removed else []
    if found:
        best = folder / "best.ckpt"
        start = f" --weights {best} goes on from what it learned" if best.is_file() else ""
        raise DataError(
            f"{folder}: the data changed since the run was planned: {', '.join(found)}. Bring the files back as they "
            f"were, or start a new run on them:{start or ' what was learned so far is of other data'}"
        )


def _truth(task: Any, sample: Any, classes: Sequence[str], is_split_kept: bool) -> Any:
    return task.truth(sample, classes), sample.split if is_split_kept else None


def _named(paths: Sequence[Path], several: str, one: str) -> str:
    return f"{pluralise(len(paths), 'image')} {one if len(paths) == 1 else several} (such as {paths[0]})"


def _digest(path: Path) -> str:
    try:
        with path.open("rb") as file:
            return hashlib.file_digest(file, lambda: hashlib.blake2b(digest_size=_DIGEST_BYTES)).hexdigest()
    except OSError:
        return ""
