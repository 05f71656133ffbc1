"""Who may import whom, read from the sources; and that the torch-free half is free of torch."""

import ast
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

SRC = Path(__file__).parents[2] / "src"

# errors <- files; errors, files <- registry, image, detections <- runtime
# image <- data; runtime, data <- evaluation: torch-free too, so that a base install can check data and score a bundle.
# registry <- models <- weights, cost <- exporting, training <- lab.
# exporting also imports runtime (its schema) and image.
# The command line imports all, and nothing imports it; the package itself names what it offers.
_MODELS = {"errors", "files", "outputs", "registry", "models"}
_WORKSHOP = _MODELS | {"weights", "cost"}
MAY_IMPORT = {
    "errors": set(),
    "console": {"tables"},
    "files": {"errors"},
    "outputs": {"errors"},
    "remote": {"errors", "console", "files"},
    "tables": set(),
    "plotting": {"files", "image", "outputs"},
    "registry": {"errors"},
    "detections": {"errors", "image"},
    "image": {"errors"},
    "zoo": set(),
    "runtime": {"errors", "files", "registry", "detections", "image", "zoo"},
    "hub": {"errors", "console", "files", "detections", "image", "zoo", "runtime", "exporting"},
    "jobs": {"errors", "files", "remote", "hub", "image", "runtime"},
    "web": {"errors", "console", "files", "outputs", "hub", "runtime", "weights"},
    "serving": {"errors", "console", "tables", "hub", "image", "runtime", "web"},
    "models": {"errors", "registry", "image", "runtime"},
    "weights": {*_MODELS, "console", "image", "zoo", "runtime"},
    "cost": {*_MODELS, "tables", "weights", "zoo", "runtime"},
    "data": {"errors", "tables", "files", "detections", "image"},
    "evaluation": {"errors", "files", "detections", "exporting", "hub", "image", "runtime", "data", "tasks"},
    "tasks": {"errors", "data"},
    "quantizing": {
        *[
            "console",
            "errors",
            "files",
            "detections",
            "hub",
            "image",
            "outputs",
            "runtime",
            "data",
            "evaluation",
            "exporting",
            "tables",
            "tasks",
        ]
    },
    "exporting": {*_WORKSHOP, "console", "detections", "image", "runtime", "tasks", "zoo"},
    "adopting": {"errors", "files", "image", "registry", "runtime", "cost", "exporting"},
    "training": {
        *_WORKSHOP,
        "remote",
        "console",
        "tables",
        "plotting",
        "detections",
        "image",
        "runtime",
        "data",
        "evaluation",
        "exporting",
        "tasks",
    },
    "tasks.*": {
        *_WORKSHOP,
        "detections",
        "image",
        "runtime",
        "data",
        "evaluation",
        "exporting",
        "tables",
        "tasks",
        "training",
    },
    "lab": {*_WORKSHOP, "console", "exporting", "plotting", "tables", "hub", "runtime", "data", "tasks", "training"},
    "cli": {
        *_WORKSHOP,
        "remote",
        "console",
        "tables",
        "detections",
        "hub",
        "image",
        "jobs",
        "zoo",
        "runtime",
        "exporting",
        "adopting",
        "data",
        "evaluation",
        "tasks",
        "training",
        "lab",
        "quantizing",
        "serving",
        "web",
    },
    "__init__": {
        "adopting",
        "errors",
        "detections",
        "hub",
        "image",
        "runtime",
        "data",
        "weights",
        "cost",
        "evaluation",
        "exporting",
        "lab",
        "quantizing",
        "training",
    },
    "__main__": {"cli"},
}

# Imported with torch and what needs it absent.
TORCH_FREE = (
    "litevision",
    "litevision.hub",
    "litevision.runtime",
    "litevision.image",
    "litevision.cli",
    "litevision.registry",
    "litevision.registry.weight_sets",
    "litevision.registry.labels",
    "litevision.exporting.cached",
    "litevision.weights.download",
    "litevision.data",
    "litevision.jobs.plan",
    "litevision.evaluation",
    "litevision.serving.server",
    "litevision.web.page",
)
WORKSHOP_PACKAGES = ("torch", "torchvision", "onnx", "onnxscript", "h5py", "safetensors", "pygraphviz")
SLOW_PACKAGES = ("numpy", "PIL", "onnxruntime", "rich", "litevision.runtime", "litevision.registry")


