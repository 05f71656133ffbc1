"""The quick look that a training run begins with."""

from dataclasses import replace

from litevision.data.issues import Issue
from litevision.data.look import open_header
from litevision.data.records import LabelledImages
from litevision.data.threads import in_threads
from litevision.errors import DataError


def quick_scan(data: LabelledImages, *, workers: int | None = None) -> tuple[LabelledImages, tuple[Issue, ...]]:
    """The images of ``data`` that can be opened, and the fault of each that cannot.

    Headers and ends are read, and what lacks its end is decoded: an image that is damaged in its middle alone passes,
    and fails when it is decoded.

    Args:
        data: what was read.
        workers: threads; by default one for each processor, up to 8.

    Raises:
        DataError: a class of which train has no image that can be opened.
    """
    looks = in_threads(lambda sample: open_header(sample.path), data.samples, workers=workers)
    good, faults = [], []
    for sample, look in zip(data.samples, looks, strict=True):
        if look.upright_hw is not None:
            good.append(sample)
        faults += [Issue.of(rule, sample.path, detail) for rule, detail in look.found]
    kept = replace(data, samples=tuple(good))
    lacking = [name for name, count in zip(kept.classes, kept.counts("train"), strict=True) if not count]
    if lacking:
        names = ", ".join(map(repr, lacking[:3])) + (f" and {len(lacking) - 3} more" if len(lacking) > 3 else "")
        dropped = f" ({len(faults):,} files cannot be read)" if faults else ""
        raise DataError(
            f"{data.root}: no images of {names} to train with{dropped}; expected some of every class. "
            "Run 'litevision check-data' to see every fault."
        )
    return kept, tuple(sorted(faults, key=lambda fault: fault.order))
