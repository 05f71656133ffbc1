"""The folder that keeps what was fetched, made or measured, and writing a file whole or not at all."""

import os
import secrets
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path


def cache_folder() -> Path:
    """``$LITEVISION_CACHE``, or the user's cache folder of this system."""
    import platformdirs  # here: most of what writes files needs no cache

    return Path(os.environ.get("LITEVISION_CACHE") or platformdirs.user_cache_dir("litevision")).expanduser()


@contextmanager
def replacing(path: Path) -> Iterator[Path]:
    """A path beside ``path`` to write to; it takes its place in the end, or goes away if there was an error."""
    partial = path.with_name(f".{path.name}.{secrets.token_hex(4)}.part")
    try:
        yield partial
        partial.replace(path)
    finally:
        partial.unlink(missing_ok=True)
