"""OpenVINO's own format: ``model.xml`` and ``model.bin`` in a folder."""

from pathlib import Path

from litevision.exporting.formats import HALF_TOLERANCE, FinishedBundle
from litevision.runtime.engines import engine_choice
from litevision.runtime.engines.openvino_engine import OpenvinoEngine, import_openvino
from litevision.runtime.model_folder import OPENVINO_FILE


def write_openvino(bundle: FinishedBundle, folder: Path, *, half: bool = False) -> float:
    """Writes the bundle's graph as OpenVINO reads it; arguments as for ``ExportFormat.write``."""
    engine = OpenvinoEngine(bundle.path.read_bytes(), engine_choice("openvino"), name=str(bundle.path))
    import_openvino().save_model(engine.model, folder / OPENVINO_FILE, compress_to_fp16=half)
    return HALF_TOLERANCE if half else 1e-3
