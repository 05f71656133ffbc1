"""Where a model named on the command line lies."""

import sys
from pathlib import Path


def bundle_path(model: str) -> Path:
    """The path of the bundle that ``model`` names: an .onnx file, one that comes with the package, or the one that is
    kept for a name and made on first use.

    Raises:
        LitevisionError: as for ``litevision.exporting.cached.bundle_for``.
    """
    if model.lower().endswith(".onnx"):
        return Path(model)
    from litevision.zoo import BUNDLES

    if model in BUNDLES:
        return BUNDLES[model]
    from litevision.exporting.cached import bundle_for, kept_at

    if not kept_at(model).is_file():
        print(f"making the bundle of {model}, once (some 20 seconds); later runs find it", file=sys.stderr)
    return bundle_for(model)
