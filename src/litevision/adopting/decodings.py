"""The table of decodings, and which of them fits a file."""

from litevision.adopting import classes, focal, found, grids
from litevision.adopting.decoding import Decoding, Fit, MismatchError, Seen
from litevision.errors import UnknownNameError, UsageError

DECODINGS = {row.name: row for row in (*classes.DECODINGS, *grids.DECODINGS, *focal.DECODINGS, *found.DECODINGS)}
"""Every decoding by name."""


def decoding_named(name: str) -> Decoding:
    """Find a decoding.

    Raises:
        UnknownNameError: there is none of that name.
    """
    if name not in DECODINGS:
        raise UnknownNameError.of("decoding", name, DECODINGS)
    return DECODINGS[name]


def recognise(seen: Seen, stated: str | None = None) -> tuple[Decoding, Fit]:
    """Find the decoding of a file's outputs.

    Args:
        seen: what the file gave for real images.
        stated: the decoding that it is said to have.

    Raises:
        UsageError: the one that was stated does not fit, or not exactly one does; what fits and what not is listed.
        UnknownNameError: none has the stated name.
    """
    shown = "; ".join(f"{name} {list(shape)}" for name, shape in seen.shapes.items())
    if stated is not None:
        row = decoding_named(stated)
        try:
            return row, row.match(seen)
        except MismatchError as error:
            raise UsageError(f"the outputs {shown} are not of the decoding {stated!r}: it {error}") from None
    fits: dict[str, Fit] = {}
    mismatches: dict[str, str] = {}
    for name, row in DECODINGS.items():
        try:
            fits[name] = row.match(seen)
        except MismatchError as error:
            mismatches[name] = str(error)
    likely = [name for name in fits if not DECODINGS[name].is_stated]
    if len(likely) == 1:
        return DECODINGS[likely[0]], fits[likely[0]]
    if likely:
        raise UsageError(
            f"the outputs {shown} may be of {' or '.join(likely)}; say which with --decoding: "
            + "; ".join(f"{name} is {DECODINGS[name].help}" for name in likely)
        )
    reasons = "; ".join(f"{name} {reason}" for name, reason in mismatches.items())
    raise UsageError(f"the outputs {shown} fit no decoding: {reasons}")
