"""ncnn's own format, ``model.param`` and ``model.bin`` in a folder, converted by pnnx."""

import importlib.util
import subprocess
import tempfile
from pathlib import Path

import onnx

from litevision.errors import ExportError, MissingExtraError
from litevision.exporting.formats import HALF_TOLERANCE, FinishedBundle
from litevision.exporting.portable import make_portable
from litevision.exporting.surgery import fix_batch, give_maps, read_graph, take_floats
from litevision.runtime.engines.ncnn_engine import BIN, PARAM

_TIMEOUT_S = 600


def write_ncnn(bundle: FinishedBundle, folder: Path) -> float:
    """Writes the bundle's graph, for normalised float images one at a time, with weights in float16.

    A detector's maps are left to be decoded. Arguments as for ``ExportFormat.write``.

    Raises:
        MissingExtraError: pnnx is not installed.
        ExportError: pnnx cannot convert the graph.
    """
    if bundle.metadata.quantization is not None:
        raise ExportError("ncnn takes no bundle in 8 bits; give the one that it was made of")
    pnnx = _find_pnnx()
    model = read_graph(bundle.path)
    take_floats(model)
    if bundle.metadata.finds_boxes:
        give_maps(model)
    fix_batch(model, 1)
    make_portable(model)
    [taken] = model.graph.input
    sides = ",".join(str(side.dim_value) for side in taken.type.tensor_type.shape.dim)
    with tempfile.TemporaryDirectory() as work:  # it writes ten files beside its input, and rewrites some inputs
        onnx.save(model, Path(work, "model.onnx"))
        try:
            done = subprocess.run(
                [pnnx, "model.onnx", f"inputshape=[{sides}]", "fp16=1"],
                cwd=work,
                capture_output=True,
                text=True,
                errors="replace",
                timeout=_TIMEOUT_S,
                check=False,
            )
        except (OSError, subprocess.TimeoutExpired) as error:
            raise ExportError(f"pnnx cannot be run ({error})") from None
        param, numbers = Path(work, "model.ncnn.param"), Path(work, "model.ncnn.bin")
        if done.returncode or not param.is_file() or not numbers.is_file():
            said = (done.stderr or done.stdout).strip().splitlines() or ["it says nothing"]
            raise ExportError(f"pnnx cannot convert the graph ({said[-1][:200]})")
        names = {"in0": taken.name, **{f"out{place}": it.name for place, it in enumerate(model.graph.output)}}
        (folder / PARAM).write_text(_renamed(param.read_text("utf-8"), names), "utf-8")
        (folder / BIN).write_bytes(numbers.read_bytes())
    return HALF_TOLERANCE


def _renamed(param: str, names: dict[str, str]) -> str:
    """The text of a ``.param`` file whose blobs have the graph's names."""
    lines = [" ".join(names.get(word, word) for word in line.split()) for line in param.splitlines()]
    return "\n".join(lines) + "\n"


def _find_pnnx() -> str:
    spec = importlib.util.find_spec("pnnx")
    if spec is None or not spec.submodule_search_locations:
        raise MissingExtraError.of("export to ncnn", "ncnn")
    folder = Path(spec.submodule_search_locations[0])
    return str(next((path for path in (folder / "pnnx", folder / "pnnx.exe") if path.is_file()), folder / "pnnx"))
