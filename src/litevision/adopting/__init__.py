"""From an ONNX file of another making to a checked bundle. No torch."""