def imports_of(path: Path) -> Iterator[tuple[str, int]]:
    """Every module of ours that the file imports at any level, with the line; but for those of type checkers alone."""
    package = path.relative_to(SRC).parent.parts
    tree = ast.parse(path.read_text())
    guarded = [
        node.body for node in tree.body if isinstance(node, ast.If) and "TYPE_CHECKING" in ast.unparse(node.test)
    ]
    unseen = {id(node) for body in guarded for node in body}
    for node in ast.walk(tree):
        if id(node) in unseen:
            continue
        if isinstance(node, ast.Import):
            names = [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom):
            base = ".".join(package[: len(package) - node.level + 1]) if node.level else ""
            module = ".".join(filter(None, (base, node.module)))
            names = (
                [module, *(f"{module}.{alias.name}" for alias in node.names)] if module == "litevision" else [module]
            )
        else:
            continue
        yield from ((name, node.lineno) for name in names if name.split(".")[0] == "litevision")


def part_of(path: Path) -> str:
    """The part that a file belongs to: the folder or module under ``litevision``; a single task is one of its own.

    What all tasks share, the table and the interface, is imported by the core; the tasks themselves import the core,
    which finds them through the table alone.
    """
    parts = path.relative_to(SRC / "litevision").with_suffix("").parts
    return "tasks.*" if len(parts) > 2 and parts[0] == "tasks" else parts[0]


def part_named(name: str) -> str:
    """The part that a module belongs to, by its dotted name."""
    parts = name.split(".")[1:]
    return "tasks.*" if len(parts) > 1 and parts[0] == "tasks" and parts[1] != "base" else "".join(parts[:1])


@pytest.mark.parametrize("part", sorted({part_of(path) for path in (SRC / "litevision").rglob("*.py")}))
def test_imports_go_one_way(part: str) -> None:
    assert part in MAY_IMPORT, f"add {part} to MAY_IMPORT: who may import it, and what may it import?"
    wrong = [
        f"{path.relative_to(SRC)}:{line} imports {name}"
        for path in (SRC / "litevision").rglob("*.py")
        if part_of(path) == part
        for name, line in imports_of(path)
        if (other := part_named(name)) in MAY_IMPORT and other not in {part, *MAY_IMPORT[part]}
    ]
    assert wrong == []


def test_imports_inside_functions_and_relative_ones_are_seen(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys.modules[__name__], "SRC", tmp_path)
    path = tmp_path / "litevision" / "image" / "bad.py"
    path.parent.mkdir(parents=True)
    lines = (
        "def f():",
        "    from litevision.cli import main",
        "from ..models import build",
        "from litevision import cost",
    )
    path.write_text("\n".join(lines))
    assert {name for name, _ in imports_of(path)} == {
        "litevision.cli",
        "litevision.models",
        "litevision",
        "litevision.cost",
    }


@pytest.mark.parametrize("module", TORCH_FREE)
def test_importing_needs_no_torch(module: str) -> None:
    blocked = f"import sys; sys.modules.update(dict.fromkeys({WORKSHOP_PACKAGES})); import {module}"
    done = subprocess.run([sys.executable, "-W", "error", "-c", blocked], capture_output=True, text=True, check=False)
    assert (done.returncode, done.stderr) == (0, "")


def test_without_torch_the_workshop_names_its_extra() -> None:
    program = (
        f"import sys; sys.modules.update(dict.fromkeys({WORKSHOP_PACKAGES})); import litevision\n"
        "try: litevision.create\nexcept litevision.LitevisionError as error: print(error)"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert "litevision.create needs" in done.stdout
    assert "pip install 'litevision[train]'" in done.stdout


def test_the_command_line_starts_light() -> None:
    program = f"import sys, litevision.cli; print(sorted(set({SLOW_PACKAGES}) & set(sys.modules)))"
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert done.stdout == "[]\n"
