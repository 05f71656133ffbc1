"""Where a model named on the command line lies."""

from pathlib import Path


def bundle_path(model: str) -> Path:
    """The path of the bundle that ``model`` names: an .onnx file, or the one kept for a name and made on first use.

    Raises:
        LitevisionError: as for ``litevision.export.cached.bundle_for``.
    """
    if model.lower().endswith(".onnx"):
        return Path(model)
    from litevision.export.cached import bundle_for

    return bundle_for(model)
