"""Classification: one image, one class."""
