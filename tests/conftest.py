"""Fixtures that tests of every part use."""

import signal
from pathlib import Path

import pytest

# A run in the background ("&" in a script) ignores SIGINT and one of nohup SIGHUP, and so would every process that a
# test starts and stops.
if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
    signal.signal(signal.SIGINT, signal.default_int_handler)
if hasattr(signal, "SIGHUP") and signal.getsignal(signal.SIGHUP) is signal.SIG_IGN:
    signal.signal(signal.SIGHUP, signal.SIG_DFL)


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption("--accept", action="store_true", help="rewrite the files of tests/expected from what is found now")


@pytest.fixture(scope="session")
def shared() -> Path:
    """The folder of real weights and images beside the checkout."""
    folder = Path(__file__).parents[2] / "shared"
    if not folder.is_dir():
        pytest.skip("needs ../shared (real weights and images), which is not here")
    return folder
