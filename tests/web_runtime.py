"""onnxruntime-web for tests of what computes in JavaScript."""

from collections.abc import Iterator
from contextlib import contextmanager

import pytest

from litevision.errors import DownloadError
from litevision.web.onnxruntime_web import read_runtime


@contextmanager
def users_runtime() -> Iterator[None]:
    """Lets pages be written with onnxruntime-web of the user's cache or npm; skips where neither has it."""
    with pytest.MonkeyPatch.context() as patch:
        for variable in ("LITEVISION_CACHE", "LITEVISION_OFFLINE"):  # which tests of pages set for good
            patch.delenv(variable, raising=False)
        try:
            read_runtime()
        except DownloadError as error:
            pytest.skip(f"needs onnxruntime-web ({error})")
        yield
