"""LiteRT files (.tflite), made of bundles without torch."""
