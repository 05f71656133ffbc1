"""Where a model named on the command line lies."""

from pathlib import Path


def bundle_path(model: str) -> Path:
    """The bundle's path: ``model`` itself where it is an .onnx file, else the one kept for that name, made on first use.

    Raises:
        LitevisionError: as for ``litevision.export.cached.bundle_for``.
    """
    if model.lower().endswith(".onnx"):
        return Path(model)
    from litevision.export.cached import bundle_for

    return bundle_for(model)
