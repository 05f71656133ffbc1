"""The tool that makes graph templates, and what of a template must be as it makes it."""

import functools
import importlib.util
import json
from pathlib import Path
from types import ModuleType
from typing import Any

from litevision.exporting.templates import Network, templates


@functools.cache
def tool() -> ModuleType:
    """``tools/graph_templates.py``."""
    path = Path(__file__).parents[1] / "tools/graph_templates.py"
    spec = importlib.util.spec_from_file_location("graph_templates", path)
    assert spec
    assert spec.loader
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def assert_kept(made: dict[str, Any], network: Network) -> None:
    """The template of ``network`` that comes along is the one that was ``made``."""
    kept = dict(templates()[network])
    assert {**made, "producer": 0}.keys() == kept.keys()
    texts = [name for name, value in made.items() if not isinstance(value, bytes) and name != "producer"]
    assert json.loads(json.dumps({name: made[name] for name in texts})) == {name: kept[name] for name in texts}
    for name in ("nodes", "layers", "constants"):
        assert made[name] == kept[name], f"{name} differ; if the change is meant, run tools/graph_templates.py --anew"
