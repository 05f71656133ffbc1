"""Fixtures that tests of every part use."""

import functools
import signal
import sys
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


def pytest_runtest_setup() -> None:
    """Keep torch's table of what ONNX calls each operation: each export makes it anew, half the time of a small one."""
    module = sys.modules.get("torch.onnx._internal.exporter._registration")
    if module is not None and not hasattr(module.ONNXRegistry.from_torchlib, "cache_info"):
        module.ONNXRegistry.from_torchlib = staticmethod(functools.cache(module.ONNXRegistry.from_torchlib))


@pytest.fixture(scope="session")
def shared() -> Path:
    """The folder of real weights and images beside the checkout."""
    folder = Path(__file__).parents[2] / "shared"
    if not folder.is_dir():
        pytest.skip("needs ../shared (real weights and images), which is not here")
    return folder
