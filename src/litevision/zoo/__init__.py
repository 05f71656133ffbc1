"""The bundles that come with the package: ``NAME.onnx``, the recipe ``NAME.toml`` and the model card ``NAME.md``."""

from pathlib import Path

BUNDLES = ("clothing",)
"""By name; the first is the default of ``litevision classify``."""


def shipped_bundle(name: str) -> Path | None:
    """The path of the bundle that comes with the package under ``name``; None where none does."""
    return Path(__file__).with_name(f"{name}.onnx") if name in BUNDLES else None
