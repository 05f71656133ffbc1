"""Fixtures that tests of every part use."""

import gc
import os
import shutil
import signal
import sys
import tempfile
from pathlib import Path

import pytest
from hypothesis import HealthCheck, settings

from litevision.console import set_verbosity

# How long a made-up example takes says how busy the machine is.
settings.register_profile("busy", deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("busy")

# A run in the background ("&" in a script) ignores SIGINT and one of nohup SIGHUP, and so would every process that a
# test starts and stops.
if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
    signal.signal(signal.SIGINT, signal.default_int_handler)
if hasattr(signal, "SIGHUP") and signal.getsignal(signal.SIGHUP) is signal.SIG_IGN:
    signal.signal(signal.SIGHUP, signal.SIG_DFL)

GRAPHS = "LITEVISION_TEST_GRAPHS"

# Many tests start a process, and each would compile again what it imports of torch, where nothing of it is kept.
sys.dont_write_bytecode = False
os.environ.pop("PYTHONDONTWRITEBYTECODE", None)


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption("--accept", action="store_true", help="rewrite the files of tests/expected from what is found now")


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Begin with the files that hold slow tests, so that no long one is the last to start."""
    slow = {item.path for item in items if item.get_closest_marker("slow")}
    items.sort(key=lambda item: item.path not in slow)


def pytest_collection_finish() -> None:
    """Leave out of every garbage collection what torch and others made when they were imported: it stays for good."""
    gc.collect()
    gc.freeze()
    gc.set_threshold(10_000, 20, 20)


def pytest_unconfigure() -> None:
    """Let Python free it in the end: some modules complain of what is left."""
    gc.unfreeze()


def pytest_configure(config: pytest.Config) -> None:
    """Make a folder for the graphs that the processes of this session share."""
    if GRAPHS not in os.environ:
        os.environ[GRAPHS] = tempfile.mkdtemp(prefix="litevision-graphs-")
        config.add_cleanup(lambda: shutil.rmtree(os.environ.pop(GRAPHS)))


def pytest_runtest_setup() -> None:
    """Spare exports what others did before them, which is most of their time: see `graph_cache`."""
    if "litevision.exporting.graph" in sys.modules:
        import graph_cache
        from litevision.exporting import graph

        graph.graph_of = graph_cache.GraphCache(Path(os.environ[GRAPHS]))
        if "torch.onnx._internal.exporter._registration" in sys.modules:
            graph_cache.keep_tables_of_exporter()


@pytest.fixture(autouse=True)
def _as_loud_as_usual() -> None:
    """A command that was run in this process with ``--quiet`` leaves it quiet."""
    set_verbosity(quiet=False, verbose=False)


@pytest.fixture(scope="session")
def shared() -> Path:
    """The folder of real weights and images beside the checkout."""
    folder = Path(__file__).parents[2] / "shared"
    if not folder.is_dir():
        pytest.skip("needs ../shared (real weights and images), which is not here")
    return folder
