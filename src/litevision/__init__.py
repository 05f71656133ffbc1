"""litevision: MobileNetV1, V2, V3 and ShuffleNetV2, from building and training to small checked model files."""

__version__ = "0.1.0"
