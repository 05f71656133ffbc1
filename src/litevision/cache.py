"""The folder that keeps what was fetched, made or measured, and writing files whole or not at all."""

import os
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path


def cache_folder() -> Path:
    """``$LITEVISION_CACHE``, or the user's cache folder of this system."""
    import platformdirs  # here: most commands only write files

    return Path(os.environ.get("LITEVISION_CACHE") or platformdirs.user_cache_dir("litevision")).expanduser()


@contextmanager
def replacing(path: Path) -> Iterator[Path]:
    """A path beside ``path`` to write to; it takes its place on leaving, or goes if there was an error."""
    handle, name = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.", suffix=".part")
    os.close(handle)
    partial = Path(name)
    try:
        # mkstemp lets only its owner read; a new file should be as open as this process' umask makes others.
        umask = os.umask(0)
        os.umask(umask)
        partial.chmod(0o666 & ~umask)
        yield partial
        partial.replace(path)
    finally:
        partial.unlink(missing_ok=True)
