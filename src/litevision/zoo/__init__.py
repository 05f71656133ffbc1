"""The bundles that come with the package: ``NAME.onnx``, the recipe ``NAME.toml`` and the model card ``NAME.md``."""

from pathlib import Path

_NAMES = ("imagenet-1k", "clothing", "blood-cells")

BUNDLES = {name: Path(__file__).with_name(f"{name}.onnx") for name in _NAMES}
"""The path of each by its name: ``imagenet-1k`` is the default of ``classify``, ``blood-cells`` that of ``detect``."""
